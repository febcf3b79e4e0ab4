package rowjson

import (
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/internal/suggest"
)

// shape is a type made ready for decoding.
type shape struct {
	t      *schema.Type
	inner  []shape        // of t.Fields
	byName map[string]int // of a struct's fields; nil until it is needed
}

func shapeOf(t *schema.Type) shape {
	s := shape{t: t}
	if len(t.Fields) > 0 {
		s.inner = make([]shape, len(t.Fields))
		for i := range t.Fields {
			s.inner[i] = shapeOf(&t.Fields[i].Type)
		}
	}
	return s
}

// few is how many names are looked through rather than looked up.
const few = 8

// find is the place of the field called name, or -1. Records mostly have their
// fields in one order, so it tries the place after the last one first.
func (s *shape) find(name []byte, guess int) int {
	fields := s.t.Fields
	if guess < len(fields) && fields[guess].Name == string(name) {
		return guess
	}
	if len(fields) <= few {
		for i := range fields {
			if fields[i].Name == string(name) {
				return i
			}
		}
		return -1
	}
	if s.byName == nil {
		s.byName = make(map[string]int, len(fields))
		for i := range fields {
			s.byName[fields[i].Name] = i
		}
	}
	if i, ok := s.byName[string(name)]; ok {
		return i
	}
	return -1
}

// unknown is the way out from a name that there is not.
func (s *shape) unknown(name string) string {
	names := make([]string, len(s.t.Fields))
	for i := range s.t.Fields {
		names[i] = s.t.Fields[i].Name
	}
	if near := suggest.Nearest(name, names); near != "" {
		return "is not a field: did you mean " + near + "?"
	}
	return "is not a field: remove it, or add it to the collection"
}
