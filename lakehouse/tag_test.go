package lakehouse_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

func TestTags(t *testing.T) {
	k := newClock()
	f := newFixture(t, graces(k))
	tbl := newTable(f, collection(simple()))
	tbl.churn(2, k, time.Minute)
	first, ctx := tbl.snap, t.Context()
	set := func(name string, id int64) error {
		next, err := f.lake.SetTag(ctx, tbl.c, tbl.snap, name, id)
		if err == nil {
			tbl.snap = next
		}
		return err
	}
	if err := set("q3 2026", first.ID()); err != nil {
		t.Fatal(err)
	}
	version := tbl.snap.Version()
	if err := set("q3 2026", first.ID()); err != nil || tbl.snap.Version() != version {
		t.Errorf("the same tag again: %v, version %d after %d", err, tbl.snap.Version(), version)
	}
	for _, name := range []string{"", "main", "12", "-7", "a\nb", "\xff", strings.Repeat("x", 129)} {
		wantKind(t, set(name, first.ID()), schema.ErrInvalid)
	}
	wantKind(t, set("x", 99), schema.ErrInvalid)
	for i := range 99 {
		if err := set(fmt.Sprintf("t%02d", i), first.ID()); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, set("one too many", first.ID()), schema.ErrTooLarge)
	tbl.churn(1, k, time.Minute)
	if err := set("q3 2026", tbl.snap.ID()); err != nil {
		t.Errorf("move: %v", err)
	}
	tags, err := mustCurrent(t, f, tbl.c).Tags()
	if err != nil || len(tags) != 100 {
		t.Fatalf("%d tags, %v", len(tags), err)
	}
	if tag := tags[0]; tag.Name != "q3 2026" || tag.Snapshot != tbl.snap.ID() || tag.NextSeq != tbl.snap.NextSeq() || !tag.End.IsZero() {
		t.Errorf("%+v", tag)
	}
	past, err := tbl.snap.AtTag(ctx, "t07")
	if err != nil || past.ID() != first.ID() {
		t.Errorf("at tag: %v, %v", past, err)
	}
	_, err = tbl.snap.AtTag(ctx, "nothing")
	wantKind(t, err, schema.ErrNotFound)
	_, err = f.lake.RemoveTag(ctx, tbl.c, tbl.snap, "nothing")
	wantKind(t, err, schema.ErrNotFound)
	if next, err := f.lake.RemoveTag(ctx, tbl.c, tbl.snap, "t07"); err != nil || len(must(next.Tags())) != 99 {
		t.Errorf("remove: %v", err)
	}
	if id, err := tbl.snap.AtSeq(first.NextSeq()); err != nil || id != first.ID() {
		t.Errorf("at seq: %d, %v", id, err)
	}
}

// tagSim writes, tags, expires, cleans and crashes at random. What the newest version
// names is readable at any time, and that is all that has a tag; in the end nothing is
// left but what the newest version names.
type tagSim struct {
	*table
	k      *clock
	r      *rand.Rand
	tags   map[string]int64
	rows   map[int64][]string // by snapshot
	pinned map[int64]func()
}

func TestTagsPinFiles(t *testing.T) {
	for range 5 {
		t.Run("", func(t *testing.T) {
			k := newClock()
			tbl := newTable(newFixture(t, graces(k)), collection(simple()))
			s := &tagSim{
				table: tbl, k: k, r: seedtest.Rand(t), tags: map[string]int64{}, rows: map[int64][]string{},
				pinned: map[int64]func(){},
			}
			s.commit(simpleRows(0, 30), nil)
			s.checkAll(t)
			for range 90 {
				s.step()
				s.checkAll(t)
			}
			s.end(t)
		})
	}
}

func (s *tagSim) step() {
	ctx := s.Context()
	switch name := fmt.Sprintf("t%d", s.r.IntN(4)); s.r.IntN(12) {
	case 0, 1, 2, 3:
		var deletes map[uint32][]uint32
		if s.r.IntN(2) == 0 { // without, manifests stay as they are
			deletes = s.someRows(s.r, s.live(), 3)
		}
		s.commit(simpleRows(s.r.IntN(1000), s.r.IntN(3)*s.r.IntN(10)), deletes)
	case 4:
		if files := s.live(); len(files) > 1 {
			s.rewrite(s.snap, files[:1+s.r.IntN(len(files))])
		}
	case 5, 6:
		all := s.snap.Named()
		id := all[s.r.IntN(len(all))].ID
		next, err := s.lake.SetTag(ctx, s.c, s.snap, name, id)
		if err != nil {
			s.Fatal(err)
		}
		s.snap, s.tags[name] = next, id
	case 7:
		next, err := s.lake.RemoveTag(ctx, s.c, s.snap, name)
		if _, ok := s.tags[name]; ok != (err == nil) {
			s.Fatalf("remove tag %s: %v", name, err)
		}
		if err == nil {
			s.snap = next
		}
		delete(s.tags, name)
	case 8:
		s.k.pass(time.Duration(s.r.IntN(12*60)) * time.Minute)
	case 9:
		s.pin()
	default:
		s.upkeep()
	}
}

// live are the files that rows can be deleted of.
func (s *tagSim) live() (files []uint32) {
	for _, f := range s.snap.Files() {
		files = append(files, f.Ordinal)
	}
	return files
}

// pin holds a snapshot for a while, as a scan does.
func (s *tagSim) pin() {
	for id, unpin := range s.pinned {
		unpin()
		delete(s.pinned, id)
	}
	all := s.snap.Named()
	past, err := s.snap.At(s.Context(), all[s.r.IntN(len(all))].ID)
	if err != nil {
		s.Fatal(err)
	}
	s.pinned[past.ID()] = past.Pin()
}

// upkeep expires, cleans and looks for orphans, and often is cut short at a random
// call of the store.
func (s *tagSim) upkeep() {
	l, ctx := s.lake, s.Context()
	if s.r.IntN(2) == 0 && len(s.pinned) == 0 { // pins end with the process
		left, landed, dead := s.r.IntN(60), s.r.IntN(2) == 0, errors.New("dead")
		l = s.open(&blobtest.Faulty{Store: s.objects, Hook: func(blobtest.Call, string) (before, after error) {
			if left--; left >= 0 {
				return nil, nil
			}
			if left == -1 && landed {
				return nil, dead
			}
			return dead, nil
		}}, graces(s.k))
	}
	if snap, err := l.Current(ctx, s.c); err == nil {
		_, _, _ = l.Expire(ctx, s.c, snap)
	}
	_, _ = l.Clean(ctx, s.c, nil)
	if s.r.IntN(3) == 0 {
		_, _ = l.RemoveOrphans(ctx, s.c, nil)
	}
	snap, err := s.lake.Current(ctx, s.c)
	if err != nil || snap.ID() != s.snap.ID() {
		s.Fatalf("after upkeep: %v", err)
	}
	s.snap = snap
}

func (s *tagSim) checkAll(t *testing.T) {
	t.Helper()
	s.rows[s.snap.ID()] = s.want()
	now := mustCurrent(t, s.fixture, s.c)
	tags := map[string]int64{}
	for _, tag := range must(now.Tags()) {
		tags[tag.Name] = tag.Snapshot
	}
	if fmt.Sprint(tags) != fmt.Sprint(s.tags) {
		t.Fatalf("tags %v, want %v", tags, s.tags)
	}
	for _, ref := range now.Named() {
		past, err := now.At(t.Context(), ref.ID)
		if err != nil {
			t.Fatal(err)
		}
		got := read(t, past, lakehouse.ReadOptions{Schema: s.c.Schema, System: true})
		if !slices.Equal(sorted(got), sorted(s.rows[ref.ID])) {
			t.Fatalf("snapshot %d has %d rows, want %d", ref.ID, len(got), len(s.rows[ref.ID]))
		}
	}
}

// end lets everything go.
func (s *tagSim) end(t *testing.T) {
	for _, unpin := range s.pinned {
		unpin()
	}
	for name := range s.tags {
		s.snap = must(s.lake.RemoveTag(t.Context(), s.c, s.snap, name))
	}
	s.tags = map[string]int64{}
	for range 3 {
		s.k.pass(100 * time.Hour)
		s.snap = expire(t, s.lake, s.c)
		s.k.pass(2 * time.Hour)
		clean(t, s.lake, s.c)
	}
	s.checkAll(t)
	if _, err := s.lake.RemoveOrphans(t.Context(), s.c, nil); err != nil {
		t.Fatal(err)
	}
	s.checkAll(t)
	want := map[string]bool{"metadata/floor": true, "metadata/version-hint.text": true}
	note := func(uri string) {
		_, name, _ := strings.Cut(uri, thingsFolder)
		want[name] = true
	}
	note(s.snap.MetadataLocation())
	for _, m := range manifestsOf(t, s.objects, s.snap) {
		note(m.FilePath())
		for _, e := range entriesOf(t, s.objects, m) {
			note(e.DataFile().FilePath())
		}
	}
	for _, name := range s.names() {
		if !want[name] && !strings.HasPrefix(name, "metadata/snap-") {
			t.Errorf("left: %s", name)
		}
		delete(want, name)
	}
	delete(want, "metadata/version-hint.text")
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

func entriesOf(t *testing.T, objects blobtest.Store, m iceberg.ManifestFile) []iceberg.ManifestEntry {
	t.Helper()
	_, name, _ := strings.Cut(m.FilePath(), thingsFolder)
	raw, err := objects.Get(t.Context(), thingsFolder+name)
	if err != nil {
		t.Fatal(err)
	}
	return must(iceberg.ReadManifest(m, strings.NewReader(string(raw)), true))
}
