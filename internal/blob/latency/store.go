package latency

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/count"
)

// Store is a store whose calls take time. It is safe for concurrent use.
type Store struct {
	store   count.Counted
	profile Profile

	mu  sync.Mutex
	rng *rand.Rand
}

// Around makes s as slow as p tells. What is drawn comes from the seed, in the
// order of the calls. What s itself takes counts as a part of it.
func Around(s count.Counted, p Profile, seed uint64) (*Store, error) {
	for name, d := range map[string]Distribution{"put": p.Put, "get": p.Get} {
		if err := d.check(p.Name + " " + name); err != nil {
			return nil, err
		}
	}
	return &Store{store: s, profile: p, rng: rand.New(rand.NewPCG(seed, 1))}, nil
}

// Close closes the store below, if it can be closed.
func (s *Store) Close() error {
	if c, ok := s.store.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// draw is the time of a call without its bytes.
func (s *Store) draw(d Distribution) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return d.Draw(s.rng)
}

// bytesTime is how long n bytes are under way.
func (s *Store) bytesTime(n int) time.Duration {
	if s.profile.BytesPerSecond == 0 {
		return 0
	}
	return time.Duration(float64(n) / s.profile.BytesPerSecond * float64(time.Second))
}

// write calls fn when the request has arrived, and returns when its answer has.
// The bytes go there.
func (s *Store) write(ctx context.Context, name string, bytes int, fn func() error) error {
	if ctx.Err() != nil {
		return fn() // which tells so, and that it did nothing
	}
	start, d, under := time.Now(), s.draw(s.profile.Put), s.bytesTime(bytes)
	if err := sleep(ctx, under+d/2); err != nil {
		return unanswered(name, err)
	}
	result := fn()
	if err := sleep(ctx, under+d-time.Since(start)); err != nil {
		return unanswered(name, err)
	}
	return result
}

// read is write for what has no effect; the bytes come back.
func (s *Store) read(ctx context.Context, name string, fn func() (bytes int, err error)) error {
	start, d := time.Now(), s.draw(s.profile.Get)
	if err := sleep(ctx, d/2); err != nil {
		return unanswered(name, err)
	}
	n, result := fn()
	if err := sleep(ctx, s.bytesTime(n)+d-time.Since(start)); err != nil {
		return unanswered(name, err)
	}
	return result
}

// unanswered is a call whose context ended under way. It is none of the kinds
// that promise no effect.
func unanswered(name string, err error) error { return fmt.Errorf("%s: no answer: %w", name, err) }

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PutIfAbsent makes a whole object.
func (s *Store) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	return s.write(ctx, name, len(data), func() error { return s.store.PutIfAbsent(ctx, name, data) })
}

// Swap makes the object hold data if it still is what old says.
func (s *Store) Swap(ctx context.Context, name string, old blob.Version, data []byte) (v blob.Version, err error) {
	err = s.write(ctx, name, len(data), func() error { v, err = s.store.Swap(ctx, name, old, data); return err })
	if err != nil {
		return blob.Absent, err
	}
	return v, nil
}

// Delete removes an object.
func (s *Store) Delete(ctx context.Context, name string) error {
	return s.write(ctx, name, 0, func() error { return s.store.Delete(ctx, name) })
}

// Get reads a whole object.
func (s *Store) Get(ctx context.Context, name string) (data []byte, err error) {
	err = s.read(ctx, name, func() (int, error) { data, err = s.store.Get(ctx, name); return len(data), err })
	return data, err
}

// GetRange reads a part of an object.
func (s *Store) GetRange(ctx context.Context, name string, off, n int64) (data []byte, err error) {
	err = s.read(ctx, name, func() (int, error) { data, err = s.store.GetRange(ctx, name, off, n); return len(data), err })
	return data, err
}

// Read reads a whole object and its Version.
func (s *Store) Read(ctx context.Context, name string) (data []byte, v blob.Version, err error) {
	err = s.read(ctx, name, func() (int, error) { data, v, err = s.store.Read(ctx, name); return len(data), err })
	return data, v, err
}

// List tells names. It takes the time of one request, however many they are.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.read(ctx, prefix, func() (int, error) { return 0, nil }); err != nil {
			yield("", err)
			return
		}
		s.store.List(ctx, prefix, after)(yield)
	}
}

// Create begins a new object, whose Commit takes the time of a write.
func (s *Store) Create(ctx context.Context, name string) (blob.Writer, error) {
	w, err := s.store.Create(ctx, name)
	if err != nil {
		return nil, err
	}
	return &writer{Writer: w, ctx: ctx, s: s, name: name}, nil
}

// writer keeps the context that Create was given, as the writers of S3 do: it is
// that of the whole upload.
type writer struct {
	blob.Writer
	ctx   context.Context
	s     *Store
	name  string
	bytes int
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.bytes += n
	return n, err
}

func (w *writer) Commit() error { return w.s.write(w.ctx, w.name, w.bytes, w.Writer.Commit) }

// Open opens an object for reading; each ReadAt takes the time of a read.
func (s *Store) Open(ctx context.Context, name string) (r blob.Reader, err error) {
	err = s.read(ctx, name, func() (int, error) { r, err = s.store.Open(ctx, name); return 0, err })
	if err != nil {
		if r != nil {
			r.Close()
		}
		return nil, err
	}
	return reader{Reader: r, s: s, name: name}, nil
}

type reader struct {
	blob.Reader
	s    *Store
	name string
}

func (r reader) ReadAt(p []byte, off int64) (n int, err error) {
	// Nothing ends the wait: an io.ReaderAt has no context.
	err = r.s.read(context.Background(), r.name, func() (int, error) { n, err = r.Reader.ReadAt(p, off); return n, err })
	return n, err
}
