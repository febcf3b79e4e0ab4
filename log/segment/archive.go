package segment

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync/atomic"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// DefaultCacheBytes is how much an Archive keeps of the segments' tails.
const DefaultCacheBytes = 64 << 20

// ArchiveOptions adjust an Archive.
type ArchiveOptions struct {
	Store interface {
		Source
		Lister
	}
	Channel    uint32
	Generation uint32
	// CacheBytes bounds the memory for filters and indexes of segments; those
	// that do not fit are read for each use. Default DefaultCacheBytes.
	CacheBytes int64
}

// Validate reports whether the options can be used.
func (o ArchiveOptions) Validate() error {
	if o.Store == nil || o.CacheBytes < 0 {
		return fmt.Errorf("archive without a store, or with a cache of %d bytes: %w", o.CacheBytes, schema.ErrInvalid)
	}
	return nil
}

// Archive reads a generation's segments. Its Set is that of the last listing and
// of what its owner told it; it is safe for concurrent use.
type Archive struct {
	o       ArchiveOptions
	dec     *Decoder
	readers cache

	update chan struct{} // holds a token while somebody changes set
	set    atomic.Pointer[Set]
}

// OpenArchive lists the segments. It starts nothing; Close lets go of memory.
func OpenArchive(ctx context.Context, o ArchiveOptions) (*Archive, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	dec, err := NewDecoder(runtime.GOMAXPROCS(0))
	if err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	a := &Archive{o: o, dec: dec, update: make(chan struct{}, 1)}
	a.readers = cache{limit: o.CacheBytes, open: func(ctx context.Context, ref Ref) (*Reader, error) {
		return Open(ctx, o.Store, dec, ref)
	}}
	if err := a.Reload(ctx); err != nil {
		dec.Close()
		return nil, fmt.Errorf("open archive: %w", err)
	}
	return a, nil
}

// Close lets go of memory. No read may be under way.
func (a *Archive) Close() { a.dec.Close() }

// Decoder is the one that the Archive reads with, for merges.
func (a *Archive) Decoder() *Decoder { return a.dec }

// Set is what readers that begin now work with.
func (a *Archive) Set() *Set { return a.set.Load() }

// Reload makes the Set anew from a listing.
func (a *Archive) Reload(ctx context.Context) error {
	select {
	case a.update <- struct{}{}:
		defer func() { <-a.update }()
	case <-ctx.Done():
		return fmt.Errorf("list segments: %w", ctx.Err())
	}
	s, err := List(ctx, a.o.Store, a.o.Channel, a.o.Generation)
	if err != nil {
		return err
	}
	a.set.Store(s)
	return nil
}

// Added tells of segments that are durable.
func (a *Archive) Added(refs ...Ref) error {
	return a.change(func(s *Set) (*Set, error) { return s.With(refs...) })
}

// Deleted tells of segments that are deleted, or are going to be.
func (a *Archive) Deleted(refs ...Ref) error {
	for _, r := range refs {
		a.readers.drop(r)
	}
	return a.change(func(s *Set) (*Set, error) { return s.Without(refs...) })
}

func (a *Archive) change(fn func(*Set) (*Set, error)) error {
	a.update <- struct{}{}
	defer func() { <-a.update }()
	s, err := fn(a.set.Load())
	if err != nil {
		return fmt.Errorf("change set of segments: %w", err)
	}
	a.set.Store(s)
	return nil
}

// Empty tells the numbers of the chunks from one on that hold nothing, as far as
// segments hold them: what State.Empty wants. It opens those segments.
func (a *Archive) Empty(ctx context.Context, from uint64) ([]uint64, error) {
	var numbers []uint64
	for _, s := range a.Set().Spans() {
		if s.To < from {
			continue
		}
		r, err := a.readers.get(ctx, s.Ref)
		if err != nil {
			return nil, err
		}
		for _, n := range r.tail.info.Empty {
			if n >= from && s.has(n) {
				numbers = append(numbers, n)
			}
		}
	}
	return numbers, nil
}

// Holders are the parts of segments that may hold changes of a collection, the
// oldest first. No blocks are read for it.
func (a *Archive) Holders(ctx context.Context, id schema.Instance) ([]Span, error) {
	var spans []Span
	for _, s := range a.Set().Spans() {
		r, err := a.readers.get(ctx, s.Ref)
		if err != nil {
			return nil, err
		}
		if r.MayContain(id) {
			spans = append(spans, s)
		}
	}
	return spans, nil
}

// readTries is how often a read begins anew, without having come further,
// because segments were deleted meanwhile.
const readTries = 8

// Read yields a collection's changes from a Seq on, in order, as far as segments
// hold them. One error may come, last. For each segment that may hold the
// collection it costs one ranged read, and more for each ReadAhead bytes; those
// that hold nothing but older changes are not read, but for one. Segments that
// are deleted meanwhile are no error. Records may be kept.
func (a *Archive) Read(ctx context.Context, id schema.Instance, from schema.Seq) iter.Seq2[Group, error] {
	return func(yield func(Group, error) bool) {
		next := from
		emit := func(g Group) bool {
			next = g.NextSeq()
			return yield(g, nil)
		}
		err := a.retry(ctx, func(set *Set) (bool, error) {
			began := next
			err := a.read(ctx, set, id, next, emit)
			return next > began, err
		})
		if err != nil {
			yield(Group{}, err)
		}
	}
}

// retry calls fn, which reports whether it came further, again with another Set
// as long as it meets segments that are gone.
func (a *Archive) retry(ctx context.Context, fn func(*Set) (bool, error)) error {
	for try := 1; ; try++ {
		set := a.Set()
		further, err := fn(set)
		if further {
			try = 1
		}
		if !errors.Is(err, blob.ErrNotFound) || try == readTries {
			return err
		}
		if err := a.refresh(ctx, set); err != nil {
			return err
		}
	}
}

// refresh lists anew if the Set still is the one that led to a segment that is
// gone.
func (a *Archive) refresh(ctx context.Context, stale *Set) error {
	if a.Set() != stale {
		return nil
	}
	return a.Reload(ctx)
}

// read is Read of one Set.
func (a *Archive) read(ctx context.Context, set *Set, id schema.Instance, from schema.Seq, emit func(Group) bool) error {
	if from == 0 {
		for _, s := range set.spans {
			r, err := a.readers.get(ctx, s.Ref)
			if err != nil {
				return err
			}
			if more, err := drain(ctx, r.seek(id, from, s.From, s.To), emit); err != nil || !more {
				return err
			}
		}
		return nil
	}
	// From the newest segment back to the one that holds from, each placed on
	// its first group.
	type head struct {
		c *cursor
		g Group
	}
	var heads []head
	for i := len(set.spans) - 1; i >= 0; i-- {
		s := set.spans[i]
		r, err := a.readers.get(ctx, s.Ref)
		if err != nil {
			return err
		}
		c := r.seek(id, from, s.From, s.To)
		g, ok, err := c.next(ctx)
		if err != nil {
			return err
		}
		if ok {
			heads = append(heads, head{c, g})
		}
		if c.below || ok && g.FirstSeq == from {
			break
		}
	}
	for i := len(heads) - 1; i >= 0; i-- {
		if !emit(heads[i].g) {
			return nil
		}
		if more, err := drain(ctx, heads[i].c, emit); err != nil || !more {
			return err
		}
	}
	return nil
}

// drain passes on what a cursor has left, and reports whether more is wanted.
func drain(ctx context.Context, c *cursor, emit func(Group) bool) (bool, error) {
	for {
		g, ok, err := c.next(ctx)
		if err != nil || !ok {
			return err == nil, err
		}
		if !emit(g) {
			return false, nil
		}
	}
}
