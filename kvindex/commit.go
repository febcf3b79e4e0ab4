package kvindex

import (
	"fmt"

	"github.com/trinedb/trine/schema"
)

// committed is a commit that ended.
type committed struct {
	ts       uint64
	progress progress
	defines  []schema.Instance
	err      error
}

// commit sends a batch to the engine at the next timestamp. x.writing is held
// until the channel has told the end and committed was called with it.
func (x *Index) commit(b *batch, p progress) chan committed {
	ts := x.nextTS
	x.nextTS++
	done := make(chan committed, 1)
	defines := b.defines
	x.eng.commit(b, ts, func(err error) { done <- committed{ts, p, defines, err} })
	return done
}

// committed shows what was committed to readers.
func (x *Index) committed(c committed) error {
	if c.err != nil {
		// Some of it may be in the memtable; no view will look that far.
		x.failed = fmt.Errorf("index %s: commit %d: %w", x.opts.Dir, c.ts, c.err)
		return x.failed
	}
	x.progress = c.progress
	// Before the overlay forgets what it knows of them.
	if err := x.redefined(c.defines); err != nil {
		return err
	}
	x.advance(c.ts, c.progress.applied)
	x.discard()
	return nil
}

// commitNow commits a batch that is not from the log. x.writing is held.
func (x *Index) commitNow(b *batch) error {
	if x.failed != nil {
		return x.failed
	}
	return x.committed(<-x.commit(b, x.progress))
}
