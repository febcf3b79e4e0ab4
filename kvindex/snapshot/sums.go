package snapshot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"golang.org/x/time/rate"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// sums remembers the hashes of the tables of one open index, which never change.
type sums struct {
	of    *kvindex.Index
	known map[uint64][sha256.Size]byte
}

// begin keeps what is known of files, and forgets all of another index.
func (s *sums) begin(x *kvindex.Index, files []kvindex.TableFile) {
	old := s.known
	s.known = make(map[uint64][sha256.Size]byte, len(files))
	if s.of != x {
		s.of = x
		return
	}
	for _, f := range files {
		if sum, ok := old[f.ID]; ok {
			s.known[f.ID] = sum
		}
	}
}

// sum is the hash of a table's file.
func (s *sums) sum(ctx context.Context, f kvindex.TableFile, limit *rate.Limiter) ([sha256.Size]byte, error) {
	if sum, ok := s.known[f.ID]; ok {
		return sum, nil
	}
	r, err := f.Open()
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	defer func() { _ = r.Close() }()
	h := sha256.New()
	n, err := io.Copy(h, &slowReader{ctx: ctx, r: r, limit: limit})
	if err == nil && n != f.Bytes {
		err = fmt.Errorf("%d bytes, want %d: %w", n, f.Bytes, schema.ErrCorrupt)
	}
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("hash table %d: %w", f.ID, err)
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	s.known[f.ID] = sum
	return sum, nil
}

// slowReader reads no faster than a limit, and not after the end of ctx.
type slowReader struct {
	ctx   context.Context
	r     io.Reader
	limit *rate.Limiter
}

func (s *slowReader) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.r.Read(p[:min(len(p), partBytes)])
	if n > 0 {
		if werr := s.limit.WaitN(s.ctx, n); werr != nil {
			return 0, werr
		}
	}
	return n, err
}

// exactReader gives as many bytes with such a hash, or an error in place of EOF.
type exactReader struct {
	r     io.Reader
	h     hash.Hash
	left  int64
	want  [sha256.Size]byte
	moved func(n int)
}

func newExactReader(r io.Reader, size int64, want [sha256.Size]byte, moved func(int)) *exactReader {
	return &exactReader{r: r, h: sha256.New(), left: size, want: want, moved: moved}
}

func (e *exactReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.h.Write(p[:n])
	e.left -= int64(n)
	e.moved(n)
	if e.left < 0 {
		return 0, fmt.Errorf("table is longer than its manifest says: %w", schema.ErrCorrupt)
	}
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if e.left > 0 {
		return n, fmt.Errorf("table ends %d bytes early: %w", e.left, schema.ErrCorrupt)
	}
	if got := [sha256.Size]byte(e.h.Sum(nil)); got != e.want {
		return n, fmt.Errorf("table has hash %x, want %x: %w", got, e.want, schema.ErrCorrupt)
	}
	return n, io.EOF
}
