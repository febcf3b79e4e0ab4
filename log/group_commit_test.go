package log_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/log"
)

// timed is a store whose puts take a while.
func timed(took time.Duration) *faults {
	s := newFaults(blob.NewMem())
	s.set(func(call blobtest.Call, _ string) (error, error) {
		if call == blobtest.PutIfAbsent {
			time.Sleep(took)
		}
		return nil, nil
	})
	return s
}

func TestIdleChunkClosesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newFakeIndex(t).options(timed(time.Second))
		o.Linger = time.Minute
		c := open(t, o)
		for range 3 {
			start := time.Now()
			mustAppend(t, c, batch(group(16, "a")))
			if took := time.Since(start); took != time.Second {
				t.Errorf("took %v, the store takes 1s", took)
			}
		}
	})
}

// TestChunksFillWhileTheStoreIsBusy sends batches at fixed times and looks into
// which chunks they come.
func TestChunksFillWhileTheStoreIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		o := newFakeIndex(t).options(timed(100 * time.Millisecond))
		o.Registerer = reg
		o.MaxChunkBytes, o.Linger = 4000, 10*time.Millisecond
		c := open(t, o)
		var results []chan result
		for _, b := range []struct {
			at   time.Duration // since the one before
			size int           // of row, and of key
		}{
			{0, 10},                               // idle: chunk 2, at the store until 100 ms
			{time.Millisecond, 10},                // small: stays open after linger
			{20 * time.Millisecond, 750},          // now it is worth encoding ahead: closes 10 ms after it began
			{time.Millisecond, 100},               // chunk 4
			{time.Millisecond, 1900},              // does not fit: held
			{75 * time.Millisecond, 10},           // 98 ms: behind the one that is held
			{2000 * time.Millisecond, 5000},       // idle again, larger than a chunk
			{200 * time.Millisecond, 10}, {0, 10}, // with the one after it
		} {
			time.Sleep(b.at)
			results = append(results, start(t.Context(), c, batch(group(16, string(make([]byte, b.size))))))
			synctest.Wait()
		}
		var chunks []uint64
		for _, r := range results {
			got := <-r
			if got.err != nil {
				t.Fatal(got.err)
			}
			chunks = append(chunks, got.ack.Position.Chunk)
		}
		if got, want := fmt.Sprint(chunks), "[2 3 3 4 5 5 6 7 8]"; got != want {
			t.Errorf("chunks %s, want %s", got, want)
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				seen[f.GetName()] += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		for name, want := range map[string]float64{
			"trine_log_put_seconds": 7, "trine_log_chunks_total": 7, "trine_log_appends_total": 9,
			"trine_log_ack_seconds": 9, "trine_log_records_total": 9,
		} {
			if seen[name] != want {
				t.Errorf("%s is %v, want %v", name, seen[name], want)
			}
		}
	})
}

// TestSendersComeBackTogether has senders that wait for each answer before they
// send again: they should share each chunk, not take turns.
func TestSendersComeBackTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders, each = 10, 50
		c := open(t, newFakeIndex(t).options(timed(2*time.Millisecond)))
		done := make(chan error)
		for i := range senders {
			go func() {
				for range each {
					time.Sleep(time.Duration(i) * 5 * time.Microsecond)
					if _, err := c.Append(t.Context(), batch(group(16, "a"))); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range senders {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if n := c.Durable().Chunk; n > each*13/10 {
			t.Errorf("%d chunks for %d rounds", n, each)
		}
	})
}

// TestStrangersDoNotWait sends at a steady pace, whoever was answered: waiting
// for company is given up.
func TestStrangersDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newFakeIndex(t).options(timed(time.Millisecond))
		o.Linger = 10 * time.Millisecond
		c := open(t, o)
		const n = 2000
		took := make(chan time.Duration, n)
		for range n {
			time.Sleep(700 * time.Microsecond)
			go func() {
				start := time.Now()
				mustAppend(t, c, batch(group(16, "a")))
				took <- time.Since(start)
			}()
		}
		total := time.Duration(0)
		for range n {
			total += <-took
		}
		if mean := total / n; mean > 1700*time.Microsecond {
			t.Errorf("answered after %v in the mean, the store takes 1ms", mean)
		}
	})
}

// TestChunksAreSpreadOverAPut sends at a steady pace to a store that takes long:
// a batch waits for a part of a PUT, and for its own, not for two. One PUT that
// takes very long changes that only while it lasts.
func TestChunksAreSpreadOverAPut(t *testing.T) {
	const put, slow, inFlight = 100 * time.Millisecond, 10 * time.Second, 4
	synctest.Test(t, func(t *testing.T) {
		var puts atomic.Int64
		s := newFaults(blob.NewMem())
		s.set(func(call blobtest.Call, _ string) (error, error) {
			if call != blobtest.PutIfAbsent {
				return nil, nil
			}
			if puts.Add(1) == 20 {
				time.Sleep(slow)
			}
			time.Sleep(put)
			return nil, nil
		})
		o := newFakeIndex(t).options(s)
		o.Linger, o.InFlight = time.Millisecond, inFlight
		c := open(t, o)
		var wg sync.WaitGroup
		var warm, counted time.Duration // the slowest, before the slow PUT and after it
		var mu sync.Mutex
		begin := time.Now()
		for time.Since(begin) < 15*time.Second {
			time.Sleep(time.Millisecond)
			wg.Go(func() {
				start := time.Now()
				mustAppend(t, c, batch(group(16, "a")))
				mu.Lock()
				defer mu.Unlock()
				switch at, n := start.Sub(begin), puts.Load(); {
				case at > put && n < 20:
					warm = max(warm, time.Since(start))
				case at > slow+2*time.Second:
					counted = max(counted, time.Since(start))
				}
			})
		}
		wg.Wait()
		if most := put + put/inFlight + 2*time.Millisecond; warm == 0 || warm > most {
			t.Errorf("answered after %v at the slowest, want at most %v", warm, most)
		}
		if most := put + 2*put/inFlight; counted == 0 || counted > most {
			t.Errorf("after a slow PUT: answered after %v at the slowest, want at most %v", counted, most)
		}
	})
}

func TestCommitTimesDoNotGoBack(t *testing.T) {
	mem, x := blob.NewMem(), newFakeIndex(t)
	o := x.options(mem)
	now := time.Unix(5000, 0)
	o.Now = func() time.Time { now = now.Add(-time.Second); return now }
	last := int64(0)
	for range 2 {
		c := open(t, o)
		for range 3 {
			ack := mustAppend(t, c, batch(group(16, "a")))
			if ack.TimeMicros < last {
				t.Errorf("commit time %d after %d", ack.TimeMicros, last)
			}
			last = ack.TimeMicros
		}
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		x = x.restart()
		o.State, o.Stager = x, x
	}
}

var _ log.ChunkStore = (*blob.Dir)(nil)

// TestCompressionFollowsTheStore compresses once PUTs were seen to take long.
func TestCompressionFollowsTheStore(t *testing.T) {
	for _, c := range []struct {
		put  time.Duration
		want string
	}{{0, "[plain plain plain]"}, {time.Second, "[plain zstd zstd]"}} {
		synctest.Test(t, func(t *testing.T) {
			ch := open(t, newFakeIndex(t).options(timed(c.put)))
			var got []string
			for range 3 {
				ack := mustAppend(t, ch, batch(group(16, string(make([]byte, 64<<10)))))
				ck, err := ch.Chunk(t.Context(), ack.Position)
				if err != nil {
					t.Fatal(err)
				}
				how := "plain"
				if ck.Bytes < 64<<10 {
					how = "zstd"
				}
				got = append(got, how)
			}
			if fmt.Sprint(got) != c.want {
				t.Errorf("PUTs of %v: %v, want %s", c.put, got, c.want)
			}
			if got := rows(t, ch)[16]; len(got) != 3 || len(got[2]) != 64<<10 {
				t.Errorf("read back %d records", len(got))
			}
		})
	}
}
