package kvindex_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// townsim drives the indexes of one collection and a map with the same
// operations.
type townsim struct {
	t    *testing.T
	rnd  *rand.Rand
	dir  string
	x    *kvindex.Index
	make *maker

	chunks  []*schema.Chunk
	applied int
	durable map[string]town // by id
	indexes []definedIndex  // durable
	known   []definedIndex  // when rows are decided
	nextID  schema.IndexID

	mu     sync.Mutex // with the builder's barrier
	moved  *sync.Cond
	staged *schema.Chunk
	after  map[string]town // the rows once staged is durable
	then   []definedIndex

	ends    map[string]int // how indexes were found when builds had ended
	refused int            // records
	rare    int            // one in so many records takes what may be another's
}

const townInst = schema.FirstUserInstance

func newTownsim(t *testing.T, seed uint64) *townsim {
	s := &townsim{t: t, rnd: rand.New(rand.NewPCG(seed, 9)), dir: t.TempDir(), make: newMaker(), durable: map[string]town{}}
	s.rare = []int{10, 400}[seed%2]
	s.moved, s.ends = sync.NewCond(&s.mu), map[string]int{}
	s.open()
	return s
}

func (s *townsim) open() {
	o := testOptions(s.dir).ShortRows(2 << 20)
	o.Catalog, o.BuildPerSecond = catalog{}, 20_000
	x := openForgetful(s.t, o, s.rnd)
	x.SetBuildBatch(7)
	s.x = x
}

// barrier waits for the batch that was decided and is not published.
func (s *townsim) barrier(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.moved.Broadcast)
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := s.staged; c != nil && s.staged == c; s.moved.Wait() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return ctx.Err()
}

func (s *townsim) build() { s.x.Build(s.barrier) }

func pick[T any](r *rand.Rand, from ...T) *T {
	if i := r.IntN(len(from) + 1); i < len(from) {
		return &from[i]
	}
	return nil
}

// longZip is of a row in parts.
var longZip = strings.Repeat("z", 260<<10)

func (s *townsim) town() town {
	number := s.rnd.IntN(120)
	t := town{id: fmt.Sprintf("k%d", number), city: pick(s.rnd, "", "a", "a\x00", "ab", "b")}
	t.zip = pick(s.rnd, "1", "22")
	if s.rnd.IntN(10) > 0 {
		if s.rnd.IntN(s.rare) == 0 {
			number = s.rnd.IntN(120) // perhaps another's
		}
		n := int64(number*3+s.rnd.IntN(3)) - 150
		t.n = &n
	}
	if s.rnd.IntN(40) == 0 {
		zip := longZip
		if s.indexed(4) {
			zip = string(make([]byte, 100))
		}
		t.zip = &zip
	}
	return t
}

func (s *townsim) indexed(field int) bool {
	return slices.ContainsFunc(s.known, func(x definedIndex) bool { return slices.Contains(x.Fields, field) })
}

// stage sequences a batch, without the records that a unique index refuses.
func (s *townsim) stage() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.staged != nil {
		return
	}
	s.after, s.then = maps.Clone(s.durable), s.indexes
	records := map[schema.Instance][]schema.Record{}
	definedFirst := s.rnd.IntN(2) == 0 // else after the rows, which are decided without
	if s.rnd.IntN(6) == 0 {
		s.redefine(records)
	}
	s.known = s.indexes
	if definedFirst {
		s.known = append(slices.Clip(s.indexes), s.then...)
		s.stageGroup(schema.InstanceCollections, records)
	}
	n := s.rnd.IntN(12)
	if s.rnd.IntN(20) == 0 {
		n = 700 // several transactions
	}
	var batch []town
	var gone []string
	seen := map[string]bool{}
	for range n {
		t := s.town()
		switch {
		case seen[t.id]:
		case s.rnd.IntN(4) == 0:
			gone = append(gone, t.id)
		default:
			batch = append(batch, t)
		}
		seen[t.id] = true
	}
	batch = s.decide(batch, gone)
	rs := records[townInst]
	for _, t := range batch {
		id := schema.SchemaID(1 + s.rnd.IntN(2))
		if id == 1 {
			t.zip = nil // the schema has none
		}
		rs = append(rs, t.record(id))
		s.after[t.id] = t
	}
	for _, id := range gone {
		rs = append(rs, schema.Record{Op: schema.OpDelete, Key: town{id: id}.record(1).Key})
		delete(s.after, id)
	}
	records[townInst] = rs
	s.stageGroup(townInst, records)
	if !definedFirst {
		s.stageGroup(schema.InstanceCollections, records)
	}
	s.staged = s.make.chunkOf(records)
}

// stageGroup stages the records of one collection in the next chunk.
func (s *townsim) stageGroup(inst schema.Instance, records map[schema.Instance][]schema.Record) {
	if len(records[inst]) > 0 {
		s.x.Stage(s.make.pos.Next(), []schema.Group{{Instance: inst, FirstSeq: s.make.next[inst], Records: records[inst]}})
	}
}

// decide drops what the index refuses until it refuses nothing, and holds each
// refusal against the map.
func (s *townsim) decide(batch []town, gone []string) []town {
	for {
		var records []schema.Record
		for _, t := range batch {
			records = append(records, t.record(2))
		}
		for _, id := range gone {
			records = append(records, schema.Record{Op: schema.OpDelete, Key: town{id: id}.record(1).Key})
		}
		found, err := s.x.Collisions(townInst, records)
		var unready *kvindex.NotReadyError
		if errors.As(err, &unready) && unready.Unique { // it may have been ready before the crash
			return nil
		}
		must(s.t, err)
		rows := maps.Clone(s.durable)
		for _, id := range gone {
			delete(rows, id)
		}
		for _, t := range batch {
			rows[t.id] = t
		}
		bad := map[int]bool{}
		for _, c := range found {
			if bad[c.Record] {
				s.t.Fatalf("record %d collides twice: %+v", c.Record, found)
			}
			bad[c.Record] = true
			x := s.named(c.Index)
			mine, null := batch[c.Record].fields(x)
			parts, err := towns[1].DecodeKey(c.Key, nil)
			must(s.t, err)
			other := rows[string(parts[0].Bytes())]
			if theirs, _ := other.fields(x); null || theirs != mine || string(c.Fields) != mine || other.id == batch[c.Record].id || !x.Unique {
				s.t.Fatalf("%+v is no collision with %+v in %+v", batch[c.Record], other, x)
			}
		}
		s.missed(rows, batch, bad)
		if len(found) == 0 {
			return batch
		}
		s.refused += len(found)
		kept := batch[:0:0]
		for i, t := range batch {
			if !bad[i] {
				kept = append(kept, t)
			}
		}
		batch = kept
	}
}

func (s *townsim) index(id schema.IndexID) definedIndex {
	all := append(slices.Clip(s.indexes), s.then...)
	i := slices.IndexFunc(all, func(x definedIndex) bool { return x.ID == id })
	if i < 0 {
		s.t.Fatalf("no index %d among %+v", id, all)
	}
	return all[i]
}

func (s *townsim) named(name string) definedIndex {
	var id schema.IndexID
	_, err := fmt.Sscanf(name, "x%d", &id)
	must(s.t, err)
	return s.index(id)
}

// missed looks for collisions in an index that was ready which were not told.
func (s *townsim) missed(rows map[string]town, batch []town, told map[int]bool) {
	list, err := s.x.Secondaries(context.Background(), townInst)
	must(s.t, err)
	for _, st := range list {
		i := slices.IndexFunc(s.indexes, func(x definedIndex) bool { return x.ID == st.ID && x.Unique })
		if i < 0 || st.State != kvindex.SecondaryReady || slices.IndexFunc(s.then, func(x definedIndex) bool { return x.ID == st.ID }) < 0 {
			continue
		}
		holders := map[string]string{}
		for _, id := range slices.Sorted(maps.Keys(rows)) {
			fields, null := rows[id].fields(s.indexes[i])
			other, dup := holders[fields]
			if !null && dup {
				among := func(id string) bool {
					at := slices.IndexFunc(batch, func(t town) bool { return t.id == id })
					return at >= 0 && told[at]
				}
				if !among(id) && !among(other) {
					s.t.Fatalf("index %d: %s and %s collide, and neither was told", st.ID, id, other)
				}
			}
			holders[fields] = id
		}
	}
}

var townIndexes = []definedIndex{
	{Fields: []int{2}}, {Fields: []int{3, 2}}, {Fields: []int{4}}, {Fields: []int{3}, Unique: true}, {Fields: []int{2, 3}, Unique: true},
}

func (s *townsim) redefine(records map[schema.Instance][]schema.Record) {
	then := slices.Clone(s.indexes)
	if len(then) > 0 && s.rnd.IntN(3) == 0 {
		then = slices.Delete(then, 0, 1)
	}
	if s.rnd.IntN(2) == 0 && len(then) < 4 {
		x := townIndexes[s.rnd.IntN(len(townIndexes))]
		s.nextID++
		x.ID = s.nextID
		then = append(then, x)
	}
	s.then = then
	records[schema.InstanceCollections] = []schema.Record{definition(townInst, then...)}
}

func (s *townsim) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.staged == nil {
		return
	}
	s.x.Publish(s.staged)
	s.chunks = append(s.chunks, s.staged)
	s.durable, s.indexes, s.staged = s.after, s.then, nil
	s.moved.Broadcast()
}

func (s *townsim) discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.staged == nil {
		return
	}
	s.x.Discard(s.staged.Position)
	for _, g := range s.staged.Groups {
		s.make.next[g.Instance] -= schema.Seq(len(g.Records))
	}
	s.make.pos.Chunk--
	s.staged = nil
	s.moved.Broadcast()
}

func (s *townsim) apply() {
	if s.applied == len(s.chunks) {
		return
	}
	few := s.chunks[s.applied:min(len(s.chunks), s.applied+1+s.rnd.IntN(4))]
	ctx := context.Background()
	if s.rnd.IntN(2) == 0 {
		err := s.x.Apply(&countdown{Context: ctx, left: s.rnd.IntN(3)}, few...)
		s.settled(few)
		if err == nil {
			return
		}
		s.check()
		if s.rnd.IntN(6) == 0 {
			s.crash()
			return
		}
	}
	must(s.t, s.x.Apply(ctx, few...))
	s.settled(few)
}

// settled counts the chunks that are applied.
func (s *townsim) settled(few []*schema.Chunk) {
	for _, c := range few {
		if s.applied < len(s.chunks) && s.chunks[s.applied] == c && c.Position.Compare(s.x.Applied()) <= 0 {
			s.applied++
		}
	}
}

// crash goes on from what a killed process leaves, or from nothing: then all of
// the log is applied again before anything is built.
func (s *townsim) crash() {
	old, from := s.x, s.dir
	s.dir = s.t.TempDir()
	anew := s.rnd.IntN(4) == 0
	if !anew {
		copyIndex(s.t, from, s.dir)
	}
	closeIndex(s.t, old)
	s.discardStaged()
	s.open()
	if anew {
		s.applied = 0
	}
	for ; s.applied < len(s.chunks); s.applied++ {
		must(s.t, s.x.Apply(context.Background(), s.chunks[s.applied]))
	}
	s.build()
}

// discardStaged forgets what was sequenced by the process that died.
func (s *townsim) discardStaged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.staged != nil {
		for _, g := range s.staged.Groups {
			s.make.next[g.Instance] -= schema.Seq(len(g.Records))
		}
		s.make.pos.Chunk--
		s.staged = nil
		s.moved.Broadcast()
	}
}

// check reads by every index, and compares with the map.
func (s *townsim) check() {
	for _, x := range s.indexes {
		var all []string
		rows := map[string]town{}
		for _, t := range s.durable {
			e, _ := t.entry(x)
			all = append(all, e)
			rows[e] = t
		}
		slices.Sort(all)
		s.checkIndex(x, all, rows)
	}
}

func (s *townsim) checkIndex(x definedIndex, all []string, rows map[string]town) {
	r := kvindex.KeyRange{Reverse: s.rnd.IntN(2) == 0}
	bound := func() []byte {
		e, _ := s.town().entry(x)
		return []byte(e[:s.rnd.IntN(len(e)+1)])
	}
	if s.rnd.IntN(2) == 0 {
		r.From = bound()
	}
	if s.rnd.IntN(2) == 0 {
		if r.To = bound(); len(r.To) == 0 {
			r.To = nil
		}
	}
	want := slices.DeleteFunc(slices.Clone(all), func(e string) bool {
		return e < string(r.From) || r.To != nil && e >= string(r.To)
	})
	if r.Reverse {
		slices.Reverse(want)
	}
	var got []string
	err := s.x.SecondaryRange(s.waiting(), townInst, x.ID, r, func(entry, key []byte, row kvindex.Row) (bool, error) {
		got = append(got, string(entry))
		id, err := schema.RowSchemaID(row.Bytes)
		must(s.t, err)
		if t, ok := rows[string(entry)]; ok && string(t.record(id).Row) != string(row.Bytes) {
			s.t.Fatalf("index %d: entry %q has the row of another version", x.ID, entry)
		}
		return true, nil
	})
	var unready *kvindex.NotReadyError
	if errors.As(err, &unready) || errors.Is(err, context.Canceled) {
		return // being built, or not applied
	}
	must(s.t, err)
	if !slices.Equal(got, want) {
		s.t.Fatalf("index %+v, range %+v: got %d entries, want %d\n%q\n%q", x, r, len(got), len(want), got, want)
	}
}

// waiting is a context that does not wait.
func (s *townsim) waiting() context.Context {
	if s.applied == len(s.chunks) {
		return context.Background()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// settle applies all there is, and lets builds end.
func (s *townsim) settle() {
	s.publish()
	for s.applied < len(s.chunks) {
		s.apply()
	}
	s.x.AwaitBuilds(s.t)
	list, err := s.x.Secondaries(context.Background(), townInst)
	must(s.t, err)
	if len(list) != len(s.indexes) {
		s.t.Fatalf("indexes %+v, want %+v", list, s.indexes)
	}
	if n := s.x.StagedDefinitions(); n > 0 {
		s.t.Fatalf("the overlay has %d definitions and entries of chunks that are applied", n)
	}
	want := 0
	for _, st := range list {
		if st.State == kvindex.SecondaryReady {
			want += len(s.durable)
		}
	}
	if got := s.x.CountEntries(townInst); got != want {
		s.t.Fatalf("%d entries of %+v, want %d of %d rows", got, list, want, len(s.durable))
	}
	for _, st := range list {
		x := s.index(st.ID)
		s.ends[fmt.Sprint(st.State, x.Unique)]++
		switch {
		case st.State == kvindex.SecondaryFailed && st.Reason != "" && (x.Unique || slices.Contains(x.Fields, 4)):
		case st.State != kvindex.SecondaryReady:
			s.t.Fatalf("index %+v is %v at the end: %+v", x, st.State, st)
		case x.Unique:
			holders := map[string]string{}
			for id, t := range s.durable {
				fields, null := t.fields(x)
				if other, dup := holders[fields]; dup && !null {
					s.t.Fatalf("index %d is ready, and %s and %s collide", x.ID, id, other)
				}
				holders[fields] = id
			}
		}
	}
	s.check()
	_, err = s.x.VerifySecondaries(context.Background(), townInst, func(d kvindex.EntryDifference) error {
		s.t.Errorf("verify: %+v", d)
		return nil
	})
	must(s.t, err)
}

func TestSecondaries(t *testing.T) {
	const enough = 24 // seeds to meet all ends
	var mu sync.Mutex
	runs, ends, refused := 0, map[string]int{}, 0
	t.Run("seeds", func(t *testing.T) {
		seedsOr(t, enough, func(t *testing.T, seed uint64) {
			s := newTownsim(t, seed)
			defer func() { closeIndex(t, s.x) }()
			s.build()
			s.run(300)
			mu.Lock()
			defer mu.Unlock()
			for end, n := range s.ends {
				ends[end] += n
			}
			runs, refused = runs+1, refused+s.refused
		})
	})
	t.Logf("how indexes ended: %v; %d records refused", ends, refused)
	if runs >= enough && (ends["ready false"] == 0 || ends["ready true"] == 0 || ends["failed true"] == 0 || refused == 0) {
		t.Error("the seeds do not test all ends")
	}
}

func (s *townsim) run(steps int) {
	for range steps {
		switch n := s.rnd.IntN(100); {
		case n < 30:
			s.stage()
		case n < 33:
			s.discard()
		case n < 60:
			s.publish()
		case n < 80:
			s.apply()
		case n < 83:
			s.crash()
		case n < 86:
			s.settle()
		case n < 90:
			runtime.Gosched() // a build may go on
		default:
			s.check()
		}
	}
	s.settle()
}
