package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/latency"
)

// putLoop puts objects into a slow store, as many at a time as a log may: the
// least that a durable write there is.
type putLoop struct {
	store    *latency.Store
	dir      *blob.Dir // below it
	inFlight int
	times    *latencies
	data     []byte
	made     int
}

func newPutLoop(s *latency.Store, dir *blob.Dir, inFlight int) *putLoop {
	l := &putLoop{store: s, dir: dir, inFlight: inFlight, times: newLatencies(inFlight), data: make([]byte, 1<<20)}
	rand.Read(l.data)
	return l
}

// repeat puts that many bytes as that many objects, and tells how long it took.
// They are removed then, which does not count.
func (l *putLoop) repeat(puts int, bytes int64) (time.Duration, error) {
	puts = max(puts, 1)
	if size := int(bytes/int64(puts)) + 1; size > len(l.data) {
		l.data = make([]byte, size)
		rand.Read(l.data)
	}
	part := l.data[:bytes/int64(puts)]
	ctx := context.Background()
	var g errgroup.Group
	g.SetLimit(l.inFlight)
	first := l.made
	start := time.Now()
	for range puts {
		n := l.made
		l.made++
		g.Go(func() error {
			begin := time.Now()
			if err := l.store.PutIfAbsent(ctx, putName(n), part); err != nil {
				return fmt.Errorf("floor: %w", err)
			}
			l.times.add(n, time.Since(begin))
			return nil
		})
	}
	err := g.Wait()
	took := time.Since(start)
	for n := first; n < l.made && err == nil; n++ {
		err = l.dir.Delete(ctx, putName(n))
	}
	return took, err
}

func putName(n int) string { return fmt.Sprintf("floor/%d", n) }

func (l *putLoop) each() *latencies { return l.times }

func (l *putLoop) close() error { return nil }
