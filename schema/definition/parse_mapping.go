package definition

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/internal/suggest"
)

// lookup is the value of a mapping's key, or nil.
func lookup(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return follow(n.Content[i+1])
		}
	}
	return nil
}

// follow is what an alias stands for. An alias of an alias of … ends at a
// bound, for it could stand for itself.
func follow(n *yaml.Node) *yaml.Node {
	for range 8 {
		if n.Kind != yaml.AliasNode {
			break
		}
		n = n.Alias
	}
	return n
}

// each calls take for every key of a mapping; false from it means that the
// key is not known.
func (p *parser) each(n *yaml.Node, path, at string, take func(key string, v *yaml.Node, at string) bool, known ...string) {
	seen := make([]string, 0, len(known))
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		name := join(path, k.Value)
		switch {
		case k.Kind != yaml.ScalarNode:
			p.bad(k, path, "", "a key here is a plain word: one of "+strings.Join(known, ", "))
			continue
		case slices.Contains(seen, k.Value):
			p.bad(k, name, "", "the key is given twice: remove one")
			continue
		}
		vat := at + "/" + k.Value
		if take(k.Value, p.visit(v, vat), vat) {
			seen = append(seen, k.Value)
			continue
		}
		rule := "no such key here"
		if near := suggest.Nearest(k.Value, known); near != "" {
			rule += ": did you mean " + near + "?"
		} else {
			rule += ": use one of " + strings.Join(known, ", ")
		}
		if k.Value == "<<" {
			rule = "merge keys are not supported: repeat the keys, or share fields by collections: [a, b]"
		}
		p.bad(k, path, quote(k.Value), rule)
		if len(p.problems) >= schema.MaxFieldErrors {
			return
		}
	}
}
