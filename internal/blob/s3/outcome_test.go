package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
	"github.com/trinedb/trine/schema"
)

const unknown, done = "unknown", "done"

func always(f s3test.Fault) func(int) s3test.Fault {
	return func(int) s3test.Fault { return f }
}

func first(n int, f s3test.Fault) func(int) s3test.Fault {
	return func(i int) s3test.Fault {
		if i <= n {
			return f
		}
		return s3test.Fault{}
	}
}

// outcomes are what becomes of a PUT under each fault.
var outcomes = []struct {
	name  string
	fault func(n int) s3test.Fault // of the n-th try
	want  any                      // an error, unknown, or done
	lands bool
	tries int
}{
	{"well", always(s3test.Fault{}), done, true, 1},
	{"conflict", first(2, s3test.Conflict), done, true, 3},
	{"conflict for good", always(s3test.Conflict), schema.ErrUnavailable, false, 5},
	{"expired", first(1, s3test.Expired), done, true, 2},
	{"expired for good", always(s3test.Expired), schema.ErrUnavailable, false, 5},
	{"clock", first(1, s3test.Refuse(http.StatusForbidden, "RequestTimeTooSkewed")), done, true, 2},
	{"too many", first(1, s3test.Refuse(http.StatusTooManyRequests, "TooManyRequests")), done, true, 2},
	{"denied", always(s3test.Denied), schema.ErrUnavailable, false, 1},
	{"no bucket", always(s3test.Refuse(http.StatusNotFound, "NoSuchBucket")), schema.ErrUnavailable, false, 1},
	{"too large", always(s3test.Refuse(http.StatusBadRequest, "EntityTooLarge")), schema.ErrInvalid, false, 1},
	{"slow down", always(s3test.SlowDown), unknown, false, 1},
	{"internal", always(s3test.Internal), unknown, false, 1},
	{"gateway timeout", always(s3test.Refuse(http.StatusRequestTimeout, "")), unknown, false, 1},
	{"answer lost", always(s3test.Fault{Lose: true}), unknown, true, 1},
	{"conflict, then answer lost", func(n int) s3test.Fault {
		if n == 1 {
			return s3test.Conflict
		}
		return s3test.Fault{Lose: true}
	}, unknown, true, 2},
	{"late", always(s3test.Fault{Late: time.Minute}), unknown, true, 1},
}

// TestOutcome puts an object while the store fails in every way that the fake
// has, and compares what the error promises with what is there.
func TestOutcome(t *testing.T) {
	for _, c := range outcomes {
		t.Run(c.name, func(t *testing.T) {
			kinds(t, func(t *testing.T, express bool) {
				synctest.Test(t, func(t *testing.T) {
					server := s3test.New(s3test.Options{Express: express})
					s := open(t, configOf(server, "p"), inMemory(t, server))
					tries := 0
					server.SetHook(func(r *s3test.Request) s3test.Fault {
						if r.Op != s3test.Put {
							return s3test.Fault{}
						}
						tries++
						return c.fault(tries)
					})
					err := s.PutIfAbsent(t.Context(), "o", []byte("put id 1"))
					server.SetHook(nil)
					switch want := c.want.(type) {
					case error:
						wantErr(t, err, want)
						if !blob.NoEffect(err) {
							t.Errorf("%v does not promise to have had no effect", err)
						}
					default:
						if (err == nil) != (want == done) || err != nil && blob.NoEffect(err) {
							t.Errorf("got %v, want %v", err, want)
						}
					}
					if tries != c.tries {
						t.Errorf("%d tries, want %d", tries, c.tries)
					}
					server.Wait()
					got, ok := server.Peek("p/o")
					if ok != c.lands || ok && string(got) != "put id 1" {
						t.Errorf("the object is %q, %t; want it: %t", got, ok, c.lands)
					}
				})
			})
		})
	}
}

// TestLateLanding: a PUT that timed out lands seconds later. Until the caller
// has put something else at the name, reading it settles nothing; afterwards
// the late one cannot land any more.
func TestLateLanding(t *testing.T) {
	kinds(t, func(t *testing.T, express bool) {
		for _, fence := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				server := s3test.New(s3test.Options{Express: express})
				o := inMemory(t, server)
				o.RequestTimeout = 2 * time.Second
				s := open(t, configOf(server, ""), o)
				puts := 0
				server.SetHook(func(r *s3test.Request) s3test.Fault {
					if r.Op == s3test.Put {
						if puts++; puts == 1 {
							return s3test.Fault{Late: 7 * time.Second}
						}
					}
					return s3test.Fault{}
				})
				err := s.PutIfAbsent(t.Context(), "7", []byte("chunk"))
				if err == nil || blob.NoEffect(err) {
					t.Fatalf("got %v, want an unknown outcome", err)
				}
				_, err = s.Get(t.Context(), "7")
				wantErr(t, err, blob.ErrNotFound)
				want := "chunk"
				if fence {
					check(t, s.PutIfAbsent(t.Context(), "7", []byte("fence")))
					want = "fence"
				}
				time.Sleep(10 * time.Second)
				got, err := s.Get(t.Context(), "7")
				if err != nil || string(got) != want {
					t.Fatalf("got %q, %v; want %q", got, err, want)
				}
			})
		}
	})
}

// TestLostAnswer: a caller resolves an unknown outcome by reading.
func TestLostAnswer(t *testing.T) {
	kinds(t, func(t *testing.T, express bool) {
		server := s3test.New(s3test.Options{Express: express})
		s := open(t, configOf(server, ""), inMemory(t, server))
		v, err := s.Swap(t.Context(), "head", blob.Absent, []byte("epoch 1"))
		check(t, err)
		server.SetHook(func(r *s3test.Request) s3test.Fault { return s3test.Fault{Lose: r.Op == s3test.Put} })
		if _, err := s.Swap(t.Context(), "head", v, []byte("epoch 2")); err == nil || blob.NoEffect(err) {
			t.Fatalf("got %v, want an unknown outcome", err)
		}
		server.SetHook(nil)
		data, now, err := s.Read(t.Context(), "head")
		if err != nil || string(data) != "epoch 2" || now == v {
			t.Fatalf("read %q, %v", data, err)
		}
		_, err = s.Swap(t.Context(), "head", v, []byte("epoch 2"))
		wantErr(t, err, blob.ErrChanged)
	})
}

// TestReadsAreRepeated through every fault that reads have.
func TestReadsAreRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := s3test.New(s3test.Options{})
		s := open(t, configOf(server, ""), inMemory(t, server))
		data := pattern(100_000)
		check(t, s.PutIfAbsent(t.Context(), "o", data))
		for _, fault := range []s3test.Fault{
			s3test.SlowDown, s3test.Internal, s3test.Expired, {Truncate: true}, {Flip: true}, {Lose: true}, {Late: time.Minute},
		} {
			n := 0
			server.SetHook(func(*s3test.Request) s3test.Fault {
				if n++; n <= 4 {
					return fault
				}
				return s3test.Fault{}
			})
			got, err := s.Get(t.Context(), "o")
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%+v: got %d bytes, %v", fault, len(got), err)
			}
			if n != 5 {
				t.Errorf("%+v: %d tries, want 5", fault, n)
			}
			n = -1 << 30
			_, err = s.Get(t.Context(), "o")
			wantErr(t, err, schema.ErrUnavailable)
		}
	})
}

// TestCancel: a caller that gives up does not know what became of its PUT, and
// one that never got to send it does.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := s3test.New(s3test.Options{})
		o := inMemory(t, server)
		o.MaxWrites = 1
		s := open(t, configOf(server, ""), o)
		server.SetHook(func(*s3test.Request) s3test.Fault { return s3test.Fault{Late: 5 * time.Second} })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		queued := make(chan error)
		go func() {
			time.Sleep(time.Millisecond) // after the one below
			queued <- s.PutIfAbsent(ctx, "queued", nil)
		}()
		err := s.PutIfAbsent(ctx, "sent", nil)
		if !errors.Is(err, context.DeadlineExceeded) || blob.NoEffect(err) {
			t.Errorf("sent: %v", err)
		}
		if err := <-queued; !errors.Is(err, context.DeadlineExceeded) || !blob.NoEffect(err) {
			t.Errorf("queued: %v", err)
		}
		server.Wait()
		if _, ok := server.Peek("queued"); ok {
			t.Error("what was not sent landed")
		}
	})
}

// lingering is a client that reads a PUT's body when its caller has given up, as
// net/http may: "callers wanting to reuse the body must wait for Close".
type lingering struct {
	s3test.Transport
	read chan []byte
	late chan struct{}
}

func (l lingering) Do(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPut || !strings.HasSuffix(req.URL.Path, "/lingers") {
		return l.Transport.Do(req)
	}
	go func() {
		head := make([]byte, 10)
		_, err := io.ReadFull(req.Body, head)
		<-l.late
		tail, _ := io.ReadAll(req.Body)
		if err == nil {
			head = append(head, tail...)
		}
		l.read <- head
	}()
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// TestBytesAreGivenBack: once PutIfAbsent has returned, the caller may change
// its bytes, although the transport is still sending. The SDK sees to that; the
// log, which uses its buffers again, depends on it.
func TestBytesAreGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := s3test.New(s3test.Options{})
		o := inMemory(t, server)
		client := lingering{server.Transport(), make(chan []byte), make(chan struct{})}
		o.HTTPClient = client
		s := open(t, configOf(server, ""), o)
		data := bytes.Repeat([]byte("a"), 1000)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.PutIfAbsent(ctx, "lingers", data); err == nil || blob.NoEffect(err) {
			t.Fatalf("got %v, want an unknown outcome", err)
		}
		for i := range data {
			data[i] = 'b'
		}
		close(client.late)
		if got := <-client.read; string(got) != "aaaaaaaaaa" {
			t.Errorf("bytes were sent that were changed after the call: %.20q", got)
		}
	})
}

// TestClosed: a closed store sends nothing.
func TestClosed(t *testing.T) {
	server := s3test.New(s3test.Options{Express: true})
	s := open(t, configOf(server, ""), inMemory(t, server))
	check(t, s.Close())
	check(t, s.Close())
	wantErr(t, s.PutIfAbsent(t.Context(), "o", nil), schema.ErrClosed)
	_, err := s.Get(t.Context(), "o")
	wantErr(t, err, schema.ErrClosed)
}

// TestNotConnected: a server that is not there changed nothing.
func TestNotConnected(t *testing.T) {
	server := s3test.Start(t, s3test.Options{})
	s := open(t, configOf(server, ""), quick(server))
	gone := s3.Config{Bucket: "bucket", Endpoint: "http://127.0.0.1:1", PathStyle: true}
	_, err := s3.Open(t.Context(), gone, quick(server))
	wantErr(t, err, schema.ErrUnavailable)
	check(t, s.PutIfAbsent(t.Context(), "o", nil))
}
