package bench

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	stdsync "sync"
	"sync/atomic"
	"time"

	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

const (
	logKeyBytes = 16
	logRowPool  = 4 << 20 // bytes that rows are cut from
)

// logSenders append to a channel, each waiting for its acks.
type logSenders struct {
	o      LogOptions
	drawn  zipf
	pool   []byte
	random []*mathrand.Rand // of each sender
	target func(n int) int  // the collection to write to when n was drawn

	acks    *latencies
	records atomic.Int64 // acknowledged
	left    atomic.Int64 // that may still be sent
}

// logTurn is a round's work of the log, which the floor then does too.
type logTurn struct {
	records, batches int64
	chunks           int
	took             time.Duration
}

func newLogSenders(o LogOptions) *logSenders {
	s := &logSenders{o: o, drawn: newZipf(o.Collections, o.Zipf), acks: newLatencies(o.Senders), target: func(n int) int { return n }}
	s.left.Store(cmp.Or(o.Records, math.MaxInt64))
	s.pool = make([]byte, max(logRowPool, 2*o.RecordBytes))
	for i := 0; i < len(s.pool); i += 1024 { // half of it random, so that a batch shrinks by about half
		rand.Read(s.pool[i:min(i+512, len(s.pool))])
	}
	for i := range o.Senders {
		s.random = append(s.random, mathrand.New(mathrand.NewPCG(o.Seed, uint64(i))))
	}
	return s
}

// forget forgets what was measured.
func (s *logSenders) forget() {
	s.records.Store(0)
	s.acks.reset()
}

// append lets all senders send for a while. A batch that was begun is waited
// for: what was acknowledged is what was counted, also at an interrupt.
func (s *logSenders) append(ctx context.Context, c *log.Channel, slice time.Duration) (logTurn, error) {
	before, records := c.Durable().Chunk, s.records.Load()
	var wg stdsync.WaitGroup
	var batches atomic.Int64
	errs := make([]error, s.o.Senders)
	start := time.Now()
	for i := range s.o.Senders {
		wg.Go(func() {
			for ctx.Err() == nil && time.Since(start) < slice && errs[i] == nil {
				n := s.take()
				if n == 0 {
					return
				}
				if errs[i] = s.send(c, i, n); errs[i] == nil {
					s.records.Add(int64(n))
					batches.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return logTurn{
		records: s.records.Load() - records, batches: batches.Load(),
		chunks: int(c.Durable().Chunk - before), took: time.Since(start),
	}, errors.Join(errs...)
}

// take is how many records may be sent as a batch now.
func (s *logSenders) take() int {
	n := int64(s.o.BatchRecords)
	if left := s.left.Add(-n); left < 0 {
		n = max(n+left, 0)
	}
	return int(n)
}

// send appends a batch to a collection that is drawn.
func (s *logSenders) send(c *log.Channel, sender, records int) error {
	r := s.random[sender]
	n := s.target(s.drawn.draw(r))
	g := log.AppendGroup{Instance: schema.FirstUserInstance + schema.Instance(n), Records: make([]schema.Record, records)}
	for i := range g.Records {
		g.Records[i] = s.record(r)
	}
	start := time.Now()
	// Without ctx: a batch that is under way has an outcome.
	if _, err := c.Append(context.Background(), log.Append{Groups: []log.AppendGroup{g}}); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	s.acks.add(sender, time.Since(start))
	return nil
}

// record is a row under a key, both cut from the pool.
func (s *logSenders) record(r *mathrand.Rand) schema.Record {
	at := r.IntN(len(s.pool) - s.o.RecordBytes)
	data := s.pool[at : at+s.o.RecordBytes]
	return schema.Record{Op: schema.OpUpsert, Key: data[:logKeyBytes:logKeyBytes], Row: data[logKeyBytes:]}
}
