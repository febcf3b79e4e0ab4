package sync

import stdsync "sync"

// broadcast wakes all who wait for something to move on; it costs next to
// nothing while nobody waits.
type broadcast struct {
	mu   stdsync.Mutex
	next chan struct{} // closed by the next signal; nil while nobody waits
}

// wait is a channel that the next signal closes. Look at what is waited for
// after this call, not before.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

func (b *broadcast) signal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}
