package segment_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/trinedb/trine/log/segment"
)

// world is a channel in small: what is in the store, and what its owner and one
// reader keep in memory. It is a value that can be a key, but for its maps, whose
// text stands for them.
type world struct {
	last             uint64   // number of the last chunk that it gets
	empty            []uint64 // fences and void chunks
	durable, indexed uint64
	floor            uint64
	chunks           map[uint64]bool
	segments         map[segment.Ref]bool

	// The owner's memory, lost in a crash. nil: it has not started.
	owner *memory
	// steps are what Plan said and is not done yet.
	steps []segment.Action
	// view is the Set that the oldest read works with, nil if there is none.
	view *segment.Set
}

type memory struct {
	set    *segment.Set
	oldest *segment.Set
	swept  uint64
}

// full asks for the tests that take minutes.
var full = flag.Bool("full", false, "run the large forms of tests")

func (w *world) clone() *world {
	c := *w
	c.chunks, c.segments, c.steps = maps.Clone(w.chunks), maps.Clone(w.segments), slices.Clone(w.steps)
	if w.owner != nil {
		o := *w.owner
		c.owner = &o
	}
	return &c
}

// key tells states apart. Numbers are small.
func (w *world) key() string {
	b := []byte{byte(w.durable), byte(w.indexed), byte(w.floor), 0, 0}
	for n := range w.chunks {
		b[3] |= 1 << n
	}
	refs := func(all ...segment.Ref) {
		for _, r := range all {
			b = append(b, byte(r.Level), byte(r.From), byte(r.To))
		}
		b = append(b, '|')
	}
	set := func(s *segment.Set) {
		for _, span := range s.Spans() {
			b = append(b, byte(span.From), byte(span.To))
			refs(span.Ref)
		}
		refs(s.Obsolete()...)
	}
	refs(slices.SortedFunc(maps.Keys(w.segments), func(p, q segment.Ref) int {
		return cmp.Or(cmp.Compare(p.Level, q.Level), cmp.Compare(p.From, q.From), cmp.Compare(p.To, q.To))
	})...)
	for _, a := range w.steps {
		b = append(b, byte(a.Kind), byte(a.From), byte(a.To))
		refs(a.Segment)
	}
	if w.owner != nil {
		b = append(b, 'o', byte(w.owner.swept))
		set(w.owner.set)
		set(w.owner.oldest)
	}
	if w.view != nil {
		b = append(b, 'v')
		set(w.view)
	}
	return string(b)
}

// String tells the state when a test fails.
func (w *world) String() string {
	text := fmt.Sprintf("durable %d, indexed %d, floor %d, chunks %v, segments %v, steps %v", w.durable, w.indexed, w.floor,
		slices.Sorted(maps.Keys(w.chunks)), slices.Collect(maps.Keys(w.segments)), w.steps)
	if w.owner != nil {
		text += fmt.Sprintf("; owner reads %s, oldest %s", spansText(w.owner.set.Spans()), spansText(w.owner.oldest.Spans()))
	}
	if w.view != nil {
		text += fmt.Sprintf("; a reader %s", spansText(w.view.Spans()))
	}
	return text
}

// next gives all the states that can come next.
func (w *world) next(t *testing.T) []*world {
	var all []*world
	then := func(ok bool, change func(*world)) {
		if ok {
			c := w.clone()
			change(c)
			all = append(all, c)
		}
	}
	then(w.durable < w.last, func(c *world) { c.durable++; c.chunks[c.durable] = true })
	then(w.indexed < w.durable, func(c *world) { c.indexed = c.durable })
	then(w.view == nil && w.owner != nil, func(c *world) { c.view = c.owner.set })
	then(w.view != nil, func(c *world) { c.view = nil })
	then(w.owner == nil, func(c *world) { // starts
		s, err := segment.NewSet(slices.Collect(maps.Keys(c.segments))...)
		none, _ := segment.NewSet()
		if err != nil {
			t.Fatalf("%v: %v", w, err)
		}
		c.owner = &memory{set: s, oldest: none, swept: segment.SweptAtStart(c.floor)}
	})
	if w.owner == nil {
		return all
	}
	then(true, func(c *world) { c.owner, c.steps, c.view = nil, nil, nil }) // crashes
	set := w.owner.set
	then(set.To() < w.durable, func(c *world) { // builds
		made := ref(1, set.To()+1, min(w.durable, set.To()+2))
		for n := made.From; n <= made.To; n++ {
			if !w.chunks[n] {
				t.Fatalf("%v: chunk %d is gone, and in no segment", w, n)
			}
		}
		c.put(t, made)
	})
	then(len(set.Spans()) > 1, func(c *world) { // merges what is there
		in := set.Spans()
		level := slices.MaxFunc(in, func(a, b segment.Span) int { return a.Ref.Level - b.Ref.Level }).Ref.Level
		if level < 3 {
			c.put(t, ref(level+1, in[0].From, in[len(in)-1].To))
		}
	})
	then(w.view == nil || spansText(w.view.Spans()) == spansText(set.Spans()), func(c *world) { c.owner.oldest = set }) // the grace is over
	then(len(w.steps) == 0, func(c *world) { c.steps = segment.Plan(c.state()) })
	then(len(w.steps) > 0, func(c *world) { c.do(t) })
	return all
}

// put makes a segment, and lets the owner know.
func (w *world) put(t *testing.T, made segment.Ref) {
	w.segments[made] = true
	w.owner.set = change(t, w.owner.set.With, made)
}

func change(t *testing.T, fn func(...segment.Ref) (*segment.Set, error), r segment.Ref) *segment.Set {
	s, err := fn(r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) state() segment.State {
	return segment.State{
		Set: w.owner.set, Oldest: w.owner.oldest, Floor: w.floor, Swept: w.owner.swept,
		Indexed: w.indexed, Reading: w.durable, Empty: w.empty,
	}
}

// do does a part of the next step: of several chunks any prefix can be all that
// is done before a crash.
func (w *world) do(t *testing.T) {
	a := w.steps[0]
	switch a.Kind {
	case segment.RaiseFloor:
		w.floor = a.To
	case segment.DeleteSegment:
		delete(w.segments, a.Segment)
		w.owner.set = change(t, w.owner.set.Without, a.Segment)
	case segment.DeleteChunks:
		for n := a.From; n <= a.To; n++ {
			if w.chunks[n] && !slices.Contains(a.Keep, n) {
				delete(w.chunks, n)
				return // and goes on later
			}
		}
		w.owner.swept = a.To
	}
	w.steps = w.steps[1:]
}

// check holds a state to what must always be so.
func (w *world) check(t *testing.T) {
	t.Helper()
	fail := func(format string, args ...any) {
		t.Fatalf("%v:\n%s", w, fmt.Sprintf(format, args...))
	}
	s, err := segment.NewSet(slices.Collect(maps.Keys(w.segments))...)
	if err != nil {
		fail("listed: %v", err)
	}
	for n := uint64(1); n <= w.durable; n++ {
		held := s.From() != 0 && s.From() <= n && n <= s.To()
		switch {
		case !held && !w.chunks[n]:
			fail("chunk %d is lost", n)
		case n > w.floor && !w.chunks[n]:
			fail("chunk %d is gone, and above the floor", n)
		case n > w.indexed && !w.chunks[n]:
			fail("chunk %d is gone, and the index needs it", n)
		case slices.Contains(w.empty, n) && !w.chunks[n]:
			fail("chunk %d is gone, which is kept for ever", n)
		}
	}
	if w.floor > 0 && (w.floor >= w.durable || slices.Contains(w.empty, w.floor+1)) {
		fail("the chunk after the floor does not count")
	}
	if w.view != nil { // a reader meets nothing that is gone
		for _, span := range w.view.Spans() {
			if !w.segments[span.Ref] {
				fail("a reader misses %v", span.Ref)
			}
		}
		for n := w.view.To() + 1; n <= w.durable; n++ {
			if !w.chunks[n] {
				fail("a reader misses chunk %d", n)
			}
		}
	}
}

// TestPlanInAllStates goes through all that can happen to a small channel, with a
// crash after each step, and holds each state to what must be so.
func TestPlanInAllStates(t *testing.T) {
	worlds := []world{{last: 4, empty: []uint64{2}}, {last: 4, empty: []uint64{3}}}
	if *full {
		worlds = []world{{last: 5, empty: []uint64{2, 4}}, {last: 5, empty: []uint64{3}}}
	}
	for _, first := range worlds {
		first.chunks, first.segments = map[uint64]bool{}, map[segment.Ref]bool{}
		seen := map[string]bool{first.key(): true}
		deleted := 0
		for queue := []*world{&first}; len(queue) > 0; {
			w := queue[0]
			queue = queue[1:]
			w.check(t)
			deleted = max(deleted, int(w.durable)-len(w.chunks))
			for _, c := range w.next(t) {
				if k := c.key(); !seen[k] {
					seen[k] = true
					queue = append(queue, c)
				}
			}
		}
		if deleted < 2 {
			t.Errorf("%d chunks were deleted at most", deleted)
		}
		t.Logf("%d chunks, of them empty %v: %d states", first.last, first.empty, len(seen))
	}
}

func TestPlan(t *testing.T) {
	set := func(text string) *segment.Set {
		s, err := segment.NewSet(parse(t, text)...)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	long := make([]uint64, 3000)
	for i := range long {
		long[i] = uint64(i + 1)
	}
	for _, c := range []struct {
		name  string
		state segment.State
		want  string
	}{
		{"nothing in segments", segment.State{Set: set(""), Oldest: set(""), Indexed: 9, Reading: 9}, ""},
		{"all agree", segment.State{Set: set("1:1-8"), Oldest: set("1:1-8"), Indexed: 9, Reading: 9},
			"raise floor to 7; delete chunks 1 to 7 but []"},
		{"the index is behind", segment.State{Set: set("1:1-8"), Oldest: set("1:1-8"), Indexed: 4, Reading: 9},
			"raise floor to 4; delete chunks 1 to 4 but []"},
		{"something reads chunks", segment.State{Set: set("1:1-8"), Oldest: set("1:1-8"), Indexed: 8, Reading: 3},
			"raise floor to 3; delete chunks 1 to 3 but []"},
		{"a reader has an older set", segment.State{Set: set("1:1-4 1:5-8"), Oldest: set("1:1-4"), Indexed: 8, Reading: 8},
			"raise floor to 4; delete chunks 1 to 4 but []"},
		{"fences are kept", segment.State{Set: set("1:1-8"), Oldest: set("1:1-8"), Indexed: 8, Reading: 8, Empty: []uint64{2, 5}},
			"raise floor to 7; delete chunks 1 to 7 but [2 5]"},
		{"no void chunk after the floor", segment.State{Set: set("1:1-8"), Oldest: set("1:1-8"), Indexed: 8, Reading: 8, Empty: []uint64{2, 7, 8}},
			"raise floor to 5; delete chunks 1 to 5 but [2]"},
		{"cut short before", segment.State{Set: set("1:1-8"), Oldest: set(""), Floor: 5, Swept: 1, Indexed: 8, Reading: 8, Empty: []uint64{2, 7}},
			"delete chunks 2 to 5 but [2]"},
		{"at most so many", segment.State{Set: set("1:1-5000"), Oldest: set("1:1-5000"), Indexed: 8000, Reading: 8000},
			"raise floor to 1024; delete chunks 1 to 1024 but []"},
		{"nothing but fences", segment.State{Set: set("1:1-5000"), Oldest: set("1:1-5000"), Indexed: 8000, Reading: 8000, Empty: long[:1500]},
			"raise floor to 1500; delete chunks 1 to 1500 but " + fmt.Sprint(long[:1500])},
		{"nothing but fences so far", segment.State{Set: set("1:1-1500"), Oldest: set("1:1-1500"), Indexed: 8000, Reading: 8000, Empty: long[:1500]}, ""},
		{"a hole below the segments", segment.State{Set: set("1:5-8"), Oldest: set("1:5-8"), Indexed: 8, Reading: 8}, ""},
		{"merged", segment.State{Set: set("1:1-4 1:5-8 2:1-8"), Oldest: set("1:1-4 1:5-8 2:1-8"), Floor: 7, Swept: 7},
			"delete " + ref(1, 1, 4).Name() + "; delete " + ref(1, 5, 8).Name()},
		{"merged, the grace has not begun", segment.State{Set: set("1:1-4 1:5-8 2:1-8"), Oldest: set(""), Floor: 7, Swept: 7}, ""},
		{"merged, a reader is on the inputs", segment.State{Set: set("1:1-4 1:5-8 2:1-8"), Oldest: set("1:1-4 1:5-8"), Floor: 7, Swept: 7}, ""},
	} {
		var got []string
		for _, a := range segment.Plan(c.state) {
			got = append(got, a.String())
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.name, text, c.want)
		}
	}
}
