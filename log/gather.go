package log

import "time"

// gather decides how long the open chunk waits for company when the store has
// just become free.
//
// Senders that wait for their answer before they send again come back together,
// microseconds after the chunk that held them. If the next chunk closed at
// once, they would miss it and wait for two chunks instead of one, for good:
// senders fall into two groups that take turns. So the open chunk waits until as
// many batches are in it as were under way, within a bound. Where senders do not
// come back like that, waiting is in vain; then it is done ever more rarely.
//
// It is used by the writer alone.
type gather struct {
	expect int // batches that the open chunk waits for; 0: it does not
	misses int // waits in vain, one after the other
	skip   int // chunks that need not wait because of that
}

// Bounds of a wait: half the time that the last PUT took, at least minGather, at
// most Options.Linger.
const (
	minGather   = 100 * time.Microsecond
	maxSkipBits = 6 // after many waits in vain, one chunk in 64 tries again
)

// begin is told that the store became free after a chunk of so many batches,
// with so many in the open chunk, and gives how long to wait; 0: not at all.
func (g *gather) begin(stored, open int, put, linger time.Duration) time.Duration {
	g.expect = 0
	if stored+open < 2 || stored == 0 {
		return 0
	}
	if g.skip > 0 {
		g.skip--
		return 0
	}
	g.expect = stored + open
	return min(max(put/2, minGather), linger)
}

// waiting reports whether a chunk of so many batches should wait on.
func (g *gather) waiting(open int) bool { return open < g.expect }

// end is told how many batches had come when the chunk closed.
func (g *gather) end(open int) {
	if g.expect == 0 {
		return
	}
	if open*4 >= g.expect*3 {
		g.misses = 0
	} else {
		g.misses = min(g.misses+1, maxSkipBits)
		g.skip = 1 << g.misses
	}
	g.expect = 0
}
