package bench

import (
	"context"
	"errors"
	stdsync "sync"
	"sync/atomic"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// follower applies what a channel makes durable to an index, or as one would
// that costs nothing, and counts it.
type follower struct {
	channel         *log.Channel
	index           *kvindex.Index // nil: there is none
	cancel          context.CancelFunc
	wg              stdsync.WaitGroup
	chunks, records atomic.Int64
	bytes           atomic.Int64
	applied         atomic.Uint64
	moved           chan struct{} // holds a token when applied moved
	err             error         // of reading; set before moved is closed
}

// As many as a server gives its index at once.
const (
	followChunks = 16
	followBytes  = 8 << 20
)

func follow(c *log.Channel, index *kvindex.Index) *follower {
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{channel: c, index: index, cancel: cancel, moved: make(chan struct{}, 1)}
	from := c.Durable()
	f.applied.Store(from.Chunk)
	f.wg.Go(func() {
		defer close(f.moved)
		next := c.Follow(from)
		for {
			few, err := next.NextFew(ctx, followChunks, followBytes)
			if err == nil && f.index != nil {
				err = f.index.Apply(ctx, few...)
			}
			if err != nil {
				f.err = err
				return
			}
			for _, ck := range few {
				f.take(ck)
			}
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
