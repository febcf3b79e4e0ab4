package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
	"github.com/trinedb/trine/schema"
)

// gets counts the GETs that fn costs.
func gets(s *s3.Store, fn func()) int64 {
	before := s.Usage()[s3.VerbGet].Requests
	fn()
	return s.Usage()[s3.VerbGet].Requests - before
}

// TestReaderCost holds the number of requests to what is documented.
func TestReaderCost(t *testing.T) {
	server := s3test.New(s3test.Options{})
	o := inMemory(t, server)
	o.BlockBytes, o.ReadAheadBytes, o.ReaderCacheBytes = 64<<10, 1<<20, 4<<20
	s := open(t, configOf(server, ""), o)
	data := pattern(16<<20 + 5)
	check(t, s.PutIfAbsent(t.Context(), "small", data[:1000]))
	check(t, s.PutIfAbsent(t.Context(), "large", data))
	read := func(r io.ReaderAt, n int, off int64) {
		t.Helper()
		got := make([]byte, n)
		if _, err := r.ReadAt(got, off); err != nil || !bytes.Equal(got, data[off:off+int64(n)]) {
			t.Fatalf("read %d at %d: %v", n, off, err)
		}
	}
	var small, large blob.Reader
	open := func(name string) blob.Reader {
		r, err := s.Open(t.Context(), name)
		check(t, err)
		t.Cleanup(func() { r.Close() })
		return r
	}
	size := int64(len(data))
	for _, c := range []struct {
		name string
		want int64
		do   func()
	}{
		{"open and read a small object", 1, func() { small = open("small"); read(small, 1000, 0); read(small, 10, 77) }},
		{"open a large one", 1, func() { large = open("large") }},
		{"its footer", 0, func() { read(large, 5, size-5) }},
		{"a block", 1, func() { read(large, 100, 1<<20) }},
		{"the block again, in 100 places", 0, func() {
			for i := range int64(100) {
				read(large, 50, 1<<20+i*600)
			}
		}},
		{"a run of 4 blocks in one", 1, func() { read(large, 4<<16, 2<<20) }},
		{"a run around a known block in two", 2, func() { read(large, 3<<16, 1<<20-1<<16) }},
		{"more than half of the cache, past it", 1, func() { read(large, 3<<20, 5<<20) }},
		{"4 MiB in order, 4 KiB at a time", 5, func() {
			for off := int64(8 << 20); off < 12<<20; off += 4 << 10 {
				read(large, 4<<10, off)
			}
		}},
	} {
		if got := gets(s, c.do); got != c.want {
			t.Errorf("%s: %d GETs, want %d", c.name, got, c.want)
		}
	}
}

// TestReaderShares: reads of one block at the same time are one request.
func TestReaderShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := s3test.New(s3test.Options{})
		s := open(t, configOf(server, ""), inMemory(t, server))
		check(t, s.PutIfAbsent(t.Context(), "o", pattern(2<<20)))
		r, err := s.Open(t.Context(), "o")
		check(t, err)
		defer r.Close()
		server.SetHook(func(*s3test.Request) s3test.Fault { return s3test.Fault{Late: time.Second} })
		n := gets(s, func() {
			var wg sync.WaitGroup
			for i := range int64(50) {
				wg.Go(func() {
					if _, err := r.ReadAt(make([]byte, 100), i*1000); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
		if n != 1 {
			t.Errorf("%d GETs, want 1", n)
		}
	})
}

// TestReaderModel reads at random, by several goroutines and under faults, and
// compares with the bytes.
func TestReaderModel(t *testing.T) {
	const seed = 7
	server := s3test.New(s3test.Options{})
	o := inMemory(t, server)
	o.BlockBytes, o.ReadAheadBytes, o.ReaderCacheBytes = 1000, 5000, 20_000
	o.FirstBackoff, o.LastBackoff = time.Microsecond, time.Microsecond
	s := open(t, configOf(server, ""), o)
	for _, size := range []int{0, 1, 999, 1000, 1001, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			data := pattern(size)
			name := fmt.Sprint("o", size)
			check(t, s.PutIfAbsent(t.Context(), name, data))
			server.SetHook(s3test.Chaos(seed, s3test.Rates{SlowDown: 0.02, Truncate: 0.02, Lose: 0.02}))
			defer server.SetHook(nil)
			r, err := s.Open(t.Context(), name)
			check(t, err)
			defer r.Close()
			if r.Size() != int64(size) {
				t.Fatalf("size %d, want %d", r.Size(), size)
			}
			var wg sync.WaitGroup
			for worker := range uint64(4) {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(seed, worker))
					for range 300 {
						readSame(t, r, bytes.NewReader(data), rng)
					}
				})
			}
			wg.Wait()
		})
	}
}

// readSame reads both in one place, or a few places in order.
func readSame(t *testing.T, got, want io.ReaderAt, rng *rand.Rand) {
	off, n := int64(rng.IntN(110_000)), rng.IntN(4000)
	if rng.IntN(10) == 0 {
		n = rng.IntN(60_000)
	}
	for range 1 + rng.IntN(4) {
		a, b := make([]byte, n), make([]byte, n)
		k, err := got.ReadAt(a, off)
		j, werr := want.ReadAt(b, off)
		if k != j || !bytes.Equal(a, b) || !errors.Is(err, werr) {
			t.Errorf("read %d at %d: %d, %v; want %d, %v", n, off, k, err, j, werr)
			return
		}
		off += int64(n)
	}
}

// TestReaderOfAChangedObject does not mix what was with what is.
func TestReaderOfAChangedObject(t *testing.T) {
	server := s3test.New(s3test.Options{})
	o := inMemory(t, server)
	o.BlockBytes = 1000
	s := open(t, configOf(server, ""), o)
	v, err := s.Swap(t.Context(), "o", blob.Absent, pattern(5000))
	check(t, err)
	r, err := s.Open(t.Context(), "o")
	check(t, err)
	_, err = s.Swap(t.Context(), "o", v, pattern(6000))
	check(t, err)
	_, err = r.ReadAt(make([]byte, 10), 0)
	wantErr(t, err, blob.ErrChanged)
	check(t, s.Delete(t.Context(), "o"))
	_, err = r.ReadAt(make([]byte, 10), 0)
	wantErr(t, err, blob.ErrNotFound)
	check(t, r.Close())
	_, err = r.ReadAt(make([]byte, 10), 0)
	wantErr(t, err, schema.ErrClosed)
	_, err = r.ReadAt(make([]byte, 10), -1)
	wantErr(t, err, schema.ErrInvalid)
}
