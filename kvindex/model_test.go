package kvindex_test

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// state is what a reader may see of all collections at one position.
type state map[schema.Instance]map[string]modelRow

type modelRow struct {
	row  string
	seq  schema.Seq
	time int64
}

func (s state) change(inst schema.Instance, seq schema.Seq, time int64, r schema.Record) {
	if s[inst] == nil {
		s[inst] = map[string]modelRow{}
	}
	key := string(r.Key)
	if key == "" {
		key = fmt.Sprintf("\x00%d", seq) // append-only: every record is a row
	}
	if r.Op == schema.OpDelete {
		delete(s[inst], key)
		return
	}
	s[inst][key] = modelRow{string(r.Row), seq, time}
}

// simulation drives an index and a model of it with the same random
// operations.
type simulation struct {
	t    *testing.T
	rnd  *rand.Rand
	dir  string
	x    *kvindex.Index
	make *maker
	// dirtyBytes wait in a collection without a table that is dirty.
	dirtyBytes int64

	chunks  []*schema.Chunk // all durable ones, by position from 1
	groups  map[schema.Instance][]kvindex.GroupRef
	log     map[schema.Instance][]int64 // bytes of each change
	durable state
	applied state
	nextApp int // index into chunks of the next to apply
	staged  *schema.Chunk
	lake    map[schema.Instance]kvindex.Flush
	locs    map[schema.Instance]map[string]kvindex.Location
	dropped map[schema.Instance]bool
}

const (
	keyedA schema.Instance = 16 + iota
	keyedB
	appendOnly
	big
)

var instances = []schema.Instance{schema.InstanceCollections, keyedA, keyedB, appendOnly, big}

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{
		t: t, rnd: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir(), make: newMaker(),
		groups: map[schema.Instance][]kvindex.GroupRef{}, log: map[schema.Instance][]int64{},
		durable: state{}, applied: state{},
		lake: map[schema.Instance]kvindex.Flush{}, locs: map[schema.Instance]map[string]kvindex.Location{},
		dropped: map[schema.Instance]bool{},
	}
	s.dirtyBytes = []int64{0, 300, 5000}[seed%3]
	s.open()
	return s
}

// open opens what is in dir, with memtables that are full now and then.
func (s *simulation) open() {
	o := testOptions(s.dir).ShortRows(8 << 20)
	o.DirtyBytes = s.dirtyBytes
	s.x = openForgetful(s.t, o, s.rnd)
}

func (s *simulation) record(inst schema.Instance) schema.Record {
	if inst == appendOnly {
		return insert(fmt.Sprintf("event %d", s.rnd.IntN(1000)))
	}
	key := fmt.Sprintf("k%0*d", 1+s.rnd.IntN(3), s.rnd.IntN(60))
	if s.rnd.IntN(4) == 0 {
		return remove(key)
	}
	row := fmt.Sprintf("%s=%d", key, s.rnd.IntN(1e6))
	if inst == big && s.rnd.IntN(3) == 0 {
		more := s.rnd.IntN(100) // about one part
		s.maybe(3, func() { more = s.rnd.IntN(700 << 10) })
		row += string(bytes.Repeat([]byte{byte('a' + s.rnd.IntN(26))}, kvindex.PartBytes-50+more))
	}
	return upsert(key, row)
}

// stage sequences the next chunk, in one or more batches.
func (s *simulation) stage() {
	if s.staged != nil {
		return
	}
	records := map[schema.Instance][]schema.Record{}
	n := 1 + s.rnd.IntN(20)
	if s.rnd.IntN(20) == 0 {
		n = 500 + s.rnd.IntN(2000) // several transactions
	}
	for range n {
		inst := instances[s.rnd.IntN(len(instances))]
		if inst == big && s.rnd.IntN(10) > 0 {
			inst = keyedA
		}
		if s.dropped[inst] && s.rnd.IntN(10) > 0 {
			continue
		}
		records[inst] = append(records[inst], s.record(inst))
	}
	if s.rnd.IntN(15) == 0 {
		clear(records) // a fence
	}
	c := s.make.chunkOf(records)
	for range s.rnd.IntN(3) {
		a := schema.Answer{Instance: keyedA, FirstSeq: 5, Count: 6, Position: c.Position}
		a.Key = answerOf(c.Position, len(c.Answers))
		c.Answers = append(c.Answers, a)
	}
	s.x.Stage(c.Position, c.Groups)
	s.staged = c
}

func answerOf(p schema.Position, i int) (k schema.DedupKey) {
	copy(k[:], fmt.Sprintf("%d/%d", p.Chunk, i))
	return k
}

// discard takes the staged chunk back: its writes failed.
func (s *simulation) discard() {
	if s.staged == nil {
		return
	}
	s.x.Discard(s.staged.Position)
	for _, g := range s.staged.Groups {
		s.make.next[g.Instance] -= schema.Seq(len(g.Records))
	}
	s.make.pos.Chunk--
	s.staged = nil
}

func (s *simulation) publish() {
	if s.staged == nil {
		return
	}
	c := s.staged
	s.staged = nil
	s.x.Publish(c)
	s.chunks = append(s.chunks, c)
	fold(s.durable, c)
}

func fold(st state, c *schema.Chunk) {
	for _, g := range c.Groups {
		for i, r := range g.Records {
			st.change(g.Instance, g.FirstSeq+schema.Seq(i), c.TimeMicros, r)
		}
	}
}

func (s *simulation) apply() {
	if s.nextApp == len(s.chunks) {
		return
	}
	few := s.chunks[s.nextApp:min(len(s.chunks), s.nextApp+1+s.rnd.IntN(4))]
	ctx := context.Background()
	if s.rnd.IntN(2) == 0 { // cut short between transactions, and repeated
		err := s.x.Apply(&countdown{Context: ctx, left: s.rnd.IntN(3)}, few...)
		s.settleAll(few)
		if err == nil {
			return
		}
		s.maybe(3, func() { // readers see the whole chunk, of which a part is applied
			for _, inst := range []schema.Instance{schema.InstanceCollections, keyedA, big} {
				s.checkRows(inst)
			}
		})
	}
	s.maybe(20, s.crash)
	must(s.t, s.x.Apply(ctx, few...))
	s.settleAll(few)
	if want := few[len(few)-1].Position; s.x.Applied() != want {
		s.t.Fatalf("applied %s, want %s", s.x.Applied(), want)
	}
}

// settleAll settles the chunks that are applied.
func (s *simulation) settleAll(few []*schema.Chunk) {
	for _, c := range few {
		if c.Position.Compare(s.x.Applied()) <= 0 {
			s.settle(c)
		}
	}
}

// settle is what the model does when a chunk is applied.
func (s *simulation) settle(c *schema.Chunk) {
	if s.nextApp >= len(s.chunks) || s.chunks[s.nextApp] != c {
		return
	}
	s.nextApp++
	fold(s.applied, c)
	for _, g := range c.Groups {
		ref := kvindex.GroupRef{FirstSeq: g.FirstSeq, Count: len(g.Records), Position: c.Position, TimeMicros: c.TimeMicros}
		for _, r := range g.Records {
			n := int64(len(r.Key) + len(r.Row))
			ref.Bytes += n
			s.log[g.Instance] = append(s.log[g.Instance], n)
		}
		s.groups[g.Instance] = append(s.groups[g.Instance], ref)
	}
}

// countdown is a context that ends after it was asked a number of times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func (s *simulation) maybe(oneIn int, fn func()) {
	if s.rnd.IntN(oneIn) == 0 {
		fn()
	}
}

// crash goes on from a copy of the directory as a killed process leaves it,
// or of a stopped one, or from nothing.
func (s *simulation) crash() {
	if s.rnd.IntN(4) == 0 {
		s.lose()
		return
	}
	copied := s.t.TempDir()
	if s.rnd.IntN(3) == 0 {
		closeIndex(s.t, s.x)
		closeIndex(s.t, s.x) // twice is fine
	} else {
		old := s.x
		defer closeIndex(s.t, old)
	}
	copyIndex(s.t, s.dir, copied)
	s.dir = copied
	s.open()
	if want := s.position(s.nextApp); s.x.Applied() != want {
		s.t.Fatalf("applied %s after a crash, want %s", s.x.Applied(), want)
	}
	s.restage()
}

// restage brings back what was not applied.
func (s *simulation) restage() {
	for _, c := range s.chunks[s.nextApp:] {
		s.x.Stage(c.Position, c.Groups)
		s.x.Publish(c)
	}
	if s.staged != nil {
		s.x.Stage(s.staged.Position, s.staged.Groups)
	}
}

// lose goes on from nothing: the log is applied again, and what is not in it is
// recorded again.
func (s *simulation) lose() {
	ctx := context.Background()
	closeIndex(s.t, s.x)
	s.dir = s.t.TempDir()
	s.open()
	for first := 0; first < s.nextApp; {
		end := min(s.nextApp, first+1+s.rnd.IntN(20))
		must(s.t, s.x.Apply(ctx, s.chunks[first:end]...))
		first = end
	}
	for _, inst := range slices.Sorted(maps.Keys(s.lake)) {
		must(s.t, s.x.RecordFlush(ctx, inst, kvindex.Flush{
			LakeSeq: s.lake[inst].LakeSeq, Snapshot: s.lake[inst].Snapshot, Set: settings(s.locs[inst]),
		}))
	}
	for inst := range s.dropped {
		must(s.t, s.x.Drop(ctx, 1, inst))
	}
	s.restage()
}

// finish applies all there is, and compares with an index that begins from nothing.
func (s *simulation) finish() {
	s.publish()
	for s.nextApp < len(s.chunks) {
		s.apply()
	}
	s.check()
	parts := 0
	for _, r := range s.applied[big] {
		if len(r.row) > kvindex.PartBytes {
			parts += (len(r.row) + kvindex.PartBytes - 1) / kvindex.PartBytes
		}
	}
	if n := s.x.CountParts(big); n != parts {
		s.t.Errorf("%d parts of rows, want %d", n, parts)
	}
	s.x.AwaitReclaim(s.t)
	got := s.x.Content()
	s.lose()
	s.x.AwaitReclaim(s.t)
	want := s.x.Content()
	for key, val := range want {
		if other, ok := got[key]; !ok || !bytes.Equal(other, val) {
			s.t.Errorf("key %x: %.40x, from nothing %.40x", key, other, val)
		}
		delete(got, key)
	}
	for key := range got {
		s.t.Errorf("key %x is not there from nothing", key)
	}
}

func settings(locs map[string]kvindex.Location) iter.Seq2[[]byte, kvindex.Location] {
	return func(yield func([]byte, kvindex.Location) bool) {
		for key, l := range locs {
			if !yield([]byte(key), l) {
				return
			}
		}
	}
}

func (s *simulation) position(applied int) schema.Position {
	if applied == 0 {
		return schema.Position{}
	}
	return s.chunks[applied-1].Position
}

func (s *simulation) flush() {
	inst := instances[1+s.rnd.IntN(len(instances)-1)]
	gs := s.groups[inst]
	if len(gs) == 0 || s.dropped[inst] {
		return
	}
	g := gs[s.rnd.IntN(len(gs))]
	if g.NextSeq() < s.lake[inst].LakeSeq {
		return
	}
	f := kvindex.Flush{LakeSeq: g.NextSeq(), Snapshot: s.lake[inst].Snapshot + 1}
	locs := maps.Clone(s.locs[inst])
	if locs == nil {
		locs = map[string]kvindex.Location{}
	}
	set, drop := map[string]kvindex.Location{}, []string{}
	for key := range s.applied[inst] {
		if s.rnd.IntN(2) == 0 {
			set[key] = kvindex.Location{File: uint32(s.rnd.IntN(5)), Row: s.rnd.Uint32()}
		} else if s.rnd.IntN(3) == 0 {
			drop = append(drop, key)
			delete(locs, key)
		}
	}
	maps.Copy(locs, set)
	f.Set = settings(set)
	f.Clear = func(yield func([]byte) bool) {
		for _, key := range drop {
			if !yield([]byte(key)) {
				return
			}
		}
	}
	must(s.t, s.x.RecordFlush(context.Background(), inst, f))
	must(s.t, s.x.RecordFlush(context.Background(), inst, f)) // idempotent
	s.lake[inst], s.locs[inst] = f, locs
}

func (s *simulation) drop() {
	inst := keyedB
	must(s.t, s.x.Drop(context.Background(), 1, inst))
	s.dropped[inst] = true
}

// check compares all that can be read.
func (s *simulation) check() {
	for _, inst := range instances {
		if s.dropped[inst] {
			s.checkDropped(inst)
			continue
		}
		if inst != appendOnly {
			s.checkRows(inst)
		}
		s.checkStats(inst)
		s.checkGroups(inst)
		s.checkLocations(inst)
	}
	s.checkDirty()
	s.checkAnswers()
}

func (s *simulation) checkDropped(inst schema.Instance) {
	ctx := context.Background()
	pending := slices.ContainsFunc(s.chunks[s.nextApp:], func(c *schema.Chunk) bool {
		_, ok := c.Group(inst)
		return ok
	})
	if row, ok, err := s.x.Get(ctx, inst, []byte("k1")); !pending && ok || err != nil {
		s.t.Fatalf("dropped, and yet a row %q %v", row, err)
	}
	st, err := s.x.Stats(ctx, inst)
	must(s.t, err)
	if st != (kvindex.Stats{}) {
		s.t.Fatalf("dropped, and yet stats %+v", st)
	}
	must(s.t, s.x.Groups(ctx, inst, 0, func(g kvindex.GroupRef) (bool, error) {
		s.t.Fatalf("dropped, and yet a group %+v", g)
		return false, nil
	}))
}

func (s *simulation) checkRows(inst schema.Instance) {
	ctx := context.Background()
	want := s.durable[inst]
	keys := [][]byte{[]byte("nothing")}
	for i := range 60 {
		keys = append(keys, fmt.Appendf(nil, "k%0*d", 1+s.rnd.IntN(3), i))
	}
	must(s.t, s.x.GetManyRows(ctx, inst, keys, func(i int, row kvindex.Row, ok bool) {
		s.same("many", string(keys[i]), row, ok, want)
	}))
	for range 5 {
		key := keys[s.rnd.IntN(len(keys))]
		row, ok, err := s.x.GetRow(ctx, inst, key)
		must(s.t, err)
		s.same("get", string(key), row, ok, want)
	}
	r := kvindex.KeyRange{Reverse: s.rnd.IntN(2) == 0}
	if s.rnd.IntN(2) == 0 {
		r.From = keys[s.rnd.IntN(len(keys))]
	}
	if s.rnd.IntN(2) == 0 {
		r.To = keys[s.rnd.IntN(len(keys))]
	}
	expected := slices.Sorted(maps.Keys(want))
	expected = slices.DeleteFunc(expected, func(k string) bool {
		return k < string(r.From) || r.To != nil && k >= string(r.To)
	})
	if r.Reverse {
		slices.Reverse(expected)
	}
	limit := s.rnd.IntN(80) + 1
	expected = expected[:min(limit, len(expected))]
	var got []string
	must(s.t, s.x.RangeRows(ctx, inst, r, func(key []byte, row kvindex.Row) (bool, error) {
		s.same("range", string(key), row, true, want)
		got = append(got, string(key))
		return len(got) < limit, nil
	}))
	if !slices.Equal(got, expected) {
		s.t.Fatalf("range %+v of %d: got %q, want %q", r, inst, got, expected)
	}
}

func (s *simulation) same(how, key string, row kvindex.Row, ok bool, want map[string]modelRow) {
	s.t.Helper()
	w, exists := want[key]
	if ok != exists {
		s.t.Fatalf("%s %q: got %t, want %t", how, key, ok, exists)
	}
	if ok && (string(row.Bytes) != w.row || row.Seq != w.seq || row.TimeMicros != w.time) {
		s.t.Fatalf("%s %q: got %d bytes, seq %d, time %d; want %d, %d, %d",
			how, key, len(row.Bytes), row.Seq, row.TimeMicros, len(w.row), w.seq, w.time)
	}
}

func (s *simulation) checkStats(inst schema.Instance) {
	got, err := s.x.Stats(context.Background(), inst)
	must(s.t, err)
	want := kvindex.Stats{
		NextSeq: schema.Seq(len(s.log[inst])), Rows: int64(len(s.applied[inst])),
		LakeSeq: s.lake[inst].LakeSeq, LakeSnapshot: s.lake[inst].Snapshot,
	}
	for key, r := range s.applied[inst] {
		want.Bytes += int64(len(r.row))
		if inst != appendOnly {
			want.Bytes += int64(len(key))
		}
	}
	for seq, n := range s.log[inst] {
		want.LogBytes += n
		if schema.Seq(seq) >= want.LakeSeq {
			want.TailBytes += n
		}
	}
	for _, g := range s.groups[inst] {
		if g.NextSeq() > want.LakeSeq {
			want.TailSince = time.UnixMicro(g.TimeMicros).UTC()
			break
		}
	}
	if got != want {
		s.t.Fatalf("stats of %d:\n got %+v\nwant %+v", inst, got, want)
	}
}

func (s *simulation) checkGroups(inst schema.Instance) {
	ctx := context.Background()
	gs := s.groups[inst]
	next := schema.Seq(len(s.log[inst]))
	from := schema.Seq(s.rnd.Uint64N(uint64(next) + 2))
	var want, got []kvindex.GroupRef
	for _, g := range gs {
		if g.NextSeq() > from {
			want = append(want, g)
		}
	}
	must(s.t, s.x.Groups(ctx, inst, from, func(g kvindex.GroupRef) (bool, error) {
		got = append(got, g)
		return true, nil
	}))
	if !slices.Equal(got, want) {
		s.t.Fatalf("groups of %d from %d: got %+v, want %+v", inst, from, got, want)
	}
	want, got = nil, nil
	for _, g := range slices.Backward(gs) {
		if g.FirstSeq < from {
			want = append(want, g)
		}
	}
	must(s.t, s.x.GroupsBackward(ctx, inst, from, func(g kvindex.GroupRef) (bool, error) {
		got = append(got, g)
		return true, nil
	}))
	if !slices.Equal(got, want) {
		s.t.Fatalf("groups of %d below %d: got %+v, want %+v", inst, from, got, want)
	}
	when := s.rnd.Int64N(int64(len(s.chunks)+2) * 1000)
	i, _ := slices.BinarySearchFunc(gs, when, func(g kvindex.GroupRef, w int64) int { return cmp.Compare(g.TimeMicros, w) })
	g, ok, err := s.x.GroupAt(ctx, inst, when)
	must(s.t, err)
	if ok != (i < len(gs)) || ok && g != gs[i] {
		s.t.Fatalf("group of %d at %d: got %+v %t", inst, when, g, ok)
	}
}

func (s *simulation) checkLocations(inst schema.Instance) {
	var keys [][]byte
	for key := range s.applied[inst] {
		keys = append(keys, []byte(key))
	}
	must(s.t, s.x.Locate(context.Background(), inst, keys, func(i int, l kvindex.Location, ok bool) {
		if want, exists := s.locs[inst][string(keys[i])]; ok != exists || l != want {
			s.t.Fatalf("location of %q: got %+v %t, want %+v %t", keys[i], l, ok, want, exists)
		}
	}))
}

// isDirty tells whether a collection has a table that lacks changes, or enough of
// them for one.
func (s *simulation) isDirty(inst schema.Instance) bool {
	stats, err := s.x.Stats(context.Background(), inst)
	must(s.t, err)
	if s.lake[inst].LakeSeq >= schema.Seq(len(s.log[inst])) {
		return false
	}
	return s.lake[inst].Snapshot != 0 || stats.TailBytes >= s.dirtyBytes
}

func (s *simulation) checkDirty() {
	var got, want []schema.Instance
	must(s.t, s.x.Dirty(context.Background(), func(inst schema.Instance, st kvindex.Stats) (bool, error) {
		if st.LakeSeq >= st.NextSeq {
			s.t.Fatalf("dirty %d: %+v", inst, st)
		}
		got = append(got, inst)
		return true, nil
	}))
	for _, inst := range instances {
		if inst >= schema.FirstUserInstance && !s.dropped[inst] && s.isDirty(inst) {
			want = append(want, inst)
		}
	}
	if !slices.Equal(got, want) {
		s.t.Fatalf("dirty: got %v, want %v", got, want)
	}
}

func (s *simulation) checkAnswers() {
	if s.nextApp == 0 {
		return
	}
	for _, c := range s.chunks[max(0, s.nextApp-3):s.nextApp] {
		for _, want := range c.Answers {
			// Their commit time is decades ago.
			if got, ok, err := s.x.Answer(context.Background(), want.Key); ok || err != nil {
				s.t.Fatalf("answer %+v did not expire: %v", got, err)
			}
		}
	}
}

var (
	seeds     = flag.Uint64("seeds", 0, "seeds of TestSimulation and of TestSecondaries; 0: a few of each")
	firstSeed = flag.Uint64("first-seed", 0, "the first of them")
)

// seedsOr runs fn beside others for each seed that was asked for, else for a few.
func seedsOr(t *testing.T, few uint64, fn func(t *testing.T, seed uint64)) {
	n := *seeds
	if n == 0 {
		n = few
	}
	for seed := *firstSeed; seed < *firstSeed+n; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			fn(t, seed)
		})
	}
}

func TestSimulation(t *testing.T) {
	seedsOr(t, 6, func(t *testing.T, seed uint64) {
		s := newSimulation(t, seed)
		defer func() { closeIndex(t, s.x) }()
		for step := range 250 {
			switch n := s.rnd.IntN(100); {
			case n < 30:
				s.stage()
			case n < 35:
				s.discard()
			case n < 60:
				s.publish()
			case n < 85:
				s.apply()
			case n < 93:
				s.flush()
			case n < 95:
				s.crash()
			case n < 96 && step > 120:
				s.drop()
			default:
				s.check()
			}
		}
		s.finish()
	})
}
