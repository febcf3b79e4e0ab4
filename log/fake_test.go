package log_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// fakeIndex is a State and a Stager that keeps everything in maps and holds the
// log to what it promises its Stager.
type fakeIndex struct {
	t  testing.TB
	mu sync.Mutex

	applied schema.Position
	next    map[schema.Instance]schema.Seq
	answers map[schema.DedupKey]schema.Answer
	epoch   schema.Epoch // the highest
	rows    map[schema.Instance][]string

	pointers          pointers
	told              schema.Position // up to where pointers may go
	toldAll, toldSome int             // how often, of all collections and of some
	spared            int             // collections that had no pointer to drop

	staged    []stagedGroup
	published []*schema.Chunk // not applied yet
	last      schema.Position // published
	live      map[schema.Instance]schema.Seq

	trims *trimPoints // nil: all is kept
}

type stagedGroup struct {
	pos schema.Position
	g   schema.Group
}

func newFakeIndex(t testing.TB) *fakeIndex {
	return &fakeIndex{
		t: t, next: map[schema.Instance]schema.Seq{}, answers: map[schema.DedupKey]schema.Answer{},
		live: map[schema.Instance]schema.Seq{}, rows: map[schema.Instance][]string{},
		pointers: pointers{},
	}
}

// restart is the index as it is after its process died: what was applied.
func (x *fakeIndex) restart() *fakeIndex {
	x.mu.Lock()
	defer x.mu.Unlock()
	y := newFakeIndex(x.t)
	y.applied, y.last, y.epoch = x.applied, x.applied, x.epoch
	for k, v := range x.next {
		y.next[k], y.live[k] = v, v
	}
	for k, v := range x.answers {
		y.answers[k] = v
	}
	for k, v := range x.rows {
		y.rows[k] = slices.Clip(v)
	}
	y.pointers = x.pointers.clone()
	y.trims = x.trims
	return y
}

func (x *fakeIndex) NextSeq(_ context.Context, id schema.Instance) (schema.Seq, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.next[id], nil
}

func (x *fakeIndex) Answer(_ context.Context, key schema.DedupKey) (schema.Answer, bool, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a, ok := x.answers[key]
	return a, ok, nil
}

func (x *fakeIndex) Stage(pos schema.Position, groups []schema.Group) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if pos.Compare(x.last) <= 0 {
		x.t.Errorf("staged at %v after %v was published", pos, x.last)
	}
	for _, g := range groups {
		if g.FirstSeq != x.live[g.Instance] {
			x.t.Errorf("staged seq %d of instance %d at %v, want %d", g.FirstSeq, g.Instance, pos, x.live[g.Instance])
		}
		x.live[g.Instance] = g.NextSeq()
		x.staged = append(x.staged, stagedGroup{pos, g})
	}
}

func (x *fakeIndex) Publish(c *schema.Chunk) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c.Position != x.last.Next() {
		x.t.Errorf("published %v after %v", c.Position, x.last)
	}
	x.last = c.Position
	records := map[schema.Instance]int{}
	rest := x.staged[:0:0]
	for _, s := range x.staged {
		switch s.pos.Compare(c.Position) {
		case 0:
			records[s.g.Instance] += len(s.g.Records)
		case 1:
			rest = append(rest, s)
		default:
			x.t.Errorf("what was staged at %v was never published", s.pos)
		}
	}
	x.staged = rest
	for _, g := range c.Groups {
		if records[g.Instance] != len(g.Records) {
			x.t.Errorf("chunk %v has %d records of instance %d, %d were staged", c.Position, len(g.Records), g.Instance, records[g.Instance])
		}
		delete(records, g.Instance)
	}
	if len(records) > 0 {
		x.t.Errorf("chunk %v lacks what was staged: %v", c.Position, records)
	}
	x.published = append(x.published, c)
}

func (x *fakeIndex) Discard(from schema.Position) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if from.Compare(x.last) <= 0 {
		x.t.Errorf("discarded from %v after %v was published", from, x.last)
	}
	for i := len(x.staged) - 1; i >= 0; i-- {
		if s := x.staged[i]; s.pos.Compare(from) >= 0 {
			x.live[s.g.Instance] = s.g.FirstSeq
			x.staged = x.staged[:i]
		}
	}
}

// apply applies n published chunks and tells up to where all are applied.
func (x *fakeIndex) apply(n int) schema.Position {
	x.mu.Lock()
	defer x.mu.Unlock()
	n = min(n, len(x.published))
	for _, c := range x.published[:n] {
		x.applyLocked(c)
	}
	x.published = x.published[n:]
	return x.applied
}

func (x *fakeIndex) applyLocked(c *schema.Chunk) {
	for _, g := range c.Groups {
		if g.FirstSeq != x.next[g.Instance] {
			x.t.Errorf("chunk %v: seq %d of instance %d, want %d", c.Position, g.FirstSeq, g.Instance, x.next[g.Instance])
		}
		x.next[g.Instance] = g.NextSeq()
		x.pointers[g.Instance] = append(x.pointers[g.Instance], c.Position.Chunk)
		for _, r := range g.Records {
			x.rows[g.Instance] = append(x.rows[g.Instance], string(r.Row))
		}
	}
	for _, a := range c.Answers {
		x.answers[a.Key] = a
	}
	x.applied, x.epoch = c.Position, max(x.epoch, c.Epoch)
}

// catchUp is Options.CatchUp.
func (x *fakeIndex) catchUp(_ context.Context, c *schema.Chunk) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c.Position != x.last.Next() {
		return fmt.Errorf("catch up with %v after %v", c.Position, x.last)
	}
	x.last = c.Position
	for _, g := range c.Groups {
		x.live[g.Instance] = g.NextSeq()
	}
	x.applyLocked(c)
	return nil
}

func (x *fakeIndex) options(s log.ChunkStore) log.Options {
	return log.Options{Store: s, WriterID: "test", InFlight: 1, State: x, Stager: x, Applied: x.applied}
}
