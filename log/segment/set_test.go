package segment_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// parse reads "level:from-to" or, of a span, "level:from-to[from-to]".
func parse(t *testing.T, text string) []segment.Ref {
	t.Helper()
	var refs []segment.Ref
	for word := range strings.FieldsSeq(text) {
		var r segment.Ref
		if _, err := fmt.Sscanf(word, "%d:%d-%d", &r.Level, &r.From, &r.To); err != nil {
			t.Fatalf("%q: %v", word, err)
		}
		refs = append(refs, ref(r.Level, r.From, r.To))
	}
	return refs
}

func short(r segment.Ref) string { return fmt.Sprintf("%d:%d-%d", r.Level, r.From, r.To) }

func spansText(spans []segment.Span) string {
	words := make([]string, len(spans))
	for i, s := range spans {
		if words[i] = short(s.Ref); s.From != s.Ref.From || s.To != s.Ref.To {
			words[i] += fmt.Sprintf("[%d-%d]", s.From, s.To)
		}
	}
	return strings.Join(words, " ")
}

func refsText(refs []segment.Ref) string {
	words := make([]string, len(refs))
	for i, r := range refs {
		words[i] = short(r)
	}
	return strings.Join(words, " ")
}

func TestSet(t *testing.T) {
	for _, c := range []struct{ name, refs, spans, obsolete string }{
		{"none", "", "", ""},
		{"in a row", "1:4-6 1:1-3", "1:1-3 1:4-6", ""},
		{"twice", "1:1-3 1:1-3", "1:1-3", ""},
		{"merged, inputs not deleted yet", "1:1-2 1:3-4 2:1-4 1:5-6", "2:1-4 1:5-6", "1:1-2 1:3-4"},
		{"merged, inputs deleted in part", "1:3-4 2:1-4 1:5-6", "2:1-4 1:5-6", "1:3-4"},
		{"merged twice", "1:1-2 2:1-4 3:1-8 2:5-8", "3:1-8", "2:1-4 2:5-8 1:1-2"},
		{"two owners built", "1:1-3 1:1-5 1:4-7", "1:1-5 1:4-7[6-7]", "1:1-3"},
		{"two owners merged", "2:1-4 2:3-8", "2:1-4 2:3-8[5-8]", ""},
		{"cut in the middle", "1:1-9 2:4-6", "1:1-9[1-3] 2:4-6 1:1-9[7-9]", ""},
		{"begins later", "1:5-6", "1:5-6", ""},
	} {
		s, err := segment.NewSet(parse(t, c.refs)...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := spansText(s.Spans()); got != c.spans {
			t.Errorf("%s: reads %s, want %s", c.name, got, c.spans)
		}
		if got := refsText(s.Obsolete()); got != c.obsolete {
			t.Errorf("%s: obsolete %s, want %s", c.name, got, c.obsolete)
		}
	}
	if _, err := segment.NewSet(parse(t, "1:1-2 1:4-5")...); !errors.Is(err, segment.ErrHole) {
		t.Errorf("a hole: %v", err)
	}
	if _, err := segment.NewSet(ref(1, 1, 2), segment.Ref{Channel: channel, Generation: 9, Level: 1, From: 3, To: 4}); !errors.Is(err, schema.ErrInvalid) {
		t.Errorf("two generations: %v", err)
	}
}

func TestPlanMerge(t *testing.T) {
	row := func(level, n int, from uint64) string {
		var words []string
		for i := range uint64(n) {
			words = append(words, fmt.Sprintf("%d:%d-%d", level, from+i, from+i))
		}
		return strings.Join(words, " ")
	}
	for _, c := range []struct{ name, refs, want string }{
		{"none", "", ""},
		{"too few", row(1, 7, 1), ""},
		{"a level full", row(1, 8, 1), "2:1-8"},
		{"the oldest", row(1, 9, 1), "2:1-8"},
		{"the lowest level first", row(2, 8, 1) + " " + row(1, 8, 9), "2:9-16"},
		{"then the next", row(2, 8, 1) + " " + row(1, 7, 9), "3:1-8"},
		{"not beyond what is of the level", row(2, 5, 1) + " " + row(1, 7, 6), ""},
		{"a stray between is taken along", row(2, 4, 1) + " " + row(1, 1, 5) + " " + row(2, 4, 6), "3:1-8"},
		{"many strays", row(1, 7, 1) + " 2:8-9 " + row(1, 7, 10), "3:1-9"},
		{"neighbours only", row(1, 6, 1) + " 2:7-8 " + row(1, 7, 9), ""},
		{"the highest level", row(9, 20, 1), ""},
	} {
		s, err := segment.NewSet(parse(t, c.refs)...)
		if err != nil {
			t.Fatal(err)
		}
		job, ok := segment.PlanMerge(s)
		got := ""
		if ok {
			got = short(job.Output)
			if err := job.Validate(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if got != c.want {
			t.Errorf("%s: merge to %q, want %q", c.name, got, c.want)
		}
	}
}

// TestRunsStayFew builds many segments, merging all that is to be merged: the
// number of runs stays below 8 for each level, and a change is rewritten once a
// level.
func TestRunsStayFew(t *testing.T) {
	s, _ := segment.NewSet()
	var rewritten uint64
	const n = 5000
	for i := uint64(1); i <= n; i++ {
		var err error
		if s, err = s.With(ref(1, i, i)); err != nil {
			t.Fatal(err)
		}
		for {
			job, ok := segment.PlanMerge(s)
			if !ok {
				break
			}
			if s, err = s.With(job.Output); err != nil {
				t.Fatal(err)
			}
			if s, err = s.Without(s.Obsolete()...); err != nil {
				t.Fatal(err)
			}
			rewritten += job.Output.To - job.Output.From + 1
		}
		levels := (bits.Len64(i) + 2) / 3
		if got := len(s.Spans()); got > (segment.FanIn-1)*levels {
			t.Fatalf("%d segments after %d: %s", got, i, spansText(s.Spans()))
		}
	}
	if rewritten > 5*n {
		t.Errorf("%d chunks rewritten of %d", rewritten, n)
	}
}

// names is a Lister of segments that change while they are listed: between gives
// the change that happens before each level is listed.
type names struct {
	now     map[segment.Ref]bool
	between func()
}

func (n *names) List(_ context.Context, prefix, _ string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		n.between()
		for r := range n.now { // in no order
			if strings.HasPrefix(r.Name(), prefix) && !yield(r.Name(), nil) {
				return
			}
		}
	}
}

// TestSchedules lets two owners, of whom one was replaced and does not know, build
// and merge and delete in any order, each by what it saw last, and lets them crash
// between any two steps. Whoever lists finds each chunk once, also while he does.
func TestSchedules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 2))
		store := &names{now: map[segment.Ref]bool{}}
		durable := uint64(1)
		var owners [2]*owner
		step := func() {
			durable += r.Uint64N(3)
			i := r.IntN(len(owners))
			if owners[i] == nil || r.IntN(25) == 0 {
				owners[i] = nil // crashed, and starts anew
				quiet := *store
				quiet.between = func() {}
				s, err := segment.List(context.Background(), &quiet, channel, generation)
				if err != nil {
					rt.Fatalf("list: %v", err)
				}
				owners[i] = &owner{set: s, fan: 2 + r.IntN(3)}
			}
			owners[i].step(rt, r, store.now, durable)
		}
		store.between = func() {
			for range r.IntN(4) {
				step()
			}
		}
		for range 60 {
			step()
			known := durableTo(store.now)
			s, err := segment.List(context.Background(), store, channel, generation)
			if err != nil {
				rt.Fatalf("list: %v", err)
			}
			if len(s.Spans()) > 0 && s.From() != 1 || s.To() < known {
				rt.Fatalf("reads %s, but %d was in a segment before", spansText(s.Spans()), known)
			}
		}
	})
}

func durableTo(refs map[segment.Ref]bool) (to uint64) {
	for r := range refs {
		to = max(to, r.To)
	}
	return to
}

// owner does what an owner of a channel does with segments.
type owner struct {
	set *segment.Set
	fan int
}

func (o *owner) step(rt *rapid.T, r *rand.Rand, store map[segment.Ref]bool, durable uint64) {
	var err error
	switch spans := o.set.Spans(); r.IntN(4) {
	case 0: // build
		if to := o.set.To(); to < durable {
			made := ref(1, to+1, to+1+r.Uint64N(durable-to))
			store[made] = true
			o.set, err = o.set.With(made)
		}
	case 1: // merge neighbours
		if len(spans) < o.fan {
			return
		}
		at := r.IntN(len(spans) - o.fan + 1)
		inputs := spans[at : at+o.fan]
		level := 0
		for _, in := range inputs {
			if level = max(level, in.Ref.Level); !store[in.Ref] {
				o.set, err = segment.NewSet(slices.Collect(maps.Keys(store))...) // is gone: look again
				if err != nil {
					rt.Fatal(err)
				}
				return
			}
		}
		if level < segment.MaxLevel {
			made := ref(level+1, inputs[0].From, inputs[len(inputs)-1].To)
			store[made] = true
			o.set, err = o.set.With(made)
		}
	default: // delete one that is obsolete
		if gone := o.set.Obsolete(); len(gone) > 0 {
			one := gone[r.IntN(len(gone))]
			delete(store, one)
			o.set, err = o.set.Without(one)
		}
	}
	if err != nil {
		rt.Fatal(err)
	}
}

// TestListTellsLoss lists segments of which one is lost, and objects that are
// none.
func TestListTellsLoss(t *testing.T) {
	store := blob.NewMem()
	put := func(name string) {
		if err := store.PutIfAbsent(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	put(ref(1, 1, 2).Name())
	put(ref(1, 5, 6).Name())
	if _, err := segment.List(t.Context(), store, channel, generation); !errors.Is(err, segment.ErrHole) || !errors.Is(err, schema.ErrCorrupt) {
		t.Errorf("a hole: %v", err)
	}
	put(ref(2, 3, 4).Name())
	s, err := segment.List(t.Context(), store, channel, generation)
	if err != nil || spansText(s.Spans()) != "1:1-2 2:3-4 1:5-6" {
		t.Errorf("%v, %v", s, err)
	}
	put("seg/7/3/1/x")
	if _, err := segment.List(t.Context(), store, channel, generation); !errors.Is(err, schema.ErrCorrupt) {
		t.Errorf("a strange name: %v", err)
	}
}
