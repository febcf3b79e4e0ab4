package definition

import (
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// enter counts a level of nesting until leave; past the bound it is false, so
// that an alias inside itself ends.
func (p *parser) enter(n *yaml.Node, path string) bool {
	if p.depth++; p.depth <= MaxDepth+1 {
		return true
	}
	p.bad(n, path, "", fmt.Sprintf("types nest at most %d levels: flatten, or hold the rest as json", MaxDepth))
	return false
}

func (p *parser) leave() { p.depth-- }

// mapping reports whether n is a mapping, and tells it when not.
func (p *parser) mapping(n *yaml.Node, path, what string) bool {
	if n.Kind == yaml.MappingNode {
		return true
	}
	p.bad(n, path, told(n), what+" is a mapping of keys to values")
	return false
}

// items calls take for each item of a list.
func (p *parser) items(n *yaml.Node, at, path string, take func(i int, n *yaml.Node, at string)) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		p.bad(n, path, told(n), "want a list: [a, b], or lines that begin with -")
		return
	}
	for i, item := range n.Content {
		itemAt := at + "/" + strconv.Itoa(i)
		take(i, p.visit(item, itemAt), itemAt)
	}
}

// texts reads a list of strings.
func (p *parser) texts(n *yaml.Node, at, path string) []string {
	var out []string
	p.items(n, at, path, func(_ int, n *yaml.Node, at string) {
		out = append(out, p.text(n, at, path))
	})
	return out
}

// text reads a string.
func (p *parser) text(n *yaml.Node, at, path string) string {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		return n.Value
	}
	rule := "want a string"
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		rule += ": put it in quotes, " + quote(n.Value)
	}
	p.bad(n, path, told(n), rule)
	return ""
}

func (p *parser) boolean(n *yaml.Node, path string) bool {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		if b, err := strconv.ParseBool(n.Value); err == nil {
			return b
		}
	}
	p.bad(n, path, told(n), "want true or false")
	return false
}

func (p *parser) whole(n *yaml.Node, path string) int {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		if i, err := strconv.ParseInt(n.Value, 10, 32); err == nil && i != 0 {
			return int(i)
		}
	}
	p.bad(n, path, told(n), "want a whole number above 0")
	return 0
}

// duration reads the text of a duration; its value is checked later.
func (p *parser) duration(n *yaml.Node, path string) string {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" && n.Value != "" {
		return n.Value
	}
	p.bad(n, path, told(n), "want a duration with its unit, such as 90s, 5m, 36h, 7d")
	return ""
}

// told is a value as an error repeats it.
func told(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode:
		return "[…]"
	case n.Kind == yaml.MappingNode:
		return "{…}"
	case isNull(n):
		return "null"
	case n.ShortTag() == "!!str":
		return quote(n.Value)
	}
	return cut(n.Value)
}
