package segment

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/trinedb/trine/schema"
)

// Ref names a segment: the one of a level that holds the chunks From to To of a
// channel's generation.
type Ref struct {
	Channel    uint32
	Generation uint32
	Level      int    // 1: made from chunks; higher: merged
	From, To   uint64 // chunk numbers, both included
}

// Name is the name of the segment's object.
func (r Ref) Name() string {
	return fmt.Sprintf("%s%020d-%020d", prefix(r.Channel, r.Generation, r.Level), r.From, r.To)
}

// String is the segment's name.
func (r Ref) String() string { return r.Name() }

func prefix(channel, generation uint32, level int) string {
	return fmt.Sprintf("seg/%d/%d/%d/", channel, generation, level)
}

func (r Ref) position(number uint64) schema.Position {
	return schema.Position{Generation: r.Generation, Chunk: number}
}

// valid reports whether a segment can be so.
func (r Ref) valid() bool {
	return r.Level >= 1 && r.Level <= MaxLevel && r.From >= 1 && r.From <= r.To
}

// ParseName reads the name of a segment's object, and reports whether it is one
// as Name would give it.
func ParseName(name string) (Ref, bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 5 || parts[0] != "seg" {
		return Ref{}, false
	}
	from, to, _ := strings.Cut(parts[4], "-")
	var n [5]uint64
	for i, p := range [...]string{parts[1], parts[2], parts[3], from, to} {
		bits := 64
		if i < 3 {
			bits = 32
		}
		var err error
		if n[i], err = strconv.ParseUint(p, 10, bits); err != nil {
			return Ref{}, false
		}
	}
	r := Ref{Channel: uint32(n[0]), Generation: uint32(n[1]), Level: int(n[2]), From: n[3], To: n[4]}
	return r, r.valid() && r.Name() == name
}

// compare orders segments of one generation by who is believed where they hold
// the same position: the higher level first, then the one that begins first,
// then the longer. All who look agree on it, whatever they know, so what one
// deletes because of another is never what that one was deleted for.
func (r Ref) compare(q Ref) int {
	return cmp.Or(cmp.Compare(q.Level, r.Level), cmp.Compare(r.From, q.From), cmp.Compare(q.To, r.To))
}
