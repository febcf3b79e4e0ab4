package schema

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Seq numbers the changes of one collection: dense, from 0, assigned by the
// log when it sequences a batch, never reused and never going back.
type Seq uint64

// Instance identifies one life of a collection. It is never reused: a
// collection that is dropped and created again has another instance, so what
// is left of the first can never be taken for the second.
type Instance uint64

// Instances below FirstUserInstance hold Trine's own collections.
const (
	// InstanceCollections maps (tenant, name) to a collection's definition.
	InstanceCollections Instance = 1
	// InstanceSchemas maps a SchemaID to a schema's canonical form.
	InstanceSchemas Instance = 2
	// InstanceGuards maps an Instance to what its writers are held to: fencing
	// token and producers.
	InstanceGuards Instance = 3
	// InstanceTrims maps an Instance to the point before which its log is
	// forgotten.
	InstanceTrims Instance = 4
	// FirstUserInstance is the first instance a user's collection can have.
	FirstUserInstance Instance = 16
)

// GuardKey is the key of a collection in InstanceGuards.
func GuardKey(i Instance) []byte { return binary.BigEndian.AppendUint64([]byte{'g'}, uint64(i)) }

// TrimKey is the key of a collection in InstanceTrims.
func TrimKey(i Instance) []byte { return binary.BigEndian.AppendUint64([]byte{'t'}, uint64(i)) }

// TrimmedInstance is the collection that a key of InstanceTrims is of.
func TrimmedInstance(key []byte) (Instance, bool) {
	if len(key) != 9 || key[0] != 't' {
		return 0, false
	}
	return Instance(binary.BigEndian.Uint64(key[1:])), true
}

// SchemaID numbers the distinct schemas of a deployment. It prefixes every
// encoded row, so that a row can be read without knowing its collection.
type SchemaID uint32

// NamedSchemaID numbers the named schemas of a deployment, from 1. It is never
// used again: a name that is given again stands for another.
type NamedSchemaID uint32

// IndexID numbers the secondary indexes of one Instance, from 1. It is never
// used again: what is left of an index that was dropped is not taken for another's.
type IndexID uint32

// Epoch counts the owners of a channel; a higher one fences a lower.
type Epoch uint64

// Position is a place in a channel: chunk numbers count from 1 within a
// generation, so the zero Position lies before everything.
type Position struct {
	Generation uint32
	Chunk      uint64
}

// Compare orders positions of one channel.
func (p Position) Compare(q Position) int {
	if c := cmp.Compare(p.Generation, q.Generation); c != 0 {
		return c
	}
	return cmp.Compare(p.Chunk, q.Chunk)
}

// Next is the position of the following chunk of the same generation.
func (p Position) Next() Position { p.Chunk++; return p }

// IsZero reports whether p lies before every chunk.
func (p Position) IsZero() bool { return p == Position{} }

// String is the token that users see; it is opaque to them.
func (p Position) String() string {
	return strconv.FormatUint(uint64(p.Generation), 10) + "-" + strconv.FormatUint(p.Chunk, 10)
}

// ParsePosition reads the token that String gives.
func ParsePosition(s string) (Position, error) {
	gen, chunk, ok := strings.Cut(s, "-")
	g, gerr := strconv.ParseUint(gen, 10, 32)
	c, cerr := strconv.ParseUint(chunk, 10, 64)
	if !ok || gerr != nil || cerr != nil {
		return Position{}, fmt.Errorf("position %q: want a token that Trine answered in Trine-Position", s)
	}
	return Position{Generation: uint32(g), Chunk: c}, nil
}
