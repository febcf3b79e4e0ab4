package log_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// outages are the ways in which a store is away.
var outages = map[string]func() error{
	"refuses connections": func() error { return fmt.Errorf("connection refused: %w", schema.ErrUnavailable) },
	"slow down":           func() error { return errors.New("503 SlowDown") },
	"no answer": func() error {
		time.Sleep(10 * time.Second) // what package s3 waits
		return errors.New("no answer in time")
	},
}

// outageTime is how long a store is away.
const outageTime = 5 * time.Minute

// during fails all calls until an end.
func during(end time.Time, how func() error) func(blobtest.Call, string) (error, error) {
	return func(blobtest.Call, string) (error, error) {
		if time.Now().Before(end) {
			return how(), nil
		}
		return nil, nil
	}
}

// TestOutage takes the store away for five minutes, in the middle of writes: their
// senders are told that they may try again, and why; what is in memory is read
// on; then the channel comes back by itself, and what was acknowledged is there.
func TestOutage(t *testing.T) {
	for name, how := range outages {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, x, h := newFaults(blob.NewMem()), newFakeIndex(t), &history{}
				c := open(t, wide(x, s))
				var end atomic.Pointer[time.Time]
				never := time.Now().Add(1000 * time.Hour)
				end.Store(&never)
				var senders sync.WaitGroup
				var told, back atomic.Int64
				for i := range 8 {
					senders.Go(func() {
						r := rand.New(rand.NewPCG(uint64(i), 9))
						for time.Now().Before(end.Load().Add(time.Minute)) {
							b := h.add(r)
							for !sendOn(t, h, c, b, &told) {
								time.Sleep(2 * time.Second)
							}
							if after := time.Since(*end.Load()); after > 0 {
								back.CompareAndSwap(0, int64(after))
							}
							time.Sleep(200 * time.Millisecond)
						}
					})
				}
				time.Sleep(time.Second)
				before := c.Durable()
				until := time.Now().Add(outageTime)
				end.Store(&until)
				s.set(during(until, how))
				for time.Now().Before(until.Add(-time.Second)) {
					time.Sleep(time.Second)
					begin := time.Now()
					ck, err := c.Chunk(t.Context(), before)
					if _, nerr := c.NextSeq(t.Context(), 16); err != nil || nerr != nil || len(ck.Groups) == 0 || time.Since(begin) > 0 {
						t.Fatalf("reading what is in memory took %v: %v, %v", time.Since(begin), err, nerr)
					}
				}
				senders.Wait()
				t.Logf("%d answers asked to try again; acknowledged again %v after the end", told.Load(), time.Duration(back.Load()))
				if told.Load() == 0 || back.Load() == 0 || time.Duration(back.Load()) > 20*time.Second {
					t.Errorf("%d answers asked to try again; acknowledged again %v after the end", told.Load(), time.Duration(back.Load()))
				}
				h.verify(t, c)
			})
		})
	}
}

// sendOn sends a batch, and reports whether it is done with: one without a key
// cannot be sent again.
func sendOn(t *testing.T, h *history, c *log.Channel, b *sent, told *atomic.Int64) bool {
	begin := time.Now()
	err := h.send(context.Background(), t, c, b)
	if took := time.Since(begin); took > 27*time.Second {
		t.Errorf("answered after %v: %v", took, err)
	}
	if err == nil {
		return true
	}
	told.Add(1)
	if !errors.Is(err, schema.ErrUnavailable) && !errors.Is(err, schema.ErrUnknownOutcome) {
		t.Errorf("not an error to try again after: %v", err)
	}
	if says := err.Error(); !strings.Contains(says, "refused") && !strings.Contains(says, "SlowDown") && !strings.Contains(says, "no answer") {
		t.Errorf("does not name the cause: %v", err)
	}
	return b.key == schema.DedupKey{}
}

// TestOutageInMemory sends large batches all through an outage: what the channel
// holds of them is bounded.
func TestOutageInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := newFaults(blob.NewMem()), newFakeIndex(t)
		o := x.options(s)
		o.InFlight, o.MaxPendingBytes = 4, 4<<20
		c := open(t, o)
		until := time.Now().Add(outageTime)
		s.set(during(until, outages["no answer"]))
		var senders sync.WaitGroup
		var refused atomic.Int64
		for i := range 50 {
			senders.Go(func() {
				for n := 0; time.Now().Before(until); n++ {
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					a := batch(log.AppendGroup{Instance: 16, Records: []schema.Record{{Op: schema.OpInsert, Row: make([]byte, 256<<10)}}})
					a.Dedup, a.Digest = schema.DedupKey{byte(i), byte(n), byte(n >> 8), 1}, [16]byte{1}
					if _, err := c.Append(ctx, a); err != nil {
						refused.Add(1)
					}
					cancel()
					time.Sleep(time.Second)
				}
			})
		}
		var most uint64
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		time.Sleep(time.Second)
		begin := heap()
		for time.Now().Before(until.Add(-30 * time.Second)) {
			time.Sleep(30 * time.Second)
			most = max(most, heap())
		}
		senders.Wait()
		// The senders themselves hold 50 batches; the channel may hold as many
		// bytes as are under way, and once more encoded.
		const bound = 50*256<<10 + 3*4<<20
		t.Logf("%d batches refused, heap from %d to %d KiB", refused.Load(), begin>>10, most>>10)
		if most > begin+bound || refused.Load() < 500 {
			t.Errorf("%d batches refused, heap from %d to %d KiB", refused.Load(), begin>>10, most>>10)
		}
		s.set(nil)
		time.Sleep(time.Minute)
		mustAppend(t, c, batch(group(17, "a")))
		c.Applied(x.apply(1 << 20))
		if collections, keys, _ := c.Held(); collections+keys > 0 {
			t.Errorf("still holds %d collections, %d keys", collections, keys)
		}
	})
}

// TestOutageInTakeOver begins an outage at each call of a take-over in turn: the
// Open fails, with what ails the store, and the next one, when it is back, finds
// all.
func TestOutageInTakeOver(t *testing.T) {
	for name, how := range outages {
		t.Run(name, func(t *testing.T) {
			for k := int64(1); ; k++ {
				ran := false
				synctest.Test(t, func(t *testing.T) {
					mem, x := blob.NewMem(), newFakeIndex(t)
					old := open(t, wide(x, mem))
					for i := range 10 {
						mustAppend(t, old, keyed(byte(i), 1, group(16, fmt.Sprint(i))))
					}
					s := newFaults(mem)
					s.set(from(k, how, &ran))
					young, err := log.Open(t.Context(), wide(newFakeIndex(t), s))
					if err == nil {
						defer finish(young, time.Minute)
					}
					if !ran {
						return
					}
					if err != nil && !strings.Contains(err.Error(), how().Error()) {
						t.Errorf("at call %d: %v", k, err)
					}
					s.set(nil)
					c := open(t, wide(newFakeIndex(t), s))
					if got, want := fmt.Sprint(rows(t, c)), "map[16:[0 1 2 3 4 5 6 7 8 9]]"; got != want {
						t.Errorf("at call %d: got %s, want %s", k, got, want)
					}
					if ack := mustAppend(t, c, keyed(3, 1, group(16, "3"))); !ack.Replayed {
						t.Errorf("at call %d: sent again: %+v", k, ack)
					}
				})
				if !ran || t.Failed() {
					if k < 10 {
						t.Errorf("a take-over made %d calls", k)
					}
					return
				}
			}
		})
	}
}

// from fails all calls from the k-th on, and tells whether there was one.
func from(k int64, how func() error, ran *bool) func(blobtest.Call, string) (error, error) {
	var n atomic.Int64
	var once sync.Once
	return func(blobtest.Call, string) (error, error) {
		if n.Add(1) < k {
			return nil, nil
		}
		once.Do(func() { *ran = true })
		return how(), nil
	}
}

// TestOutageInTakingOverAnew loses the answer of a chunk, and then begins an outage
// at each call of the take-over that is to find out: the channel comes back by
// itself.
func TestOutageInTakingOverAnew(t *testing.T) {
	for name, how := range outages {
		t.Run(name, func(t *testing.T) {
			for k := int64(1); ; k++ {
				ran := false
				synctest.Test(t, func(t *testing.T) {
					s, x := newFaults(blob.NewMem()), newFakeIndex(t)
					c := open(t, wide(x, s))
					first, later := thenAway(nil, errors.New("connection reset")), from(k, how, &ran)
					begin := time.Now()
					var over atomic.Bool
					s.set(func(call blobtest.Call, name string) (error, error) {
						if call == blobtest.Read {
							over.Store(true)
						}
						if !over.Load() {
							return first(call, name)
						}
						if time.Since(begin) < outageTime {
							return later(call, name)
						}
						return nil, nil
					})
					a := keyed(1, 1, group(16, "a"))
					ack, err := c.Append(t.Context(), a)
					if err != nil {
						wantErr(t, err, schema.ErrUnknownOutcome)
					}
					time.Sleep(outageTime + 30*time.Second)
					if ack, err = c.Append(t.Context(), a); err != nil || !ack.Replayed || ack.Groups[0].FirstSeq != 0 {
						t.Errorf("at call %d: sent again: %+v, %v", k, ack, err)
					}
					if got, want := fmt.Sprint(rows(t, c)), "map[16:[a]]"; got != want {
						t.Errorf("at call %d: got %s, want %s", k, got, want)
					}
				})
				if !ran || t.Failed() {
					if k < 6 {
						t.Errorf("a take-over made %d calls", k)
					}
					return
				}
			}
		})
	}
}
