package definition

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// isSchema reports whether a document is a named schema: it names no collection,
// and says nothing that only a collection has.
func isSchema(n *yaml.Node) bool {
	for _, key := range []string{"tenant", "collection", "collections"} {
		if lookup(n, key) != nil {
			return false
		}
	}
	return lookup(n, "schema") != nil
}

// ParseSchema reads a named schema, whose name may be left out, and checks what
// it says.
func ParseSchema(data []byte) (Schema, error) {
	docs, err := documents(data)
	if err != nil {
		return Schema{}, err
	}
	if len(docs) != 1 {
		return Schema{}, problem(1, "", fmt.Sprintf("want one schema, and this has %d documents", len(docs)))
	}
	p := &parser{checker: checker{lines: make(map[string]int)}}
	if p.mapping(docs[0], "", "the schema") {
		s := p.schema(docs[0], "0")
		if !p.broken {
			named := s
			if named.Name == "" {
				named.Name = "s"
			}
			p.namedSchema(named)
		}
		if err := p.err(); err == nil {
			return s, nil
		}
	}
	return Schema{}, p.err()
}

// schemaDocument reads a document that is a named schema, and keeps it.
func (p *parser) schemaDocument(n *yaml.Node, at string) {
	if len(p.schemas) >= MaxSchemas {
		p.bad(n, "schema", "", fmt.Sprintf("a file has at most %d schemas: split it", MaxSchemas))
		return
	}
	before := p.broken
	p.broken, p.at = false, sections{}
	s := p.schema(n, at)
	if !p.broken {
		p.namedSchema(s)
		p.schemas = append(p.schemas, s)
		p.schemaLine = append(p.schemaLine, n.Line)
	}
	p.broken = p.broken || before
}

// schema reads the keys of a named schema.
func (p *parser) schema(n *yaml.Node, at string) (s Schema) {
	p.at.names = at
	p.each(n, "", at, func(key string, v *yaml.Node, vat string) bool {
		switch key {
		case "schema":
			s.Name = p.text(v, vat, "schema")
		case "fields":
			p.at.fields, p.read = vat, 0
			s.Fields = p.fieldDefs(v, vat, "")
		case "key":
			p.at.key = vat
			s.Key = p.texts(v, vat, "key")
		case "tenant", "collection", "collections", "indexes", "options":
			p.bad(v, key, "", "a schema has fields and a key, and this is of a collection: "+
				"move it to the collections of the schema, or name the collection here and leave out the fields")
		default:
			return false
		}
		return true
	}, "schema", "fields", "key")
	return s
}
