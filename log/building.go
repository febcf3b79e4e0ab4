package log

import (
	"cmp"
	"slices"
	"time"

	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// building is a chunk on its way: filled by the writer, then encoded, then put.
type building struct {
	number  uint64
	run     uint64 // what the pipeline skips after a failure
	bytes   int64
	groups  []schema.Group
	where   map[schema.Instance]int // in groups
	answers []schema.Answer
	batches []*pending
	riders  []rider

	began  time.Time // its first batch came
	header chunk.Header
	chunk  *schema.Chunk
	data   []byte
	put    time.Duration
	err    error
	done   bool    // guarded by the pipeline's mutex
	told   bool    // that the outcome is unknown
	doubts []doubt // of batches that were told that their outcome is unknown
}

// rider is a batch without records, or refused: it is answered when what it was
// decided on is durable.
type rider struct {
	p   *pending
	err error
}

// empty reports whether there is nothing to store.
func (b *building) empty() bool { return len(b.batches) == 0 }

// add adds sequenced records.
func (b *building) add(g schema.Group) {
	if i, ok := b.where[g.Instance]; ok {
		b.groups[i].Records = append(b.groups[i].Records, g.Records...)
		return
	}
	if b.where == nil {
		b.where = make(map[schema.Instance]int)
	}
	b.where[g.Instance] = len(b.groups)
	g.Records = g.Records[:len(g.Records):len(g.Records)] // they are the sender's: no room to append
	b.groups = append(b.groups, g)
}

// seal makes it the chunk that will be stored.
func (b *building) seal(h chunk.Header) {
	slices.SortFunc(b.groups, func(x, y schema.Group) int { return cmp.Compare(x.Instance, y.Instance) })
	b.where = nil
	b.header = h
	b.chunk = &schema.Chunk{
		Position: h.Position, Epoch: h.Epoch, TimeMicros: h.TimeMicros,
		Groups: b.groups, Answers: b.answers,
	}
}
