package kvindex_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// pointersim drives two indexes with the same chunks and flushes; one of them
// lets pointers go. Records of a collection have one length, so that shares are
// exact.
type pointersim struct {
	t           *testing.T
	rnd         *rand.Rand
	make        *maker
	chunks      []*schema.Chunk
	keeps, lets *kvindex.Index
	told        uint64 // pointers of all collections up to it are gone
	asked       int    // Between was
	dropped     int
}

var pointerInsts = []schema.Instance{16, 17, 18, 19}

func (s *pointersim) apply() {
	records := map[schema.Instance][]schema.Record{}
	for _, inst := range pointerInsts {
		if s.rnd.IntN(int(inst-14)) > 0 {
			continue // the last are seldom written
		}
		for range 1 + s.rnd.IntN(5) {
			records[inst] = append(records[inst], upsert(fmt.Sprintf("key %4d", s.rnd.IntN(1000)), fmt.Sprintf("%*d", inst, s.rnd.IntN(10))))
		}
	}
	c := s.make.chunkOf(records)
	s.chunks = append(s.chunks, c)
	must(s.t, s.keeps.Apply(s.t.Context(), c))
	must(s.t, s.lets.Apply(s.t.Context(), c))
}

// drop lets pointers go: of those collections that have any that are new, or all.
func (s *pointersim) drop() {
	through := s.told + s.rnd.Uint64N(uint64(len(s.chunks))-s.told+1)
	var held iter.Seq2[schema.Instance, error]
	if s.rnd.IntN(3) > 0 {
		ids := map[schema.Instance]bool{}
		for _, c := range s.chunks[s.told:through] {
			for _, g := range c.Groups {
				ids[g.Instance] = true
			}
		}
		held = func(yield func(schema.Instance, error) bool) {
			for _, inst := range append([]schema.Instance{3}, pointerInsts...) { // one that is not there
				if (ids[inst] || inst == 3) && !yield(inst, nil) {
					return
				}
			}
		}
	}
	n, err := s.lets.DropGroups(s.t.Context(), at(through), held)
	must(s.t, err)
	s.dropped += n
	s.told = through
}

// between is Flush.Between, from the log.
func (s *pointersim) between(inst schema.Instance) func(context.Context, schema.Seq, schema.Seq) (int64, time.Time, error) {
	return func(_ context.Context, from, to schema.Seq) (bytes int64, since time.Time, err error) {
		s.asked++
		for _, c := range s.chunks {
			g, _ := c.Group(inst)
			for i, r := range g.Records {
				if seq := g.FirstSeq + schema.Seq(i); seq >= from && seq < to {
					if since.IsZero() {
						since = time.UnixMicro(c.TimeMicros)
					}
					bytes += int64(len(r.Key) + len(r.Row))
				}
			}
		}
		return bytes, since, nil
	}
}

// flush records a flush of both, also of a table that lost its newest versions.
func (s *pointersim) flush() {
	inst := pointerInsts[s.rnd.IntN(len(pointerInsts))]
	st, err := s.keeps.Stats(s.t.Context(), inst)
	must(s.t, err)
	if st.NextSeq == 0 {
		return
	}
	f := kvindex.Flush{LakeSeq: st.LakeSeq + schema.Seq(s.rnd.Uint64N(uint64(st.NextSeq-st.LakeSeq)+1)), Snapshot: s.rnd.Int64()}
	if s.rnd.IntN(5) == 0 {
		f.Anew, f.LakeSeq = true, schema.Seq(s.rnd.Uint64N(uint64(st.LakeSeq)+1))
	}
	f.Between = s.between(inst)
	must(s.t, s.lets.RecordFlush(s.t.Context(), inst, f))
	f.Between = nil // it has its pointers
	must(s.t, s.keeps.RecordFlush(s.t.Context(), inst, f))
}

func (s *pointersim) groups(x *kvindex.Index, inst schema.Instance) (list []kvindex.GroupRef) {
	must(s.t, x.Groups(s.t.Context(), inst, 0, func(g kvindex.GroupRef) (bool, error) {
		list = append(list, g)
		return true, nil
	}))
	return list
}

// check demands that the two tell the same of all but the pointers that are gone.
func (s *pointersim) check() {
	s.t.Helper()
	for _, inst := range pointerInsts {
		want, err := s.keeps.Stats(s.t.Context(), inst)
		must(s.t, err)
		got, err := s.lets.Stats(s.t.Context(), inst)
		must(s.t, err)
		if got != want {
			s.t.Fatalf("instance %d: %+v, want %+v", inst, got, want)
		}
		all := s.groups(s.keeps, inst)
		left := slices.DeleteFunc(slices.Clone(all), func(g kvindex.GroupRef) bool { return g.Position.Chunk <= s.told })
		if got := s.groups(s.lets, inst); !slices.Equal(got, left) {
			s.t.Fatalf("instance %d: pointers %+v are left, want %+v", inst, got, left)
		}
		from := schema.Seq(s.rnd.Uint64N(uint64(want.NextSeq) + 1))
		to := from + schema.Seq(s.rnd.Uint64N(uint64(want.NextSeq-from)+2))
		wantX, err := s.keeps.LogBetween(s.t.Context(), inst, from, to)
		must(s.t, err)
		gotX, err := s.lets.LogBetween(s.t.Context(), inst, from, to)
		must(s.t, err)
		if len(left) == 0 {
			wantX.LastMicros = 0
		}
		if gotX != wantX {
			s.t.Fatalf("instance %d from %d to %d: %+v, want %+v, pointers %+v", inst, from, to, gotX, wantX, left)
		}
		exact, _, err := s.between(inst)(s.t.Context(), from, to)
		must(s.t, err)
		if s.asked--; gotX.Bytes != exact {
			s.t.Fatalf("instance %d from %d to %d: %d bytes, are %d", inst, from, to, gotX.Bytes, exact)
		}
	}
}

// TestDropGroups demands that pointers which go change nothing that is told.
func TestDropGroups(t *testing.T) {
	for seed := range uint64(20) {
		s := &pointersim{t: t, rnd: rand.New(rand.NewPCG(seed, 14)), make: newMaker()}
		s.keeps, s.lets = open(t, t.TempDir()), open(t, t.TempDir())
		for range 120 {
			switch s.rnd.IntN(6) {
			case 0:
				s.drop()
			case 1:
				s.flush()
			default:
				s.apply()
			}
			if s.check(); t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		if s.asked == 0 || s.dropped == 0 {
			t.Errorf("seed %d: %d pointers went, what they told was asked for %d times", seed, s.dropped, s.asked)
		}
		closeIndex(t, s.keeps)
		closeIndex(t, s.lets)
	}
}

// TestDropGroupsMany drops more pointers than one transaction takes, is cut short,
// and is not let ahead of what is applied.
func TestDropGroupsMany(t *testing.T) {
	x, m := open(t, t.TempDir()), newMaker()
	const chunks = 1200
	for range chunks {
		must(t, x.Apply(t.Context(), m.chunk(16, insert("row"))))
	}
	must(t, x.Apply(t.Context(), m.chunk(17, insert("row"))))
	if _, err := x.DropGroups(t.Context(), at(chunks+2), nil); !errors.Is(err, schema.ErrUnavailable) {
		t.Errorf("ahead of what is applied: %v", err)
	}
	failed := errors.New("segment is gone")
	one := func(yield func(schema.Instance, error) bool) { _ = yield(16, nil) && yield(0, failed) }
	n, err := x.DropGroups(t.Context(), at(chunks-100), one)
	if !errors.Is(err, failed) || n == 0 {
		t.Errorf("%d dropped before %v", n, err)
	}
	more, err := x.DropGroups(t.Context(), at(chunks-100), nil)
	if err != nil || n+more != chunks-100 {
		t.Errorf("%d and %d dropped, want %d (%v)", n, more, chunks-100, err)
	}
	first := 0
	must(t, x.Groups(t.Context(), 16, 0, func(g kvindex.GroupRef) (bool, error) {
		first = int(g.FirstSeq)
		return false, nil
	}))
	if first != chunks-100 {
		t.Errorf("the first pointer left begins at %d", first)
	}
}

// TestDropGroupsWhileWritten writes to collections while their pointers go: what was
// the newest pointer does not stay as an older one.
func TestDropGroupsWhileWritten(t *testing.T) {
	x, m := open(t, t.TempDir()), newMaker()
	write := func() {
		must(t, x.Apply(t.Context(), m.chunkOf(map[schema.Instance][]schema.Record{16: {insert("row")}, 17: {insert("row")}})))
	}
	write()
	write()
	of := func(yield func(schema.Instance, error) bool) {
		if yield(16, nil) {
			write()
			yield(17, nil)
		}
	}
	_, err := x.DropGroups(t.Context(), at(2), of)
	must(t, err)
	for inst := schema.Instance(16); inst <= 17; inst++ {
		must(t, x.Groups(t.Context(), inst, 0, func(g kvindex.GroupRef) (bool, error) {
			if g.FirstSeq != 2 {
				t.Errorf("instance %d: a pointer to seq %d is left", inst, g.FirstSeq)
			}
			return true, nil
		}))
	}
}
