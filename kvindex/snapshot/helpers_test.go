package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/kvindex/snapshot"
	"github.com/trinedb/trine/schema"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/dgraph-io/badger/v4.(*DB).monitorCache"),
		goleak.IgnoreAnyFunction("github.com/dgraph-io/ristretto/v2/z.(*AllocatorPool).freeupAllocators"),
	)
}

var bg = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// memStore is a store in memory. before is asked before each call and after
// after each write; an error of theirs is the call's.
type memStore struct {
	mu      sync.Mutex
	objects map[string][]byte
	before  func(verb, name string) error
	after   func(verb, name string) error
}

func newStore() *memStore { return &memStore{objects: map[string][]byte{}} }

func (s *memStore) ask(fn func(string, string) error, verb, name string) error {
	if fn == nil {
		return nil
	}
	return fn(verb, name)
}

func (s *memStore) Put(_ context.Context, name string, r io.Reader) error {
	if err := s.ask(s.before, "put", name); err != nil {
		return err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	_, taken := s.objects[name]
	if !taken {
		s.objects[name] = data
	}
	s.mu.Unlock()
	if taken {
		return fmt.Errorf("put %s: %w", name, schema.ErrConflict)
	}
	return s.ask(s.after, "put", name)
}

func (s *memStore) Get(_ context.Context, name string) (io.ReadCloser, error) {
	if err := s.ask(s.before, "get", name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.objects[name]
	if !ok {
		return nil, fmt.Errorf("get %s: %w", name, schema.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (s *memStore) List(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.ask(s.before, "list", prefix); err != nil {
			yield("", err)
			return
		}
		for _, name := range s.names(prefix) {
			if !yield(name, nil) {
				return
			}
		}
	}
}

func (s *memStore) Delete(_ context.Context, name string) error {
	if err := s.ask(s.before, "delete", name); err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.objects, name)
	s.mu.Unlock()
	return s.ask(s.after, "delete", name)
}

func (s *memStore) names(prefix string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.objects {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// named are the tables that manifests in the store name.
func (s *memStore) named(t testing.TB) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, name := range s.names("0/snap/") {
		var number uint64
		_, err := fmt.Sscanf(filepath.Base(name), "%d", &number)
		must(t, err)
		tables, err := snapshot.Named(0, number, s.objects[name])
		must(t, err)
		for _, table := range tables {
			all[table] = true
		}
	}
	return all
}

// noOrphans demands that the tables in the store are those that are named.
func (s *memStore) noOrphans(t testing.TB) {
	t.Helper()
	got, want := s.names("0/sst/"), slices.Sorted(maps.Keys(s.named(t)))
	if !slices.Equal(got, want) {
		t.Errorf("store holds %d tables, %d are named", len(got), len(want))
	}
}

func indexOptions(dir string) kvindex.Options {
	return kvindex.Options{Dir: dir, MinFreeBytes: -1, BootID: "test", MemTableBytes: 16 << 20, ReclaimPerSecond: 1 << 30}
}

func openIndex(t testing.TB, dir string) *kvindex.Index {
	t.Helper()
	x, err := kvindex.Open(indexOptions(dir))
	must(t, err)
	t.Cleanup(func() { closeIndex(t, x) })
	return x
}

func closeIndex(t testing.TB, x *kvindex.Index) {
	t.Helper()
	if err := x.Close(bg); err != nil {
		t.Error(err)
	}
}

// quick are options without a rate and without grace.
func quick(store snapshot.Store) snapshot.Options {
	return snapshot.Options{Store: store, BytesPerSecond: -1, Grace: -1}
}

func anyInfo(snapshot.Info) error { return nil }

const instances = 3

// maker makes the chunks of a log.
type maker struct {
	rnd    *rand.Rand
	chunks []*schema.Chunk
	next   [instances]schema.Seq
	rows   int // most records of a group
	bytes  int // most bytes of a row
}

func newMaker(seed uint64) *maker {
	return &maker{rnd: rand.New(rand.NewPCG(seed, 11)), rows: 40, bytes: 60}
}

// chunk makes the next chunk: two keyed collections, the third append-only, and
// an answer.
func (m *maker) chunk() *schema.Chunk {
	n := uint64(len(m.chunks)) + 1
	c := &schema.Chunk{Position: schema.Position{Chunk: n}, TimeMicros: 4e15 + int64(n)*1e6} // answers are far from expiring
	for i := range instances {
		if m.rnd.IntN(3) == 0 {
			continue
		}
		g := schema.Group{Instance: schema.FirstUserInstance + schema.Instance(i), FirstSeq: m.next[i]}
		for range 1 + m.rnd.IntN(m.rows) {
			g.Records = append(g.Records, m.record(i == 2))
		}
		m.next[i] = g.NextSeq()
		c.Groups = append(c.Groups, g)
	}
	c.Answers = []schema.Answer{{Key: schema.DedupKey{byte(n), byte(n >> 8), 1}, Count: int(n), Position: c.Position}}
	m.chunks = append(m.chunks, c)
	return c
}

func (m *maker) record(append bool) schema.Record {
	row := make([]byte, 1+m.rnd.IntN(m.bytes))
	for i := range row[:min(len(row), 64)] { // the rest are zeros: long rows are made fast
		row[i] = byte(m.rnd.Uint32())
	}
	if append {
		return schema.Record{Op: schema.OpInsert, Row: row}
	}
	r := schema.Record{Op: schema.OpUpsert, Key: fmt.Appendf(nil, "key %d", m.rnd.IntN(300)), Row: row}
	if m.rnd.IntN(3) == 0 {
		r.Op, r.Row = schema.OpDelete, nil
	}
	return r
}

// replay applies what an index lacks.
func (m *maker) replay(t testing.TB, x *kvindex.Index) {
	t.Helper()
	for _, c := range m.chunks {
		must(t, x.Apply(bg, c))
	}
}

// state is all that an index answers, as lines.
func (m *maker) state(t testing.TB, x *kvindex.Index) []string {
	t.Helper()
	out := []string{"applied " + x.Applied().String()}
	for i := range instances {
		inst := schema.FirstUserInstance + schema.Instance(i)
		s, err := x.Stats(bg, inst)
		must(t, err)
		out = append(out, fmt.Sprintf("%d stats %+v", inst, s))
		must(t, x.RangeRows(bg, inst, kvindex.KeyRange{}, func(key []byte, r kvindex.Row) (bool, error) {
			out = append(out, fmt.Sprintf("%d row %q %d %d %x", inst, key, r.Seq, r.TimeMicros, r.Bytes))
			return true, nil
		}))
		must(t, x.Groups(bg, inst, 0, func(g kvindex.GroupRef) (bool, error) {
			out = append(out, fmt.Sprintf("%d group %+v", inst, g))
			return true, nil
		}))
	}
	for _, c := range m.chunks {
		a, ok, err := x.Answer(bg, c.Answers[0].Key)
		must(t, err)
		out = append(out, fmt.Sprintf("answer %v %+v", ok, a))
	}
	must(t, x.Dirty(bg, func(inst schema.Instance, _ kvindex.Stats) (bool, error) {
		out = append(out, fmt.Sprintf("dirty %d", inst))
		return true, nil
	}))
	return out
}

func sameState(t testing.TB, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("%s: line %d of %d is %.300s, want %.300s", what, i, len(got), got[i], want[i])
		}
	}
	t.Fatalf("%s: %d lines, want %d", what, len(got), len(want))
}

// restored opens what the newest snapshot gives; nil if there is none.
func restored(t testing.TB, s *snapshot.Snapshots, dir string) (*kvindex.Index, snapshot.Info) {
	t.Helper()
	info, err := s.Restore(bg, indexOptions(dir), anyInfo)
	if errors.Is(err, schema.ErrNotFound) {
		return nil, info
	}
	must(t, err)
	x, err := kvindex.Open(indexOptions(dir))
	must(t, err)
	if x.Applied() != info.Position {
		t.Fatalf("restored to %s, the snapshot is of %s", x.Applied(), info.Position)
	}
	return x, info
}
