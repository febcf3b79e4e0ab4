package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// Run holds a store to what package blob promises. Each test gets a store of
// its own, which must be empty.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Store)
	}{
		{"put and get", putAndGet},
		{"range", ranges},
		{"swap", swap},
		{"swap races", swapRaces},
		{"put races", putRaces},
		{"stream", stream},
		{"names", names},
		{"list", list},
		{"cancelled", cancelled},
		{"delete", remove},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v, want %v", err, kind)
	}
	if !blob.NoEffect(err) {
		t.Errorf("error %v does not promise to have had no effect", err)
	}
}

func wantBytes(t *testing.T, got []byte, want string) {
	t.Helper()
	if string(got) != want {
		t.Fatalf("got %.60q, want %.60q", got, want)
	}
}

func putAndGet(t *testing.T, s Store) {
	ctx := t.Context()
	_, err := s.Get(ctx, "a/b")
	wantErr(t, err, blob.ErrNotFound)
	data := []byte("first")
	check(t, s.PutIfAbsent(ctx, "a/b", data))
	copy(data, "xxxxx") // the store keeps no reference
	wantErr(t, s.PutIfAbsent(ctx, "a/b", []byte("second")), blob.ErrExists)
	got := must[[]byte](t)(s.Get(ctx, "a/b"))
	wantBytes(t, got, "first")
	copy(got, "yyyyy")
	wantBytes(t, must[[]byte](t)(s.Get(ctx, "a/b")), "first")
	check(t, s.PutIfAbsent(ctx, "empty", nil))
	wantBytes(t, must[[]byte](t)(s.Get(ctx, "empty")), "")
	_, err = s.Get(ctx, "a")
	wantErr(t, err, blob.ErrNotFound)
}

func ranges(t *testing.T, s Store) {
	ctx := t.Context()
	check(t, s.PutIfAbsent(ctx, "o", []byte("0123456789")))
	for _, c := range []struct {
		off, n int64
		want   string
	}{
		{0, 3, "012"}, {8, 5, "89"}, {10, 1, ""}, {99, 1, ""}, {3, 0, ""},
		{-3, 3, "789"}, {-3, 1, "7"}, {-99, 2, "01"}, {-10, 100, "0123456789"},
	} {
		got, err := s.GetRange(ctx, "o", c.off, c.n)
		if err != nil || string(got) != c.want {
			t.Errorf("range %d+%d: got %q, %v, want %q", c.off, c.n, got, err, c.want)
		}
	}
	_, err := s.GetRange(ctx, "absent", 0, 1)
	wantErr(t, err, blob.ErrNotFound)
}

func swap(t *testing.T, s Store) {
	ctx := t.Context()
	_, _, err := s.Read(ctx, "d/head")
	wantErr(t, err, blob.ErrNotFound)
	_, err = s.Swap(ctx, "d/head", "nonsense", []byte("0"))
	wantErr(t, err, blob.ErrChanged)
	v1 := must[blob.Version](t)(s.Swap(ctx, "d/head", blob.Absent, []byte("1")))
	_, err = s.Swap(ctx, "d/head", blob.Absent, []byte("2"))
	wantErr(t, err, blob.ErrChanged)
	v2 := must[blob.Version](t)(s.Swap(ctx, "d/head", v1, []byte("2")))
	_, err = s.Swap(ctx, "d/head", v1, []byte("3"))
	wantErr(t, err, blob.ErrChanged)
	data, v, err := s.Read(ctx, "d/head")
	if err != nil || v != v2 || string(data) != "2" {
		t.Fatalf("read %q, %q, %v; want version %q", data, v, err, v2)
	}
}

func swapRaces(t *testing.T, s Store) {
	const workers, each = 4, 25
	ctx := t.Context()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for done := 0; done < each; {
				data, v, err := s.Read(ctx, "n")
				if err != nil && !errors.Is(err, blob.ErrNotFound) {
					t.Error(err)
					return
				}
				_, err = s.Swap(ctx, "n", v, append(data, '+'))
				if err == nil {
					done++
				} else if !errors.Is(err, blob.ErrChanged) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	wantBytes(t, must[[]byte](t)(s.Get(ctx, "n")), strings.Repeat("+", workers*each))
}

func putRaces(t *testing.T, s Store) {
	ctx := t.Context()
	for round := range 10 {
		name := fmt.Sprintf("r/%d/o", round)
		var wins atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		for i := range 6 {
			data := bytes.Repeat([]byte{byte('a' + i)}, 10_000)
			wg.Go(func() {
				var err error
				if i%2 == 0 {
					err = s.PutIfAbsent(ctx, name, data)
				} else {
					w, cerr := s.Create(ctx, name)
					if cerr != nil {
						t.Error(cerr)
						return
					}
					_, werr := w.Write(data)
					err = errors.Join(werr, w.Commit())
				}
				if err == nil {
					wins.Add(1)
					winner.Store(data)
				} else if !errors.Is(err, blob.ErrExists) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("%d puts of one name won", wins.Load())
		}
		if got := must[[]byte](t)(s.Get(ctx, name)); !bytes.Equal(got, winner.Load().([]byte)) {
			t.Fatalf("the object holds %.1q…, not what the winner put", got)
		}
	}
}

func stream(t *testing.T, s Store) {
	ctx := t.Context()
	w := must[blob.Writer](t)(s.Create(ctx, "big/o"))
	part := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	for range 20 {
		must[int](t)(w.Write(part))
	}
	_, err := s.Get(ctx, "big/o")
	wantErr(t, err, blob.ErrNotFound) // unseen before Commit
	check(t, w.Commit())
	check(t, w.Commit())
	check(t, w.Abort())
	if _, err := w.Write(part); err == nil {
		t.Error("a write after Commit succeeded")
	}
	r := must[blob.Reader](t)(s.Open(ctx, "big/o"))
	defer r.Close()
	if r.Size() != int64(20*len(part)) {
		t.Fatalf("size %d, want %d", r.Size(), 20*len(part))
	}
	got := make([]byte, 16)
	must[int](t)(r.ReadAt(got, 16*1001))
	wantBytes(t, got, "0123456789abcdef")

	w = must[blob.Writer](t)(s.Create(ctx, "dropped"))
	must[int](t)(w.Write(part))
	check(t, w.Abort())
	if err := w.Commit(); err == nil {
		t.Error("Commit after Abort succeeded")
	}
	_, err = s.Open(ctx, "dropped")
	wantErr(t, err, blob.ErrNotFound)

	w = must[blob.Writer](t)(s.Create(ctx, "big/o"))
	defer w.Abort()
	wantErr(t, w.Commit(), blob.ErrExists)
}

func names(t *testing.T, s Store) {
	ctx := t.Context()
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".hidden", "a/.b",
		"a\x00b", "a\nb", `a\b`, strings.Repeat("x", 256), strings.Repeat("x/", 500) + "x",
	} {
		wantErr(t, s.PutIfAbsent(ctx, name, []byte("x")), schema.ErrInvalid)
		_, err := s.Get(ctx, name)
		wantErr(t, err, schema.ErrInvalid)
		_, err = s.Create(ctx, name)
		wantErr(t, err, schema.ErrInvalid)
		_, err = s.Swap(ctx, name, blob.Absent, nil)
		wantErr(t, err, schema.ErrInvalid)
		wantErr(t, s.Delete(ctx, name), schema.ErrInvalid)
	}
	for _, name := range []string{"a", "ä/ö", "a b/c%2f", "a.b/c..d", "x-y/_z", strings.Repeat("y", 255)} {
		check(t, s.PutIfAbsent(ctx, name, []byte(name)))
		wantBytes(t, must[[]byte](t)(s.Get(ctx, name)), name)
	}
}

func list(t *testing.T, s Store) {
	ctx := t.Context()
	all := []string{"a", "b-c/x", "b.d", "b/1", "b/2/q", "b/2/r", "b/3", "b0", "ba/z", "c/1"}
	for _, i := range []int{3, 9, 0, 5, 1, 7, 2, 8, 4, 6} {
		check(t, s.PutIfAbsent(ctx, all[i], nil))
	}
	for _, prefix := range []string{"", "a", "b", "b/", "b/2", "b/2/", "b/2/r", "c/", "d", "b/2/r/", "b-"} {
		for _, after := range append([]string{"", "b/", "b/2", "b/2/z", "zz", "b1"}, all...) {
			var want []string
			for _, name := range all {
				if strings.HasPrefix(name, prefix) && name > after {
					want = append(want, name)
				}
			}
			var got []string
			for name, err := range s.List(ctx, prefix, after) {
				check(t, err)
				got = append(got, name)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("list %q after %q: got %q, want %q", prefix, after, got, want)
			}
		}
	}
	for name, err := range s.List(ctx, "b", "") {
		check(t, err)
		if name != "b-c/x" {
			t.Fatal(name)
		}
		break
	}
}

func cancelled(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.PutIfAbsent(ctx, "x", nil)
	wantErr(t, err, context.Canceled)
	_, err = s.Get(t.Context(), "x")
	wantErr(t, err, blob.ErrNotFound)
}

func remove(t *testing.T, s Store) {
	ctx := t.Context()
	check(t, s.PutIfAbsent(ctx, "d/x", []byte("1")))
	check(t, s.Delete(ctx, "d/x"))
	check(t, s.Delete(ctx, "d/x"))
	check(t, s.Delete(ctx, "never/was"))
	_, err := s.Get(ctx, "d/x")
	wantErr(t, err, blob.ErrNotFound)
	check(t, s.PutIfAbsent(ctx, "d/x", []byte("2")))
	wantBytes(t, must[[]byte](t)(s.Get(ctx, "d/x")), "2")
}
