package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	stdsync "sync"
	"sync/atomic"
	"time"

	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// fsyncLoop appends to one open file and fsyncs it: the least that a durable
// write on a disk is.
type fsyncLoop struct {
	file  *os.File
	times *latencies
	data  []byte
}

func newFsyncLoop(path string) (*fsyncLoop, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("make floor's file: %w", err)
	}
	l := &fsyncLoop{file: f, times: newLatencies(1), data: make([]byte, 1<<20)}
	rand.Read(l.data)
	return l, nil
}

// repeat writes that many bytes with that many fsyncs, and tells how long it
// took. The file begins anew each time, so that it stays small and grows as a
// log does.
func (l *fsyncLoop) repeat(fsyncs int, bytes int64) (time.Duration, error) {
	if err := l.file.Truncate(0); err != nil {
		return 0, fmt.Errorf("floor: %w", err)
	}
	if _, err := l.file.Seek(0, 0); err != nil {
		return 0, fmt.Errorf("floor: %w", err)
	}
	fsyncs = max(fsyncs, 1)
	start := time.Now()
	for i := range int64(fsyncs) {
		begin := time.Now()
		if err := l.write(bytes*(i+1)/int64(fsyncs) - bytes*i/int64(fsyncs)); err != nil {
			return 0, fmt.Errorf("floor: %w", err)
		}
		l.times.add(0, time.Since(begin))
	}
	return time.Since(start), nil
}

func (l *fsyncLoop) write(bytes int64) error {
	for bytes > 0 {
		n, err := l.file.Write(l.data[:min(bytes, int64(len(l.data)))])
		if err != nil {
			return err
		}
		bytes -= int64(n)
	}
	return l.file.Sync()
}

func (l *fsyncLoop) close() error { return l.file.Close() }

// follower applies what a channel makes durable, as an index would that costs
// nothing, and counts it.
type follower struct {
	channel         *log.Channel
	cancel          context.CancelFunc
	wg              stdsync.WaitGroup
	chunks, records atomic.Int64
	bytes           atomic.Int64
	applied         atomic.Uint64
	moved           chan struct{} // holds a token when applied moved
	err             error         // of reading; set before moved is closed
}

func follow(c *log.Channel) *follower {
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{channel: c, cancel: cancel, moved: make(chan struct{}, 1)}
	from := c.Durable()
	f.applied.Store(from.Chunk)
	f.wg.Go(func() {
		defer close(f.moved)
		next := c.Follow(from)
		for {
			ck, err := next.Next(ctx)
			if err != nil {
				f.err = err
				return
			}
			f.take(ck)
		}
	})
	return f
}

func (f *follower) take(ck *schema.Chunk) {
	for i := range ck.Groups {
		f.records.Add(int64(len(ck.Groups[i].Records)))
	}
	f.chunks.Add(1)
	f.bytes.Add(int64(ck.Bytes))
	f.channel.Applied(ck.Position)
	f.applied.Store(ck.Position.Chunk)
	select {
	case f.moved <- struct{}{}:
	default:
	}
}

// wait returns when the follower has come to pos. One goroutine waits at a time.
func (f *follower) wait(pos schema.Position) error {
	for f.applied.Load() < pos.Chunk {
		if _, open := <-f.moved; !open {
			return errors.Join(errors.New("follow the log"), f.err)
		}
	}
	return nil
}

func (f *follower) stop() {
	f.cancel()
	f.wg.Wait()
}
