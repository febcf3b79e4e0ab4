package s3_test

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
	"github.com/trinedb/trine/schema"
)

// pattern is n bytes, at most 18 MiB, that differ from place to place. They are
// shared and must not be changed.
func pattern(n int) []byte { return patterns()[:n:n] }

var patterns = sync.OnceValue(func() []byte {
	data := make([]byte, 18<<20)
	for i := range data {
		data[i] = byte(i>>16) ^ byte(i>>8) ^ byte(i)
	}
	return data
})

func write(t *testing.T, s blobtest.Store, name string, data []byte) error {
	t.Helper()
	w, err := s.Create(t.Context(), name)
	check(t, err)
	defer w.Abort()
	if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
		return err
	}
	return w.Commit()
}

// testParts makes objects of several parts, with parts of 5 MiB.
func testParts(t *testing.T, s blobtest.Store) {
	data := pattern(17<<20 + 11)
	check(t, write(t, s, "parts", data))
	got, err := s.Get(t.Context(), "parts")
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("got %d bytes, %v; want %d", len(got), err, len(data))
	}
	wantErr(t, write(t, s, "parts", data), blob.ErrExists)
	r, err := s.Open(t.Context(), "parts")
	check(t, err)
	defer r.Close()
	got, err = io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("read %d bytes, %v; want %d", len(got), err, len(data))
	}
}

func TestParts(t *testing.T) {
	kinds(t, func(t *testing.T, express bool) {
		server := s3test.Start(t, s3test.Options{Express: express})
		s := open(t, configOf(server, "p"), quick(server))
		testParts(t, s)
		if n := server.Uploads(); n != 0 {
			t.Errorf("%d uploads were left open", n)
		}
	})
}

// TestWriterCost: an object of up to a part is one request, a larger one is two
// and one for each part.
func TestWriterCost(t *testing.T) {
	server := s3test.New(s3test.Options{})
	s := open(t, configOf(server, ""), inMemory(t, server))
	for _, c := range []struct {
		name  string
		bytes int
		want  map[s3.Verb]int64
	}{
		{"empty", 0, map[s3.Verb]int64{s3.VerbPut: 1}},
		{"one", 5 << 20, map[s3.Verb]int64{s3.VerbPut: 1}},
		{"two", 5<<20 + 1, map[s3.Verb]int64{s3.VerbBegin: 1, s3.VerbPart: 2, s3.VerbComplete: 1}},
		{"three", 15 << 20, map[s3.Verb]int64{s3.VerbBegin: 1, s3.VerbPart: 3, s3.VerbComplete: 1}},
	} {
		before := s.Usage()
		check(t, write(t, s, c.name, pattern(c.bytes)))
		for verb, u := range s.Usage() {
			if got := u.Requests - before[verb].Requests; got != c.want[verb] {
				t.Errorf("%s: %d requests of %s, want %d", c.name, got, verb, c.want[verb])
			}
		}
	}
}

// TestWriterFails: a part that cannot be sent fails Commit without effect, and
// nothing is left.
func TestWriterFails(t *testing.T) {
	for _, op := range []s3test.Op{s3test.Begin, s3test.Part, s3test.Complete} {
		t.Run(string(op), func(t *testing.T) {
			server := s3test.New(s3test.Options{})
			s := open(t, configOf(server, ""), inMemory(t, server))
			server.SetHook(func(r *s3test.Request) s3test.Fault {
				if r.Op == op {
					return s3test.Denied
				}
				return s3test.Fault{}
			})
			err := write(t, s, "o", pattern(11<<20))
			wantErr(t, err, schema.ErrUnavailable)
			if !blob.NoEffect(err) {
				t.Errorf("%v does not promise to have had no effect", err)
			}
			if n := server.Uploads(); n != 0 {
				t.Errorf("%d uploads were left open", n)
			}
			if _, ok := server.Peek("o"); ok {
				t.Error("there is an object")
			}
		})
	}
}

// TestCommitLost: the answer to the last request is lost, and the parts are left
// alone, for they may have become an object.
func TestCommitLost(t *testing.T) {
	server := s3test.New(s3test.Options{})
	s := open(t, configOf(server, ""), inMemory(t, server))
	server.SetHook(func(r *s3test.Request) s3test.Fault { return s3test.Fault{Lose: r.Op == s3test.Complete} })
	err := write(t, s, "o", pattern(11<<20))
	if err == nil || blob.NoEffect(err) {
		t.Fatalf("got %v, want an unknown outcome", err)
	}
	if _, ok := server.Peek("o"); !ok {
		t.Error("the object did not land")
	}
	if n := server.Counts()[s3test.Abort]; n != 1 { // the probe's
		t.Errorf("%d aborts, want 1", n)
	}
}

// TestAbort drops parts that are under way.
func TestAbort(t *testing.T) {
	server := s3test.New(s3test.Options{})
	s := open(t, configOf(server, ""), inMemory(t, server))
	w, err := s.Create(t.Context(), "o")
	check(t, err)
	_, err = w.Write(pattern(12 << 20))
	check(t, err)
	check(t, w.Abort())
	if n := server.Uploads(); n != 0 {
		t.Errorf("%d uploads were left open", n)
	}
	if err := w.Commit(); !errors.Is(err, schema.ErrClosed) {
		t.Errorf("Commit after Abort: %v", err)
	}
}
