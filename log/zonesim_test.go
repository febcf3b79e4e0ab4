package log_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

var zoneRuns = flag.Uint64("sim.zones", 2000, "seeds of the simulation of three zones")

// TestZoneWriters lets writers take a channel over from each other while its
// three zones and the store of its head are slow, stall, lose requests and answers,
// let writes land late, and are away one at a time, sometimes two. Whatever zone is
// gone at last: nothing acknowledged is lost, doubled or out of order.
func TestZoneWriters(t *testing.T) {
	runs := *zoneRuns
	if testing.Short() {
		runs = min(runs, 200)
	}
	first := max(*simSeed, 1)
	var seen zoneCoverage
	for seed := first; seed < first+runs; seed++ {
		synctest.Test(t, func(t *testing.T) { // ends the test if it fails
			defer tellSeed(t, seed, 1)
			zoneWriters(t, rand.New(&lockedSource{src: rand.NewPCG(seed, 7)}), &seen)
		})
	}
	t.Logf("%d seeds: %+v", runs, seen)
	if least := int(runs / 10); runs >= 100 && min(seen.Acked, seen.Owners, seen.Adopted, seen.Holes, seen.Vouched) < least {
		t.Errorf("less than %d of something", least)
	}
}

func tellSeed(t *testing.T, seed, runs uint64) {
	if t.Failed() {
		t.Logf("seed %d: -sim.seed %d -sim.zones %d", seed, seed, runs)
	}
}

// zoneCoverage is what happened in schedules, so that it shows when nothing does.
type zoneCoverage struct {
	Acked   int // batches
	Owners  int // after the first that served, and wrote
	Adopted int // chunks that a take-over copied
	Holes   int // chunks that count and that a zone lacks at last
	Vouched int // chunks that a stranger believed because of a later one's durable_upto
}

// look adds what the zones show at last.
func (v *zoneCoverage) look(t *testing.T, h *history, s *shaky) {
	for _, b := range h.batches {
		if b.outcome == acked {
			v.Acked++
		}
	}
	var zones [3]map[string]chunk.Header
	for i, z := range s.zones {
		zones[i] = map[string]chunk.Header{}
		mem := z.copy(t)
		for name, err := range mem.List(t.Context(), "ch/", "") {
			if err != nil {
				t.Fatal(err)
			}
			data, err := mem.Get(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			n, err := strconv.ParseUint(name[len("ch/0/0/"):], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			hdr, err := chunk.DecodeHeader(name, 0, schema.Position{Chunk: n}, data)
			if err != nil {
				t.Fatal(err)
			}
			if hdr.Kind == chunk.Data {
				zones[i][name] = hdr
			}
		}
	}
	epochs := map[schema.Epoch]bool{}
	for name, hdr := range zones[0] {
		epochs[hdr.Epoch] = true
		if zones[1][name].Position != hdr.Position || zones[2][name].Position != hdr.Position {
			v.Holes++
		}
		for _, other := range zones[1:] {
			if o := other[name]; o.SameChunk(hdr) && o.PutID != hdr.PutID {
				v.Adopted++
				break
			}
		}
	}
	v.Owners += max(0, len(epochs)-1)
}

func zoneWriters(t *testing.T, r *rand.Rand, seen *zoneCoverage) {
	s, h := newShaky(r), &history{}
	ctx, stop := context.WithCancel(t.Context())
	var outages, writers sync.WaitGroup
	outages.Go(func() { s.outages(ctx) })
	var strangers [3]stranger
	for i := range strangers {
		strangers[i] = stranger{zone: s.zones[i].mem, heads: s.heads.mem, next: 1}
		outages.Go(func() { strangers[i].follow(ctx, t, r.IntN) })
	}
	for i := range 3 {
		seed, delay := r.Uint64(), time.Duration(r.IntN(3000))*time.Millisecond
		writers.Go(func() {
			r := rand.New(rand.NewPCG(seed, 3))
			time.Sleep(delay)
			x := newFakeIndex(t) // none knows another's
			o := simOptions(x, nil, r)
			s.give(&o)
			o.WriterID = fmt.Sprint(i)
			c, err := log.Open(t.Context(), o)
			if err != nil {
				return
			}
			work(t, h, c, x, r, 6)
			finish(c, time.Duration(r.IntN(3000))*time.Millisecond)
		})
	}
	writers.Wait()
	stop()
	outages.Wait()
	time.Sleep(time.Hour) // what is late has landed
	seen.look(t, h, s)
	for away := range s.zones {
		head := finalWithout(t, h, s, away)
		strangers[away].check(t, head)
		seen.Vouched += strangers[away].vouched
	}
}

// TestZoneFloorMoves is TestZoneWriters with owners that raise the floor and
// delete what a saved index has applied. A writer begins with what was saved.
func TestZoneFloorMoves(t *testing.T) {
	runs := *zoneRuns / 4
	first := max(*simSeed, 1)
	collected := 0
	for seed := first; seed < first+runs; seed++ {
		synctest.Test(t, func(t *testing.T) {
			defer tellSeed(t, seed, 4)
			collected += zoneFloorMoves(t, rand.New(&lockedSource{src: rand.NewPCG(seed, 8)}))
		})
	}
	t.Logf("%d seeds: the floor was raised %d times", runs, collected)
	if runs >= 100 && collected < int(runs) {
		t.Errorf("less than once a seed")
	}
}

func zoneFloorMoves(t *testing.T, r *rand.Rand) (collected int) {
	s, h, save := newShaky(r), &history{}, &saved{x: newFakeIndex(t)}
	ctx, stop := context.WithCancel(t.Context())
	var outages, writers sync.WaitGroup
	outages.Go(func() { s.outages(ctx) })
	var mu sync.Mutex
	for i := range 4 {
		seed, delay := r.Uint64(), time.Duration(r.IntN(5000))*time.Millisecond
		writers.Go(func() {
			r := rand.New(rand.NewPCG(seed, 3))
			time.Sleep(delay)
			x := save.get()
			o := simOptions(x, nil, r)
			s.give(&o)
			o.WriterID = fmt.Sprint(i)
			c, err := log.Open(t.Context(), o)
			if err != nil {
				return
			}
			for range 3 {
				work(t, h, c, x, r, 4)
				save.offer(x)
				if y := save.get(); c.Collect(t.Context(), min(y.applied.Chunk, c.Durable().Chunk), y.epoch) == nil {
					mu.Lock()
					collected++
					mu.Unlock()
				}
			}
			finish(c, time.Duration(r.IntN(3000))*time.Millisecond)
		})
	}
	writers.Wait()
	stop()
	outages.Wait()
	time.Sleep(time.Hour) // what is late has landed
	for away := range s.zones {
		now, x := h.copy(), save.get()
		o := x.options(nil)
		s.without(t, &o, away)
		c, err := log.Open(t.Context(), o)
		if err != nil {
			t.Fatalf("open without %s: %v", s.zones[away].name, err)
		}
		for _, b := range now.open() {
			if err := now.send(t.Context(), t, c, b); err != nil {
				t.Errorf("send %s at last: %v", b.row, err)
			}
		}
		c.Applied(x.apply(1 << 30))
		now.resend(t, c)
		now.verifyRows(t, x.rows)
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	return collected
}

// copy is the history so far.
func (h *history) copy() *history {
	now := &history{}
	for _, b := range h.batches {
		dup := *b
		now.batches = append(now.batches, &dup)
	}
	return now
}

// finalWithout opens the channel on copies of the zones but one, which is gone,
// and gives the head that it leaves.
func finalWithout(t *testing.T, h *history, s *shaky, away int) []byte {
	t.Helper()
	now, x := h.copy(), newFakeIndex(t)
	o := x.options(nil)
	s.without(t, &o, away)
	c, err := log.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open without %s: %v", s.zones[away].name, err)
	}
	now.verify(t, c)
	for _, b := range now.open() {
		if err := now.send(t.Context(), t, c, b); err != nil {
			t.Errorf("send %s at last: %v", b.row, err)
		}
	}
	now.verify(t, c)
	now.resend(t, c)
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	head, _, err := o.Head.Read(t.Context(), chunk.HeadName(0))
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// shaky is three zones and a store of heads, none of which can be relied on.
type shaky struct {
	zones [3]*shakyStore
	heads *shakyStore
	roll  func(int) int
}

func newShaky(r *rand.Rand) *shaky {
	s := &shaky{roll: r.IntN, heads: newShakyStore("heads", r.IntN, 1+r.IntN(30))}
	for i := range s.zones {
		s.zones[i] = newShakyStore(string(rune('a'+i)), r.IntN, 1+r.IntN(30))
	}
	return s
}

// give makes o those of a writer here.
func (s *shaky) give(o *log.Options) {
	o.Store, o.Head = nil, s.heads
	for _, z := range s.zones {
		o.Zones = append(o.Zones, log.Zone{Name: z.name, Store: z})
	}
}

// without makes o those of a writer on copies of the zones but one, which is
// gone.
func (s *shaky) without(t *testing.T, o *log.Options, away int) {
	o.Store, o.Head = nil, s.heads.copy(t)
	for i, z := range s.zones {
		var store log.ChunkStore = z.copy(t)
		if i == away {
			gone := newFaults(blob.NewMem())
			gone.set(func(blobtest.Call, string) (error, error) { return schema.ErrUnavailable, nil })
			store = gone
		}
		o.Zones = append(o.Zones, log.Zone{Name: z.name, Store: store})
	}
}

// outages takes a zone away for a while, again and again.
func (s *shaky) outages(ctx context.Context) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(s.roll(800)) * time.Millisecond)
		z := s.zones[s.roll(3)]
		z.setAway(1 + s.roll(2))
		if s.roll(4) > 0 {
			time.Sleep(time.Duration(s.roll(1500)) * time.Millisecond)
			z.setAway(0)
		}
		if s.roll(3) == 0 {
			for _, z := range s.zones {
				z.setAway(0)
			}
		}
	}
	for _, z := range s.zones {
		z.setAway(0)
	}
}

// shakyStore is a store that is slow, fails, and lets writes land late.
type shakyStore struct {
	blobtest.Faulty
	name string
	mem  *blob.Mem
	roll func(int) int

	mu     sync.Mutex
	away   int             // 1: it refuses, 2: it does not answer
	copies map[uint64]bool // numbers at which a take-over put a chunk over its marker
}

func newShakyStore(name string, roll func(int) int, lose int) *shakyStore {
	s := &shakyStore{name: name, mem: blob.NewMem(), roll: roll}
	s.Faulty = blobtest.Faulty{Store: s.mem, Hook: func(blobtest.Call, string) (before, after error) {
		time.Sleep(time.Duration(roll(4000)) * time.Microsecond)
		if roll(30) == 0 {
			time.Sleep(time.Duration(roll(1500)) * time.Millisecond) // a stall
		}
		switch s.isAway() {
		case 1:
			return fmt.Errorf("zone %s is away: %w", name, schema.ErrUnavailable), nil
		case 2:
			time.Sleep(time.Duration(roll(3000)) * time.Millisecond)
			return fmt.Errorf("zone %s does not answer", name), nil
		}
		switch roll(lose * 5) {
		case 0:
			return errors.New("request lost"), nil
		case 1:
			return nil, errors.New("answer lost")
		}
		return nil, nil
	}}
	return s
}

func (s *shakyStore) setAway(how int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = how
}

func (s *shakyStore) isAway() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away
}

// PutIfAbsent is that of the store, or fails and lands afterwards.
func (s *shakyStore) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	if s.roll(15) > 0 {
		return s.Faulty.PutIfAbsent(ctx, name, data)
	}
	data = append([]byte(nil), data...)
	s.later(func() { _ = s.mem.PutIfAbsent(context.Background(), name, data) }) // taken by now: that is the point
	return errors.New("timed out")
}

// Swap is that of the store, or fails and lands afterwards.
func (s *shakyStore) Swap(ctx context.Context, name string, old blob.Version, data []byte) (blob.Version, error) {
	s.noteCopy(name, data)
	if s.roll(15) > 0 {
		return s.Faulty.Swap(ctx, name, old, data)
	}
	data = append([]byte(nil), data...)
	s.later(func() { _, _ = s.mem.Swap(context.Background(), name, old, data) })
	return blob.Absent, errors.New("timed out")
}

func (s *shakyStore) noteCopy(name string, data []byte) {
	number, ok := strings.CutPrefix(name, "ch/0/0/")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil {
		return
	}
	if hdr, err := chunk.DecodeHeader(name, 0, schema.Position{Chunk: n}, data); err == nil && hdr.Kind == chunk.Data {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.copies == nil {
			s.copies = map[uint64]bool{}
		}
		s.copies[n] = true
	}
}

func (s *shakyStore) later(fn func()) {
	wait := time.Duration(s.roll(5000)) * time.Millisecond
	go func() {
		time.Sleep(wait)
		fn()
	}()
}

// copy is the store as it is now, without its faults.
func (s *shakyStore) copy(t *testing.T) *blob.Mem {
	t.Helper()
	dup := blob.NewMem()
	for name, err := range s.mem.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := s.mem.Get(t.Context(), name)
		if err == nil {
			err = dup.PutIfAbsent(t.Context(), name, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dup
}
