package log

import (
	"context"
	"errors"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// ErrBehind is what a Watch answers once when it forgot chunks because nobody
// asked for them for long. It goes on with chunks that are published later than
// the answer: what was durable by then is read elsewhere.
var ErrBehind = errors.New("reader is too far behind")

// maxWatched is how many chunks a Watch remembers: 8 KiB.
const maxWatched = 1024

// Watch finds the chunks that hold records of some collections as they become
// durable. Those that hold none cost it nothing: of a thousand watches of a
// thousand collections, a chunk wakes those that it is for. It is used by one
// goroutine, never delays the writer, and must be closed.
type Watch struct {
	c     *Channel
	ids   []schema.Instance
	moved chan struct{} // holds a token when found or behind changed

	found  []uint64 // chunks not asked for yet, in order; guarded by the channel's mutex
	behind bool     // the same
}

// watches are the Watches by collection. They are guarded by the channel's mutex.
type watches map[schema.Instance]map[*Watch]struct{}

// Watch watches collections from now on: every chunk that is not durable yet is
// found. One whose records are wanted, too, is to be read after this call.
func (c *Channel) Watch(ids ...schema.Instance) *Watch {
	w := &Watch{c: c, ids: ids, moved: make(chan struct{}, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if c.watches[id] == nil {
			c.watches[id] = map[*Watch]struct{}{}
		}
		c.watches[id][w] = struct{}{}
	}
	return w
}

// Close ends the watch.
func (w *Watch) Close() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	for _, id := range w.ids {
		delete(w.c.watches[id], w)
		if len(w.c.watches[id]) == 0 {
			delete(w.c.watches, id)
		}
	}
}

// tellLocked tells of a chunk that became durable.
func (ws watches) tellLocked(ck *schema.Chunk) {
	if len(ws) == 0 {
		return
	}
	for i := range ck.Groups {
		for w := range ws[ck.Groups[i].Instance] {
			w.foundLocked(ck.Position.Chunk)
		}
	}
}

func (w *Watch) foundLocked(n uint64) {
	switch {
	case w.behind, len(w.found) > 0 && w.found[len(w.found)-1] == n:
		return
	case len(w.found) >= maxWatched:
		w.found, w.behind = nil, true
	default:
		w.found = append(w.found, n)
	}
	select {
	case w.moved <- struct{}{}:
	default:
	}
}

// take is the next chunk, if there is one.
func (w *Watch) take() (pos schema.Position, ok bool, err error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if w.behind {
		w.behind = false
		return schema.Position{}, false, ErrBehind
	}
	if len(w.found) == 0 {
		return schema.Position{}, false, nil
	}
	n := w.found[0]
	if w.found = w.found[1:]; len(w.found) == 0 {
		w.found = nil // what rests holds no memory
	}
	return w.c.at(n), true, nil
}

// Next waits for the next chunk that holds records of one of the collections. It
// fails with ErrBehind, with schema.ErrClosed if the channel ends before, and
// with ctx's error.
func (w *Watch) Next(ctx context.Context) (schema.Position, error) {
	for ended := false; ; {
		if pos, ok, err := w.take(); ok || err != nil {
			return pos, err
		}
		if ended {
			return schema.Position{}, fmt.Errorf("watch: %w", schema.ErrClosed)
		}
		select {
		case <-w.moved:
		case <-ctx.Done():
			return schema.Position{}, fmt.Errorf("watch: %w", ctx.Err())
		case <-w.c.exited:
			ended = true // what it published last may have been found meanwhile
		}
	}
}
