package definition

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trinedb/trine/schema"
)

// maxTreeDepth bounds the nesting of a file: a level of types takes at most
// five of its levels.
const maxTreeDepth = 5 * (MaxDepth + 2)

const treeDepthRule = "the file nests too deep: types nest at most 32 levels"

// ParseFile reads a collection file and checks all it says. A file holds one
// definition; or YAML documents with one each; or a list of them, by itself
// or under collections:, where what stands beside collections: is taken by
// each that does not say it itself, and where a name alone is enough. A document
// with schema: and fields:, and no collection, is a named schema. The error is an
// *Error with line, field, value and rule of each problem, or a schema.ErrTooLarge.
func ParseFile(data []byte) (File, error) { return ParseFileOf("", data) }

// ParseFileOf is ParseFile for a file whose collections may leave their tenant
// out, and then are of this one.
func ParseFileOf(tenant string, data []byte) (File, error) {
	docs, err := documents(data)
	if err != nil {
		return File{}, err
	}
	p := &parser{checker: checker{lines: make(map[string]int)}, base: Definition{Tenant: tenant}}
	for i, doc := range docs {
		p.document(doc, strconv.Itoa(i))
	}
	if len(docs) == 0 {
		return File{}, problem(1, "", "the file is empty: it needs at least tenant, collection and fields")
	}
	p.duplicates()
	if err := p.err(); err != nil {
		return File{}, err
	}
	return File{Schemas: p.schemas, Collections: p.defs}, nil
}

// ParseOne reads one definition, whose tenant and collection may be left out,
// and checks what it says.
func ParseOne(data []byte) (Definition, error) {
	docs, err := documents(data)
	if err != nil {
		return Definition{}, err
	}
	if len(docs) != 1 {
		return Definition{}, problem(1, "", fmt.Sprintf("want one collection, and this has %d documents", len(docs)))
	}
	p := &parser{checker: checker{lines: make(map[string]int)}}
	if p.mapping(docs[0], "", "the collection") {
		if many := lookup(docs[0], "collections"); many != nil {
			p.bad(many, "collections", "", "want one collection here: apply a file of many with trine apply -f")
		}
		d := p.definition(docs[0], Definition{}, "0")
		if !p.broken {
			if d.Tenant != "" || d.Collection != "" {
				p.givenNames(d)
			}
			p.body(d)
		}
		if err := p.err(); err == nil {
			return d, nil
		}
	}
	return Definition{}, p.err()
}

// givenNames checks the names that are given.
func (p *parser) givenNames(d Definition) {
	if d.Tenant == "" {
		d.Tenant = "t"
	}
	if d.Collection == "" {
		d.Collection = "c"
	}
	p.names(d)
}

// parser turns trees into definitions. It notes lines by place, so that the
// checks that follow can tell them.
type parser struct {
	checker
	base    Definition // what no definition says
	defs    []Definition
	defLine []int

	schemas    []Schema
	schemaLine []int

	nodes  int  // visited, aliases followed
	depth  int  // of types, while they are read
	read   int  // fields of the definition, nested ones too
	broken bool // a definition could not be read whole, so checks would mislead
}

// bad notes a problem that keeps a definition from being understood.
func (p *parser) bad(n *yaml.Node, field, value, rule string) {
	p.broken = true
	if len(p.problems) < schema.MaxFieldErrors {
		p.problems = append(p.problems, &schema.FieldError{Line: n.Line, Field: field, Value: value, Rule: rule})
	}
}

// visit follows an alias, within the bound on nodes, and notes the line.
func (p *parser) visit(n *yaml.Node, at string) *yaml.Node {
	line := n.Line
	n = follow(n)
	rejoin(n)
	if p.nodes++; p.nodes > maxNodes || n.Kind == yaml.AliasNode {
		if !p.broken || p.nodes == maxNodes+1 {
			p.bad(n, "", "", "aliases expand to more than a file may hold: write the parts out, or split the file")
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: line}
	}
	if p.lines != nil {
		p.lines[at] = line
	}
	return n
}

// rejoin mends what a flow mapping makes of {type: decimal(9,2)}: a value
// "decimal(9" and a key "2)". Everyone writes it so, and it has no other sense.
func rejoin(n *yaml.Node) {
	for i := 1; n.Kind == yaml.MappingNode && i+2 < len(n.Content); i += 2 {
		v, k := n.Content[i], n.Content[i+1]
		if strings.HasPrefix(v.Value, "decimal(") && !strings.HasSuffix(v.Value, ")") &&
			v.Kind == yaml.ScalarNode && strings.HasSuffix(k.Value, ")") && isNull(n.Content[i+2]) {
			v.Value += "," + k.Value
			n.Content = slices.Delete(n.Content, i+1, i+3)
		}
	}
}

// document reads one document: a definition, or several.
func (p *parser) document(n *yaml.Node, at string) {
	n = p.visit(n, at)
	if n.Kind == yaml.SequenceNode {
		p.list(n, p.base, sections{}, at)
		return
	}
	if !p.mapping(n, "", "the file") {
		return
	}
	if isSchema(n) {
		p.schemaDocument(n, at)
		return
	}
	collections := lookup(n, "collections")
	before := p.broken
	p.broken, p.at = false, sections{}
	base := p.definition(n, p.base, at)
	if collections == nil {
		p.finish(base, n.Line, true)
	} else if !p.broken {
		p.shared(n, collections, base, at)
	}
	p.broken = p.broken || before
}

// shared reads the list under collections:. What the entries share is checked
// once.
func (p *parser) shared(n, collections *yaml.Node, base Definition, at string) {
	if base.Collection != "" {
		p.bad(n, "collection", quote(base.Collection), "give collection or collections, not both")
		return
	}
	list := p.visit(collections, at+"/collections")
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		p.bad(list, "collections", "", "collections is a list of names, or of collections: [a, b]")
		return
	}
	if base.Fields != nil || base.Schema != "" {
		p.body(base)
		if len(p.problems) > 0 {
			p.broken = true
			return
		}
	}
	p.list(list, base, p.at, at+"/collections")
}

// list reads entries that take what they do not say from base.
func (p *parser) list(n *yaml.Node, base Definition, from sections, at string) {
	for i, entry := range n.Content {
		if len(p.defs) >= MaxCollections {
			p.bad(entry, "collections", "", fmt.Sprintf("a file has at most %d collections: split it", MaxCollections))
			return
		}
		entryAt := at + "/" + strconv.Itoa(i)
		entry = p.visit(entry, entryAt)
		p.broken = false
		p.at = from
		if entry.Kind == yaml.ScalarNode {
			d := base
			d.Collection = p.text(entry, entryAt, fmt.Sprintf("collections[%d]", i))
			p.at.names = entryAt
			if d.Fields == nil && d.Schema == "" {
				p.bad(entry, "fields", "", "a name alone shares the fields beside collections:, and there are none: add fields, or schema")
			}
			p.finish(d, entry.Line, false)
			continue
		}
		if !p.mapping(entry, fmt.Sprintf("collections[%d]", i), "a collection") {
			continue
		}
		if strings.Count(at, "/") == 0 && isSchema(entry) { // of a file that is a list
			p.schemaDocument(entry, entryAt)
		} else {
			p.finish(p.definition(entry, base, entryAt), entry.Line, true)
		}
	}
}

// finish checks a definition that was read and keeps it.
func (p *parser) finish(d Definition, line int, whole bool) {
	if p.broken {
		return
	}
	p.names(d)
	if whole {
		p.body(d)
	}
	p.defs = append(p.defs, d)
	p.defLine = append(p.defLine, line)
}

// duplicates refuses two definitions of one collection or schema.
func (p *parser) duplicates() {
	named := make(map[string]int, len(p.schemas))
	for i, s := range p.schemas {
		if j, dup := named[s.Name]; dup {
			p.bad(&yaml.Node{Line: p.schemaLine[i]}, "schema", quote(s.Name),
				fmt.Sprintf("the schema is defined on line %d already: remove one", p.schemaLine[j]))
		} else {
			named[s.Name] = i
		}
	}
	first := make(map[string]int, len(p.defs))
	for i, d := range p.defs {
		if j, dup := first[d.String()]; dup {
			p.bad(&yaml.Node{Line: p.defLine[i]}, "collection", quote(d.String()),
				fmt.Sprintf("the collection is defined on line %d already: remove one", p.defLine[j]))
		} else {
			first[d.String()] = i
		}
	}
}

// definition reads the keys of one collection over base.
func (p *parser) definition(n *yaml.Node, base Definition, at string) Definition {
	d := base
	p.at.names = at
	switch { // what is said here stands instead of what is taken over
	case lookup(n, "schema") != nil:
		d.Fields, d.Key = nil, nil
	case lookup(n, "fields") != nil:
		d.Schema = ""
	}
	p.each(n, "", at, func(key string, v *yaml.Node, vat string) bool {
		switch key {
		case "tenant":
			d.Tenant = p.text(v, vat, "tenant")
		case "collection":
			d.Collection = p.text(v, vat, "collection")
		case "schema":
			p.at.schema = vat
			d.Schema = p.text(v, vat, "schema")
		case "fields":
			p.at.fields, p.read = vat, 0
			d.Fields = p.fieldDefs(v, vat, "")
		case "key":
			p.at.key = vat
			d.Key = p.texts(v, vat, "key")
		case "indexes":
			p.at.indexes = vat
			d.Indexes = p.indexes(v, vat)
		case "options":
			p.at.options = vat
			d.Options = p.optionsDef(v, vat, base.Options)
		case "collections":
			return strings.Count(at, "/") == 0
		default:
			return false
		}
		return true
	}, "tenant", "collection", "schema", "fields", "key", "indexes", "options")
	return d
}

func (p *parser) indexes(n *yaml.Node, at string) []schema.IndexSpec {
	var specs []schema.IndexSpec
	p.items(n, at, "indexes", func(i int, n *yaml.Node, at string) {
		path := fmt.Sprintf("indexes[%d]", i)
		var x schema.IndexSpec
		if p.mapping(n, path, "an index") {
			p.each(n, path, at, func(key string, v *yaml.Node, vat string) bool {
				switch key {
				case "name":
					x.Name = p.text(v, vat, path+".name")
				case "fields":
					x.Fields = p.texts(v, vat, path+".fields")
				case "unique":
					x.Unique = p.boolean(v, path+".unique")
				default:
					return false
				}
				return true
			}, "name", "fields", "unique")
		}
		specs = append(specs, x)
	})
	return specs
}

func (p *parser) optionsDef(n *yaml.Node, at string, o OptionsDef) OptionsDef {
	if isNull(n) || !p.mapping(n, "options", "options") {
		return o
	}
	p.each(n, "options", at, func(key string, v *yaml.Node, vat string) bool {
		path := "options." + key
		switch key {
		case "log_retention":
			o.LogRetention = p.duration(v, path)
		case "log_retention_bytes":
			o.LogRetentionBytes = p.duration(v, path)
		case "lake":
			o.Lake = schema.LakeMode(p.text(v, vat, path))
		case "lake_freshness":
			o.LakeFreshness = p.duration(v, path)
		case "lake_format":
			o.LakeFormat = p.whole(v, path)
		case "before_images":
			o.BeforeImages = p.boolean(v, path)
		case "lake_partition":
			o.LakePartition = p.partitionDefs(v, vat, path)
		case "lake_sort":
			o.LakeSort = p.sortDefs(v, vat, path)
		default:
			return false
		}
		return true
	}, "log_retention", "log_retention_bytes", "lake", "lake_freshness", "lake_format", "before_images",
		"lake_partition", "lake_sort")
	return o
}
