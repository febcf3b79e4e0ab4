package snapshot_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/kvindex/snapshot"
	"github.com/trinedb/trine/schema"
)

var seeds = flag.Int("seeds", 30, "how many random histories a simulation goes through")

// TestSimulation does random things to an index and its snapshots: chunks,
// closing and opening (which makes tables and compactions), snapshots, collections,
// stores that fail, loss of the directory. After each loss the index is restored,
// caught up and compared with one that was built from the log alone.
func TestSimulation(t *testing.T) {
	for i := range *seeds {
		seed := uint64(i) + 1
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			s := newSim(t, seed)
			for range 40 {
				s.step(t)
			}
			s.lose(t)
			closeIndex(t, s.x)
		})
	}
}

type sim struct {
	rnd   *rand.Rand
	m     *maker
	store *memStore
	snaps *snapshot.Snapshots
	dir   string
	lives int
	x     *kvindex.Index
	epoch schema.Epoch
	last  snapshot.Info // the last that Take announced
}

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{rnd: rand.New(rand.NewPCG(seed, 5)), m: newMaker(seed), store: newStore(), dir: t.TempDir()}
	s.start(t)
	return s
}

// start is what a process begins with.
func (s *sim) start(t *testing.T) {
	t.Helper()
	s.epoch++
	s.snaps = snapshot.New(quick(s.store))
	x, err := kvindex.Open(indexOptions(s.path()))
	must(t, err)
	s.x = x
}

func (s *sim) path() string { return filepath.Join(s.dir, fmt.Sprint(s.lives)) }

func (s *sim) step(t *testing.T) {
	t.Helper()
	switch n := s.rnd.IntN(20); {
	case n < 10:
		must(t, s.x.Apply(bg, s.m.chunk()))
	case n < 13:
		closeIndex(t, s.x)
		s.start(t)
	case n < 17:
		s.take(t)
	case n < 19:
		left := s.rnd.IntN(6)
		s.store.before = func(string, string) error {
			if left--; left < 0 {
				return errors.New("store is away")
			}
			return nil
		}
		if _, err := s.snaps.Take(bg, s.x, s.epoch); err == nil {
			s.store.before = nil
			s.take(t)
		}
		s.store.before = nil
	default:
		s.lose(t)
	}
}

func (s *sim) take(t *testing.T) {
	t.Helper()
	info, err := s.snaps.Take(bg, s.x, s.epoch)
	must(t, err)
	if info.Position != s.x.Applied() {
		t.Fatalf("snapshot is of %s, the index at %s", info.Position, s.x.Applied())
	}
	s.last = info
	must(t, s.snaps.Collect(bg, info))
	if info.Epoch == s.epoch {
		s.store.noOrphans(t)
	}
}

// lose throws the index away, as it is.
func (s *sim) lose(t *testing.T) {
	t.Helper()
	closeIndex(t, s.x)
	must(t, os.RemoveAll(s.path()))
	s.lives++
	x, info := restored(t, snapshot.New(quick(s.store)), s.path())
	switch {
	case x != nil && info.Position.Compare(s.last.Position) < 0:
		t.Fatalf("restored to %s, a snapshot of %s was announced", info.Position, s.last.Position)
	case x != nil:
		closeIndex(t, x)
	case !s.last.Position.IsZero():
		t.Fatalf("nothing restored, a snapshot of %s was announced", s.last.Position)
	}
	s.start(t)
	s.m.replay(t, s.x)
	s.compare(t)
}

// compare with an index that was built from the log alone.
func (s *sim) compare(t *testing.T) {
	t.Helper()
	oracle, err := kvindex.Open(indexOptions(filepath.Join(s.dir, "oracle")))
	must(t, err)
	defer closeIndex(t, oracle)
	s.m.replay(t, oracle)
	sameState(t, "restored and caught up", s.m.state(t, s.x), s.m.state(t, oracle))
}

// TestWhileWriting takes snapshots at any moment of writing that flushes and
// compacts all the time, and restores each of them.
func TestWhileWriting(t *testing.T) {
	if testing.Short() {
		t.Skip("writes some 300 MB")
	}
	m, store, dir := newMaker(uint64(time.Now().UnixNano())), newStore(), t.TempDir()
	m.rows, m.bytes = 200, 40<<10
	x := openIndex(t, filepath.Join(dir, "x"))
	s := snapshot.New(quick(store))
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for n := 0; n < 70; n++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := x.Apply(bg, m.chunk()); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	var last snapshot.Info
	var uploaded, total int64
	var held time.Duration
	taken := 0
	for writing := true; writing; taken++ {
		if taken == 12 { // enough; one more of the end
			must(t, <-done)
			writing = false
		}
		select {
		case err := <-done:
			must(t, err)
			writing = false
		default:
		}
		info, err := s.Take(bg, x, 1)
		must(t, err)
		must(t, s.Collect(bg, info))
		last, held = info, max(held, info.Held)
		uploaded, total = uploaded+info.UploadedBytes, total+info.Bytes
		y, got := restored(t, s, filepath.Join(dir, fmt.Sprint("y", taken)))
		if got.Position != info.Position {
			t.Fatalf("restored %s, want %s", got.Position, info.Position)
		}
		must(t, y.VerifyChecksums(bg))
		closeIndex(t, y)
		if writing {
			must(t, os.RemoveAll(filepath.Join(dir, fmt.Sprint("y", taken))))
		}
	}
	close(stop)
	t.Logf("%d snapshots, %d MB of %d MB uploaded, commits held for at most %s", taken, uploaded>>20, total>>20, held)
	if last.Position != x.Applied() || taken < 3 {
		t.Fatalf("%d snapshots, the last of %s, the index at %s", taken, last.Position, x.Applied())
	}
	y := openIndex(t, filepath.Join(dir, fmt.Sprint("y", taken-1)))
	sameState(t, "restored", m.state(t, y), m.state(t, x))
}

// TestMidChunk has a snapshot between the transactions of one large chunk: the
// restored index goes on in the middle of it.
func TestMidChunk(t *testing.T) {
	m, store, dir := newMaker(9), newStore(), t.TempDir()
	m.rows, m.bytes = 20_000, 200
	x := openIndex(t, filepath.Join(dir, "x"))
	must(t, x.Apply(bg, m.chunk()))
	big := m.chunk()
	failed := make(chan error, 1)
	go func() { failed <- x.Apply(bg, big) }()
	inside := 0
	s := snapshot.New(quick(store))
	for i := 0; ; i++ {
		info, err := s.Take(bg, x, 1)
		must(t, err)
		if info.Position == big.Position {
			break
		}
		y, _ := restored(t, s, filepath.Join(dir, fmt.Sprint("y", i)))
		must(t, y.Apply(bg, big))
		want := openIndex(t, filepath.Join(dir, fmt.Sprint("z", i)))
		m.replay(t, want)
		sameState(t, "restored", m.state(t, y), m.state(t, want))
		closeIndex(t, y)
		inside++
	}
	must(t, <-failed)
	t.Logf("%d snapshots before the end of the chunk", inside)
}

// copyTree copies a directory as a crash would leave it.
func copyTree(t testing.TB, from, to string) {
	t.Helper()
	must(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o750)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o640)
	}))
}
