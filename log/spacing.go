package log

import "time"

// spacing keeps the chunks that close while others are at the store apart by a
// W-th of a PUT.
//
// Where a PUT takes much longer than linger, chunks that close as soon as they
// may use up the window in a moment, and what comes after that waits for most
// of a PUT until it may close, and then for its own. Chunks that are spread over
// the time of a PUT always leave a place in the window: nobody waits for longer
// than their distance.
//
// It is used by the writer alone.
type spacing struct {
	put  time.Duration // that a PUT takes
	last time.Time     // when the last chunk closed
}

// stored is told how long a PUT took. One that took very long counts as twice
// the usual: stores have a tail, and it says nothing about the next.
func (s *spacing) stored(took time.Duration) {
	if s.put == 0 {
		s.put = took
		return
	}
	s.put += min(took-s.put, s.put) / paceWeight
}

func (s *spacing) sealed() { s.last = time.Now() }

// wait is how long a chunk that gets its first batch now stays open while others
// are at the store.
func (s *spacing) wait(linger time.Duration, inFlight int) time.Duration {
	return max(linger, time.Until(s.last.Add(s.put/time.Duration(inFlight))))
}
