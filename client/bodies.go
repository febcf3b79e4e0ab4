package client

import (
	stdsync "sync"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// bodies allocates what the batches of a scan lie in. Those that were released are
// used again, so that a scan of any length takes the memory of three, and spares the
// clearing of new ones: a message fills its body.
type bodies struct {
	mu   stdsync.Mutex
	free [][]byte
}

// Of what is kept to be used again.
const (
	minKeptBody    = 64 << 10 // smaller ones cost little
	maxKeptBodies  = 3        // one is read, one is the caller's, one is of another size
	maxBodySurplus = 4        // times of what is asked for
)

// Allocate gives size bytes, which may hold anything.
func (b *bodies) Allocate(size int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, body := range b.free {
		if cap(body) >= size && cap(body) <= maxBodySurplus*size {
			last := len(b.free) - 1
			b.free[i] = b.free[last]
			b.free[last] = nil
			b.free = b.free[:last]
			return body[:size]
		}
	}
	if size >= minKeptBody { // with room for the next ones, which are hardly ever of the same size
		return memory.DefaultAllocator.Allocate(size + size/8)[:size]
	}
	return memory.DefaultAllocator.Allocate(size)
}

// Reallocate gives size bytes that begin as body does.
func (b *bodies) Reallocate(size int, body []byte) []byte {
	if cap(body) >= size {
		return body[:size]
	}
	larger := b.Allocate(size)
	copy(larger, body)
	b.Free(body)
	return larger
}

// Free takes bytes back that nobody uses any more.
func (b *bodies) Free(body []byte) {
	if cap(body) < minKeptBody {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.free) == maxKeptBodies {
		copy(b.free, b.free[1:])
		b.free = b.free[:maxKeptBodies-1]
	}
	b.free = append(b.free, body[:0])
}
