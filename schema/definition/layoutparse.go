package definition

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trinedb/trine/schema"
)

// partitionDefs reads a list of them. The items of [bucket(16, origin)] are two to
// YAML, "bucket(16" and "origin)", and one to everyone else.
func (p *parser) partitionDefs(n *yaml.Node, at, path string) []PartitionDef {
	var out []PartitionDef
	p.items(joined(n), at, path, func(i int, n *yaml.Node, at string) {
		path := fmt.Sprintf("%s[%d]", path, i)
		if n.Kind == yaml.ScalarNode {
			out = append(out, shortPartition(p.text(n, at, path)))
			return
		}
		d := PartitionDef{Transform: schema.Transform{Kind: schema.TransformIdentity}.String()}
		if p.mapping(n, path, "a partition field") {
			p.each(n, path, at, func(key string, v *yaml.Node, vat string) bool {
				switch key {
				case "field":
					d.Field = p.text(v, vat, path+".field")
				case "transform":
					d.Transform = p.text(v, vat, path+".transform")
				default:
					return false
				}
				return true
			}, "field", "transform")
		}
		out = append(out, d)
	})
	return out
}

// joined mends items that a comma in parentheses has split.
func joined(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.SequenceNode || n.Style&yaml.FlowStyle == 0 {
		return n
	}
	out := *n
	out.Content = nil
	for _, item := range n.Content {
		if last := len(out.Content) - 1; last >= 0 && splits(out.Content[last]) && item.Kind == yaml.ScalarNode && strings.HasSuffix(item.Value, ")") {
			whole := *out.Content[last]
			whole.Value += ", " + item.Value
			out.Content[last] = &whole
			continue
		}
		out.Content = append(out.Content, item)
	}
	return &out
}

func splits(n *yaml.Node) bool {
	open := strings.HasPrefix(n.Value, "bucket(") || strings.HasPrefix(n.Value, "truncate(")
	return n.Kind == yaml.ScalarNode && open && !strings.Contains(n.Value, ")")
}

// shortPartition reads transform(field), transform(width, field) or a field. A
// field whose name looks like the first two needs the long form.
func shortPartition(s string) PartitionDef {
	name, inside, open := strings.Cut(s, "(")
	inside, closed := strings.CutSuffix(inside, ")")
	if !open || !closed || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") != "" || name == "" {
		return PartitionDef{Field: s, Transform: schema.Transform{Kind: schema.TransformIdentity}.String()}
	}
	if width, field, two := strings.Cut(inside, ","); two {
		return PartitionDef{Field: strings.TrimSpace(field), Transform: name + "(" + strings.TrimSpace(width) + ")"}
	}
	return PartitionDef{Field: strings.TrimSpace(inside), Transform: name}
}

func (p *parser) sortDefs(n *yaml.Node, at, path string) []SortDef {
	var out []SortDef
	p.items(n, at, path, func(i int, n *yaml.Node, at string) {
		path := fmt.Sprintf("%s[%d]", path, i)
		if n.Kind == yaml.ScalarNode {
			out = append(out, SortDef{Field: p.text(n, at, path)})
			return
		}
		var d SortDef
		if p.mapping(n, path, "a sort field") {
			p.each(n, path, at, func(key string, v *yaml.Node, vat string) bool {
				switch key {
				case "field":
					d.Field = p.text(v, vat, path+".field")
				case "desc":
					d.Desc = p.boolean(v, path+".desc")
				case "nulls":
					d.Nulls = p.text(v, vat, path+".nulls")
				default:
					return false
				}
				return true
			}, "field", "desc", "nulls")
		}
		out = append(out, d)
	})
	return out
}
