package kvindex_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// spent is time by the clock, and by the processor of the whole process: the
// latter holds on a busy machine, too.
type spent struct{ clock, processor time.Duration }

func (s *spent) add(from spent) {
	now := sinceStart()
	s.clock, s.processor = s.clock+now.clock-from.clock, s.processor+now.processor-from.processor
}

var started = time.Now()

func sinceStart() spent {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return spent{time.Since(started), time.Duration(u.Utime.Nano() + u.Stime.Nano())}
}

// report tells both sides' times of one of n, and floor by ours: the part of the
// floor's speed that ours has.
func report(b *testing.B, ours, floor spent, n int) {
	b.ReportMetric(float64(ours.clock.Nanoseconds())/float64(n), "ours-ns")
	b.ReportMetric(float64(floor.clock.Nanoseconds())/float64(n), "badger-ns")
	b.ReportMetric(float64(floor.clock)/float64(ours.clock), "of-its-speed")
	b.ReportMetric(float64(floor.processor)/float64(ours.processor), "by-processor")
	b.ReportMetric(0, "ns/op")
}

// rawWriter writes what the index writes of a chunk to Badger alone: the rows,
// the pointer, the stats and the position, in one transaction a chunk, which it
// fills while the one before is committed.
type rawWriter struct {
	b       *testing.B
	db      *badger.DB
	ts      uint64
	reads   bool // reads each row before it writes it
	pending chan error
}

func (w *rawWriter) write(c *schema.Chunk) {
	txn := w.db.NewTransactionAt(w.ts, true)
	g := &c.Groups[0]
	for i := range g.Records {
		r := &g.Records[i]
		if w.reads {
			w.read(r.Key)
		}
		must(w.b, txn.Set(rawKey(r.Key), append(make([]byte, 12, 12+len(r.Row)), r.Row...)))
	}
	must(w.b, txn.Set(fmt.Appendf(nil, "\x01 %015d", g.FirstSeq), make([]byte, 20)))
	must(w.b, txn.Set([]byte("\x02 stats"), make([]byte, 24)))
	must(w.b, txn.Set([]byte("\x03p"), make([]byte, 6)))
	w.wait()
	w.ts++
	done := make(chan error, 1)
	must(w.b, txn.CommitAt(w.ts, func(err error) { done <- err }))
	w.pending = done
}

func (w *rawWriter) read(key []byte) {
	txn := w.db.NewTransactionAt(1<<62, false)
	defer txn.Discard()
	item, err := txn.Get(rawKey(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return
	}
	must(w.b, err)
	must(w.b, item.Value(func([]byte) error { return nil }))
}

func (w *rawWriter) wait() {
	if w.pending != nil {
		must(w.b, <-w.pending)
		w.pending = nil
	}
}

// BenchmarkApply applies chunks of 1,000 rows, one or several at a time, as they
// come when the index keeps up and when it is behind. An index that remembers
// nothing looks every row up; its floor does, too, one after the other.
func BenchmarkApply(b *testing.B) {
	for _, fresh := range []bool{true, false} {
		for _, behind := range []int{1, 16} {
			b.Run(fmt.Sprintf("fresh=%t/behind=%d", fresh, behind), func(b *testing.B) { benchApply(b, fresh, behind, true) })
		}
		b.Run(fmt.Sprintf("fresh=%t/behind=16/forgetful", fresh), func(b *testing.B) { benchApply(b, fresh, 16, false) })
	}
}

func benchApply(b *testing.B, fresh bool, behind int, remembers bool) {
	o := benchOptions(b.TempDir())
	if !remembers {
		o.RememberRows, o.FilterBytes = -1, -1
	}
	x, err := kvindex.Open(o)
	must(b, err)
	defer closeIndex(b, x)
	raw := &rawWriter{b: b, db: rawBadger(b, b.TempDir()), reads: !remembers}
	defer func() { must(b, raw.db.Close()) }()
	var next schema.Seq
	var pos schema.Position
	var ours, floor spent
	turn := func() {
		// Keys repeat after benchRows: then a row is there.
		chunks := benchChunks(int(next), behind*benchChunk, benchChunk, &next, &pos)
		if fresh {
			for _, c := range chunks {
				for i := range c.Groups[0].Records {
					c.Groups[0].Records[i].Key = benchKey(int(c.Groups[0].FirstSeq) + i)
				}
			}
		}
		for _, c := range chunks {
			x.Stage(c.Position, c.Groups)
			x.Publish(c)
		}
		from := sinceStart()
		must(b, x.Apply(context.Background(), chunks...))
		ours.add(from)
		from = sinceStart()
		for _, c := range chunks {
			raw.write(c)
		}
		raw.wait()
		floor.add(from)
	}
	for !fresh && next < benchRows {
		turn()
	}
	ours, floor = spent{}, spent{}
	n := 0
	for b.Loop() {
		turn()
		n += behind * benchChunk
	}
	report(b, ours, floor, n)
}
