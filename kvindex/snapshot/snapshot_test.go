package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/kvindex/snapshot"
	"github.com/trinedb/trine/schema"
)

// TestTakeAndRestore has a snapshot of what lies in tables, another of what is in
// memory, and restores each.
func TestTakeAndRestore(t *testing.T) {
	m, store, dir := newMaker(1), newStore(), t.TempDir()
	s := snapshot.New(quick(store))
	x := openIndex(t, filepath.Join(dir, "a"))
	for range 5 {
		must(t, x.Apply(bg, m.chunk()))
	}
	first, err := s.Take(bg, x, 1)
	must(t, err)
	if first.Position != x.Applied() || first.Number != 1 || first.UploadedTables == 0 {
		t.Errorf("first snapshot %+v", first)
	}
	again, err := s.Take(bg, x, 1)
	must(t, err)
	if again.Number != 1 || again.UploadedTables != 0 {
		t.Errorf("a second at the same position: %+v", again)
	}
	want := m.state(t, x)
	y, _ := restored(t, s, filepath.Join(dir, "b"))
	defer closeIndex(t, y)
	sameState(t, "restored", m.state(t, y), want)

	// Tables stay tables: reopened, the index has what was in memory in one.
	closeIndex(t, x)
	x = openIndex(t, filepath.Join(dir, "a"))
	must(t, x.Apply(bg, m.chunk()))
	second, err := s.Take(bg, x, 2)
	must(t, err)
	must(t, x.Apply(bg, m.chunk()))
	third, err := s.Take(bg, x, 2)
	must(t, err)
	if second.Tables != 2 || third.Tables != 2 || third.UploadedTables != 1 {
		t.Errorf("second %+v, third %+v: the table on the disk is not uploaded twice", second, third)
	}
	must(t, s.Collect(bg, third))
	infos, err := s.List(bg)
	must(t, err)
	if len(infos) != 2 || infos[0].Number != 3 || infos[1].Number != 2 {
		t.Errorf("kept %+v", infos)
	}
	store.noOrphans(t)
}

// TestEverySpace has rows in pieces, places, flushes, drops and deletions.
func TestEverySpace(t *testing.T) {
	store, dir := newStore(), t.TempDir()
	s := snapshot.New(quick(store))
	x := openIndex(t, filepath.Join(dir, "a"))
	m := newMaker(2)
	long := strings.Repeat("long", 200<<10)
	put := func(recs ...schema.Record) {
		n := uint64(len(m.chunks)) + 1
		c := &schema.Chunk{Position: schema.Position{Chunk: n}, TimeMicros: int64(n), Answers: []schema.Answer{{Key: schema.DedupKey{1}}}}
		c.Groups = []schema.Group{{Instance: schema.FirstUserInstance, FirstSeq: m.next[0], Records: recs}}
		m.next[0] += schema.Seq(len(recs))
		m.chunks = append(m.chunks, c)
		must(t, x.Apply(bg, c))
	}
	up := func(k, v string) schema.Record {
		return schema.Record{Op: schema.OpUpsert, Key: []byte(k), Row: []byte(v)}
	}
	put(up("a", "1"), up("b", long), up("c", "3"), up("d", "4"))
	closeIndex(t, x) // into a table
	x = openIndex(t, filepath.Join(dir, "a"))
	put(schema.Record{Op: schema.OpDelete, Key: []byte("a")}, up("c", long), up("b", ""))
	must(t, x.RecordFlush(bg, schema.FirstUserInstance, kvindex.Flush{LakeSeq: 4, Snapshot: 77,
		Set: func(yield func([]byte, kvindex.Location) bool) {
			yield([]byte("d"), kvindex.Location{File: 3, Row: 9})
		}}))
	must(t, x.Drop(bg, 1, schema.FirstUserInstance+1))
	want := m.state(t, x)
	_, err := s.Take(bg, x, 1)
	must(t, err)
	y, _ := restored(t, s, filepath.Join(dir, "b"))
	defer closeIndex(t, y)
	sameState(t, "restored", m.state(t, y), want)
	if len(want) < 5 || !strings.Contains(want[1], "LakeSnapshot:77") {
		t.Errorf("state %.300q", want)
	}
	must(t, y.Locate(bg, schema.FirstUserInstance, [][]byte{[]byte("d")}, func(_ int, loc kvindex.Location, ok bool) {
		if !ok || loc != (kvindex.Location{File: 3, Row: 9}) {
			t.Errorf("place %+v %t", loc, ok)
		}
	}))
	must(t, y.Apply(bg, &schema.Chunk{Position: schema.Position{Chunk: 3}, Groups: []schema.Group{
		{Instance: schema.FirstUserInstance + 1, Records: []schema.Record{up("x", "of a dropped one")}}}}))
	if st, err := y.Stats(bg, schema.FirstUserInstance+1); err != nil || st.NextSeq != 0 {
		t.Errorf("a dropped collection came back: %+v %v", st, err)
	}
}

// TestDamagedSnapshots damages the newest in many ways: the one before is taken,
// or none; and the snapshot after that names nothing of a damaged one.
func TestDamagedSnapshots(t *testing.T) {
	for name, damage := range map[string]func(s *memStore, manifest string, tables []string){
		"manifest gone":   func(s *memStore, m string, _ []string) { delete(s.objects, m) },
		"manifest cut":    func(s *memStore, m string, _ []string) { s.objects[m] = s.objects[m][:20] },
		"manifest flips":  func(s *memStore, m string, _ []string) { flip(s, m, 30) },
		"other version":   func(s *memStore, m string, _ []string) { flip(s, m, 4) },
		"table gone":      func(s *memStore, _ string, ts []string) { delete(s.objects, ts[0]) },
		"table cut":       func(s *memStore, _ string, ts []string) { s.objects[ts[0]] = s.objects[ts[0]][:50] },
		"table longer":    func(s *memStore, _ string, ts []string) { s.objects[ts[0]] = append(s.objects[ts[0]], 0) },
		"table flips":     func(s *memStore, _ string, ts []string) { flip(s, ts[0], 40) },
		"table exchanged": func(s *memStore, _ string, ts []string) { s.objects[ts[0]] = []byte("another") },
	} {
		t.Run(name, func(t *testing.T) {
			m, store, dir := newMaker(3), newStore(), t.TempDir()
			s := snapshot.New(quick(store))
			x := openIndex(t, filepath.Join(dir, "a"))
			must(t, x.Apply(bg, m.chunk()))
			first, err := s.Take(bg, x, 1)
			must(t, err)
			must(t, x.Apply(bg, m.chunk()))
			second, err := s.Take(bg, x, 1)
			must(t, err)
			manifest := store.names("0/snap/")[1]
			tables, err := snapshot.Named(0, 2, store.objects[manifest])
			must(t, err)
			damage(store, manifest, tables)

			s = snapshot.New(quick(store))
			y, info := restored(t, s, filepath.Join(dir, "b"))
			if y == nil || info.Number != first.Number {
				t.Fatalf("restored %+v, want the first", info)
			}
			defer closeIndex(t, y)
			m.replay(t, y)
			third, err := s.Take(bg, y, 2)
			must(t, err)
			if third.Position != second.Position {
				t.Errorf("third is of %s", third.Position)
			}
			z, info := restored(t, snapshot.New(quick(store)), filepath.Join(dir, "c"))
			if z == nil || info.Position != second.Position {
				t.Fatalf("restored %+v, want the third", info)
			}
			defer closeIndex(t, z)
			sameState(t, "restored", m.state(t, z), m.state(t, x))
		})
	}
}

func flip(s *memStore, name string, at int) {
	data := slices.Clone(s.objects[name])
	data[at] ^= 1
	s.objects[name] = data
}

// TestWrongPosition has a manifest with a right checksum that lies about what is in its
// tables.
func TestWrongPosition(t *testing.T) {
	m, store, dir := newMaker(4), newStore(), t.TempDir()
	s := snapshot.New(quick(store))
	x := openIndex(t, filepath.Join(dir, "a"))
	must(t, x.Apply(bg, m.chunk()))
	_, err := s.Take(bg, x, 1)
	must(t, err)
	must(t, x.Apply(bg, m.chunk()))
	_, err = s.Take(bg, x, 1)
	must(t, err)
	names := store.names("0/snap/")
	store.objects[names[1]] = snapshot.WithTablesOf(t, 0, 2, store.objects[names[1]], 1, store.objects[names[0]])
	y, info := restored(t, s, filepath.Join(dir, "b"))
	if y == nil || info.Number != 1 {
		t.Fatalf("restored %+v, want the first", info)
	}
	closeIndex(t, y)
}

func TestRefused(t *testing.T) {
	m, store, dir := newMaker(5), newStore(), t.TempDir()
	s := snapshot.New(quick(store))
	x := openIndex(t, filepath.Join(dir, "a"))
	for range 2 {
		must(t, x.Apply(bg, m.chunk()))
		_, err := s.Take(bg, x, 5)
		must(t, err)
	}
	ahead := func(i snapshot.Info) error {
		if i.Position.Chunk > 1 {
			return errors.New("ahead of the log")
		}
		return nil
	}
	info, err := s.Restore(bg, indexOptions(filepath.Join(dir, "b")), ahead)
	if err != nil || info.Number != 1 {
		t.Errorf("restored %+v, %v", info, err)
	}
	none := func(snapshot.Info) error { return errors.New("no") }
	dest := filepath.Join(dir, "c")
	if _, err := s.Restore(bg, indexOptions(dest), none); !errors.Is(err, schema.ErrNotFound) {
		t.Errorf("all refused: %v", err)
	}
	if left, _ := filepath.Glob(dest + "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := s.Take(bg, x, 4); !errors.Is(err, schema.ErrFenced) || !strings.Contains(err.Error(), "index/0") {
		t.Errorf("an owner of a lower epoch: %v", err)
	}
}

// TestCancel ends a snapshot by its context and by Close of the index: both soon,
// and the index works on or closes.
func TestCancel(t *testing.T) {
	m, dir := newMaker(6), t.TempDir()
	m.bytes = 200 << 10 // more than goes before the rate is looked at
	x := openIndex(t, filepath.Join(dir, "a"))
	must(t, x.Apply(bg, m.chunk()))
	for _, how := range []string{"context", "close"} {
		store := newStore()
		ctx, cancel := context.WithCancel(bg)
		closed := make(chan error, 1)
		store.before = func(verb, name string) error {
			if verb != "put" {
				return nil
			}
			if how == "context" {
				cancel()
				return nil
			}
			go func() { closed <- x.Close(bg) }()
			for err := error(nil); !errors.Is(err, schema.ErrClosed); runtime.Gosched() {
				_, err = x.Stats(bg, schema.FirstUserInstance)
			}
			return nil
		}
		o := quick(store)
		o.BytesPerSecond = 1 // would take hours
		_, err := snapshot.New(o).Take(ctx, x, 1)
		want := map[string]error{"context": context.Canceled, "close": schema.ErrClosed}[how]
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", how, err)
		}
		if how == "close" {
			must(t, <-closed)
		}
		if n := store.names(""); len(n) > 0 {
			t.Errorf("%s: left %v", how, n)
		}
		cancel()
	}
}

// TestDamageIsRemembered marks an index that gave damage, so that it is built anew.
func TestDamageIsRemembered(t *testing.T) {
	m, dir := newMaker(7), t.TempDir()
	x := openIndex(t, dir)
	must(t, x.Apply(bg, m.chunk()))
	x.NoteDamage(fmt.Errorf("read row: %w", schema.ErrNotFound))
	closeIndex(t, x)
	x = openIndex(t, dir) // that was no damage
	x.NoteDamage(fmt.Errorf("read row: %w", schema.ErrCorrupt))
	closeIndex(t, x)
	if _, err := kvindex.Open(indexOptions(dir)); !errors.Is(err, schema.ErrCorrupt) || !strings.Contains(err.Error(), "read row") {
		t.Errorf("open: %v", err)
	}
	must(t, os.RemoveAll(dir))
	closeIndex(t, openIndex(t, dir))
}

// TestOldVersionsStay has one row rewritten many times: a snapshot has it once.
func TestOldVersionsStay(t *testing.T) {
	store, dir := newStore(), t.TempDir()
	x := openIndex(t, dir)
	row := make([]byte, 10<<10)
	for n := range 50 {
		must(t, x.Apply(bg, &schema.Chunk{Position: schema.Position{Chunk: uint64(n) + 1}, Groups: []schema.Group{{
			Instance: schema.FirstUserInstance, FirstSeq: schema.Seq(n),
			Records: []schema.Record{{Op: schema.OpUpsert, Key: []byte("hot"), Row: row}},
		}}}))
	}
	info, err := snapshot.New(quick(store)).Take(bg, x, 1)
	must(t, err)
	if info.Bytes > 30<<10 {
		t.Errorf("snapshot of %d bytes, of one row of %d", info.Bytes, len(row))
	}
}
