package s3_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
	"github.com/trinedb/trine/schema"
)

// TestSessions: one session serves many requests, is replaced before it ends,
// and when the server no longer accepts it.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := s3test.New(s3test.Options{Express: true})
		s := open(t, configOf(server, ""), inMemory(t, server))
		sessions := func(want int) {
			t.Helper()
			if n := server.Counts()[s3test.Session]; n != want {
				t.Fatalf("%d sessions, want %d", n, want)
			}
		}
		put := func(name string) {
			t.Helper()
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					if err := s.PutIfAbsent(t.Context(), fmt.Sprintf("%s/%d", name, i), nil); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		put("a")
		sessions(1)
		time.Sleep(4*time.Minute - time.Second)
		put("b")
		sessions(1)
		time.Sleep(2 * time.Second)
		put("c")
		sessions(2)
		server.Expire()
		put("d")
		if n := server.Counts()[s3test.Session]; n < 3 || n > 4 {
			t.Errorf("%d sessions, want one or two more", n)
		}
	})
}

// TestSessionFails: without a session nothing was sent.
func TestSessionFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := s3test.New(s3test.Options{Express: true})
		s := open(t, configOf(server, ""), inMemory(t, server))
		server.Expire()
		server.SetHook(func(r *s3test.Request) s3test.Fault {
			if r.Op == s3test.Session {
				return s3test.Internal
			}
			return s3test.Fault{}
		})
		err := s.PutIfAbsent(t.Context(), "o", nil)
		wantErr(t, err, schema.ErrUnavailable)
		if !blob.NoEffect(err) {
			t.Errorf("%v does not promise to have had no effect", err)
		}
		server.SetHook(nil)
		check(t, s.PutIfAbsent(t.Context(), "o", nil))
	})
}

// TestSessionOutlivesItsCaller: who asked first gives up, others get the session.
func TestSessionOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := s3test.New(s3test.Options{Express: true})
		s := open(t, configOf(server, ""), inMemory(t, server))
		server.Expire()
		time.Sleep(6 * time.Minute)
		server.SetHook(func(r *s3test.Request) s3test.Fault {
			if r.Op == s3test.Session {
				return s3test.Fault{Late: 2 * time.Second}
			}
			return s3test.Fault{}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.PutIfAbsent(ctx, "first", nil); !blob.NoEffect(err) {
				t.Errorf("first: %v", err)
			}
		})
		wg.Go(func() {
			time.Sleep(time.Millisecond)
			if err := s.PutIfAbsent(t.Context(), "second", nil); err != nil {
				t.Errorf("second: %v", err)
			}
		})
		wg.Wait()
		if n := server.Counts()[s3test.Session]; n != 3 { // one with the old credentials
			t.Errorf("%d sessions, want 3", n)
		}
	})
}
