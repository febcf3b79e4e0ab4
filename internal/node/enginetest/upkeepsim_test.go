package enginetest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	stdsync "sync"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

var seeds = flag.Uint64("seeds", 16, "how many runs the simulation of upkeep makes, from "+seedtest.Variable+" on")

// upkeepSim writes, flushes, compacts, expires, converts, scans and crashes a
// collection at random, and compares every scan with a map. Writes of the lake's store fail at
// random, with or without their effect, and from then on all of them until the
// crash; or whoever waits goes away.
type upkeepSim struct {
	t       *testing.T
	random  *rand.Rand
	stores  stores
	objects *blob.Mem
	r       *rig
	c       *schema.Collection
	model   map[int64]string // keyed: id → name; append-only: seq → name
	next    int64
	clock   simClock
	open    []heldScan
	cuts    []cutScan
	stray   []string // objects of engines that do not know whether they committed
	counts  map[string]int

	mu     stdsync.Mutex
	fuse   int  // store writes left before failure; -1: none
	landed bool // the first one that fails has its effect
	dead   bool
	cancel context.CancelFunc // instead of a failure
	race   func()             // runs once, when a rewrite ends a file

	laidOut bool // partitions and order change now and then
}

type heldScan struct {
	scan *sync.Scan
	want []string
}

type simClock struct {
	mu  stdsync.Mutex
	now time.Time
}

func (k *simClock) Now() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(time.Millisecond)
	return k.now
}

func (k *simClock) pass(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
}

var errDead = errors.New("the store is dead")

func (s *upkeepSim) hook(call blobtest.Call, name string) (before, after error) {
	switch call {
	case blobtest.PutIfAbsent, blobtest.Commit, blobtest.Swap, blobtest.Delete:
	default:
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if race := s.race; race != nil && call == blobtest.Commit && strings.Contains(name, "/data/21474") {
		s.race = nil
		s.mu.Unlock()
		race()
		s.mu.Lock()
	}
	if s.dead {
		return errDead, nil
	}
	if s.fuse < 0 {
		return nil, nil
	}
	if s.fuse--; s.fuse >= 0 {
		return nil, nil
	}
	if s.cancel != nil {
		s.cancel()
		return nil, nil
	}
	s.dead = true
	if s.landed {
		return nil, errDead
	}
	return errDead, nil
}

func (s *upkeepSim) start() {
	s.r = newRigOn(s.t, s.stores, sync.Options{NoUpkeep: true, FoldBytes: 4 << 10, Now: s.clock.Now})
}

func (s *upkeepSim) crash() {
	for _, h := range s.open {
		h.scan.Close()
	}
	s.open = nil
	s.mu.Lock()
	s.dead = true
	s.mu.Unlock()
	s.r.close()
	s.mu.Lock()
	s.dead, s.fuse = false, -1
	s.mu.Unlock()
	s.start()
}

// lit runs fn with a store that may fail under it, and crashes if it did.
func (s *upkeepSim) lit(name string, fn func(ctx context.Context) error) {
	s.t.Helper()
	s.counts[name]++
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	faulty := s.random.IntN(3) == 0
	if faulty {
		s.mu.Lock()
		s.fuse, s.landed, s.cancel = s.random.IntN(12), s.random.IntN(2) == 0, nil
		if s.random.IntN(3) == 0 {
			s.cancel = cancel
		}
		s.mu.Unlock()
	}
	err := fn(ctx)
	s.mu.Lock()
	burnt := s.dead || ctx.Err() != nil
	s.fuse = -1
	s.mu.Unlock()
	if err != nil && !burnt {
		s.t.Fatalf("%s: %v", name, err)
	}
	if burnt {
		s.counts[name+" failed"]++
	}
	if burnt && (s.dead || s.random.IntN(2) == 0) {
		s.crash()
	}
}

func (s *upkeepSim) write() {
	var batch []schema.Record
	for range 1 + s.random.IntN(30) {
		id, name := s.random.Int64N(60), fmt.Sprintf("v%d %030d", s.next, s.random.Uint64())
		if !s.c.Schema.Keyed() {
			id = s.next
		}
		s.next++
		rec := upsert(s.c, item(id, name)...)
		s.model[id] = name
		if s.c.Schema.Keyed() && s.random.IntN(5) == 0 {
			rec = schema.Record{Op: schema.OpDelete, Key: rec.Key}
			delete(s.model, id)
		}
		batch = append(batch, rec)
	}
	s.r.append(s.c, batch...)
}

func (s *upkeepSim) want() []string {
	var rows []string
	for _, id := range slices.Sorted(maps.Keys(s.model)) {
		rows = append(rows, fmt.Sprintf("%d %s", id, s.model[id]))
	}
	return rows
}

func (s *upkeepSim) scan() *sync.Scan {
	s.t.Helper()
	scan, err := s.r.engine.Scan(s.t.Context(), s.c, query.Scan{})
	if err != nil {
		s.t.Fatalf("scan: %v", err)
	}
	return scan
}

func (s *upkeepSim) compare(what string, scan *sync.Scan, want []string) {
	s.t.Helper()
	got, err := textRows(scan)
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	if !s.c.Schema.Keyed() && !s.laidOut && !sort.SliceIsSorted(got, func(i, j int) bool { return number(got[i]) < number(got[j]) }) {
		s.t.Fatalf("%s: rows are not in seq order", what)
	}
	slices.SortFunc(got, func(a, b string) int { return int(number(a) - number(b)) })
	if !slices.Equal(got, want) {
		s.t.Fatalf("%s: %d rows, want %d\n got %q\nwant %q", what, len(got), len(want), got, want)
	}
}

func number(row string) (n int64) {
	_, _ = fmt.Sscan(row, &n)
	return n
}

// compact compacts, perhaps while others write and flush between the writing of
// the new files and the exchange.
func (s *upkeepSim) compact() {
	if s.random.IntN(2) == 0 {
		s.setRace(func() {
			s.counts["races"]++
			s.write()
			if s.random.IntN(6) == 0 {
				s.convert()
			}
			if _, err := s.r.engine.Flush(s.t.Context(), s.c); err == nil && s.random.IntN(2) == 0 {
				s.open = append(s.open, heldScan{s.scan(), s.want()})
			}
		})
	}
	defer s.setRace(nil)
	s.lit("compact", func(ctx context.Context) error {
		was := s.format()
		err := s.r.engine.Compact(ctx, s.c, func(c sync.Compaction) error {
			s.counts["exchanges"]++
			return nil
		})
		if errors.Is(err, schema.ErrConflict) && was != 0 && s.format() != was {
			s.counts["conversions under a compaction"]++
			return nil // upkeep comes back to it
		}
		return err
	})
}

// format is the format version that the table has, 0 if it cannot be told.
func (s *upkeepSim) format() int {
	snap, err := s.r.lake.Current(s.t.Context(), s.c)
	if err != nil {
		return 0
	}
	return snap.FormatVersion()
}

// convert has the table be one of format version 3 from the next flush on.
func (s *upkeepSim) convert() {
	if s.c.Options.LakeFormat == 3 {
		return
	}
	s.counts["conversions"]++
	c := *s.c
	c.Options.LakeFormat = 3
	s.r.catalog.put(&c)
	s.c = &c
}

// setRace sets what runs beside the next rewrite; the background may be in hook.
func (s *upkeepSim) setRace(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.race = fn
}

func (s *upkeepSim) expire() {
	s.clock.pass(25 * time.Minute)
	s.lit("expire", func(ctx context.Context) error {
		return s.r.engine.ExpireTable(ctx, s.c, func(r sync.Removal) error {
			s.counts["removed versions"] += r.Versions
			s.counts["removed files"] += r.Files
			s.counts["removed orphans"] += r.Orphans
			return nil
		})
	})
}

// relayout changes what the table is partitioned and sorted by.
func (s *upkeepSim) relayout() {
	s.counts["layouts"]++
	next := *s.c
	next.Options.LakePartition, next.Options.LakeSort = nil, nil
	for _, p := range []schema.PartitionField{
		{FieldID: 1, Transform: schema.Transform{Kind: schema.TransformBucket, Width: 3}},
		{FieldID: 2, Transform: schema.Transform{Kind: schema.TransformTruncate, Width: 2}},
		{FieldID: schema.TimeColumnID, Transform: schema.Transform{Kind: schema.TransformHour}},
	} {
		if s.random.IntN(3) == 0 {
			next.Options.LakePartition = append(next.Options.LakePartition, p)
		}
	}
	if s.random.IntN(2) == 0 {
		next.Options.LakeSort = []schema.SortField{{FieldID: 2, Desc: s.random.IntN(2) == 0}}
	}
	s.c = &next
	s.r.catalog.put(s.c)
}

func (s *upkeepSim) step() {
	if s.laidOut && s.random.IntN(12) == 0 {
		s.relayout()
	}
	switch s.random.IntN(18) {
	case 0, 1, 2:
		s.write()
	case 3, 4, 5:
		s.lit("flush", func(ctx context.Context) error {
			_, err := s.r.engine.Flush(ctx, s.c)
			return err
		})
	case 6, 7:
		s.compact()
	case 8:
		s.expire()
	case 9:
		if len(s.open) < 4 {
			s.open = append(s.open, heldScan{s.scan(), s.want()})
		}
	case 10:
		if len(s.open) > 0 {
			i := s.random.IntN(len(s.open))
			s.compare("held scan", s.open[i].scan, s.open[i].want)
			s.open[i].scan.Close()
			s.open = slices.Delete(s.open, i, i+1)
		}
	case 11:
		s.clock.pass(time.Duration(s.random.IntN(150)) * time.Minute)
	case 12:
		s.compare("scan", s.scan(), s.want())
	case 13:
		if s.random.IntN(4) == 0 {
			s.convert()
		}
	case 14:
		s.cut()
	case 15, 16:
		s.resume()
	case 17:
		s.engineRewrites()
	}
}

func (s *upkeepSim) verify() {
	s.t.Helper()
	report, err := s.r.engine.Verify(s.t.Context(), s.c)
	if err != nil || !report.OK() {
		s.t.Fatalf("verify: %v, %+v", err, report)
	}
}

func runUpkeepSim(t *testing.T, seed uint64, counts map[string]int) {
	t.Helper()
	s := &upkeepSim{
		t: t, random: rand.New(rand.NewPCG(seed, 7)), objects: blob.NewMem(), fuse: -1,
		model: map[int64]string{}, counts: counts,
	}
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	s.clock.now = time.UnixMilli(1_800_000_000_000)
	s.stores = newStores(t, &blobtest.Faulty{Store: s.objects, Hook: s.hook})
	s.stores.lake = lakehouse.Options{
		Now: s.clock.Now, TargetFileBytes: 8 << 10, RowGroupRows: 64, SnapshotsKept: 3,
		ArrangeBytes: 4 << 10, SnapshotAge: 2 * time.Hour, FileGrace: 20 * time.Minute, OrphanGrace: 12 * time.Hour,
	}
	s.start()
	shape := items
	if seed%4 == 0 {
		shape = events
	}
	s.c = s.r.catalog.define(16, shape)
	s.laidOut = seed%3 == 0
	if seed%4 == 1 {
		s.convert() // before there is a table
	}
	for range 60 {
		s.step()
	}
	s.compare("last scan", s.scan(), s.want())
	s.verify()
	s.settle()
}

// settle lets all graces pass: only what the newest version names may be left.
func (s *upkeepSim) settle() {
	s.t.Helper()
	for _, h := range s.open {
		s.compare("held scan at the end", h.scan, h.want)
		h.scan.Close()
	}
	s.open = nil
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	_, err := s.r.engine.Flush(s.t.Context(), s.c)
	must(err)
	must(s.r.engine.Compact(s.t.Context(), s.c, func(sync.Compaction) error { return nil }))
	for range 3 {
		s.clock.pass(13 * time.Hour)
		must(s.r.engine.ExpireTable(s.t.Context(), s.c, func(r sync.Removal) error {
			s.counts["removed orphans"] += r.Orphans
			return nil
		}))
	}
	snap, err := s.r.lake.Current(s.t.Context(), s.c)
	must(err)
	files, deletes := len(snap.Files()), map[string]bool{}
	for _, f := range snap.Files() {
		if f.DeletesURI != "" {
			deletes[f.DeletesURI] = true
		}
	}
	files += len(deletes)
	if got := snap.FormatVersion(); got != s.c.Options.LakeFormat {
		s.t.Fatalf("the table is of format version %d, want %d", got, s.c.Options.LakeFormat)
	}
	left, manifests := s.left(), 2
	if s.laidOut {
		manifests = 8 // two of each spec that had files in the version before
	}
	if left["data"] != files || left["version"] != 1 || left["list"] != 1 || left["manifest"] > manifests {
		s.t.Fatalf("with %d files in the table, there are left: %v", files, left)
	}
	s.compare("scan of what is left", s.scan(), s.want())
	s.verify()
}

func TestUpkeepSimulation(t *testing.T) {
	first := seedtest.Of(t)
	counts := map[string]int{}
	for i := range *seeds {
		runUpkeepSim(t, first+i, counts)
	}
	t.Logf("%d runs: %v", *seeds, counts)
	for _, what := range []string{"exchanges", "races", "conversions", "conversions under a compaction", "compact failed", "flush failed", "expire failed", "removed files", "resumes", "resumes too late", "engine commits", "engine failed", "engine overtaken", "layouts"} {
		if counts[what] == 0 && *seeds >= 50 { // fewer may miss one
			t.Errorf("no %s in %d runs", what, *seeds)
		}
	}
}
