package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// configOf says where a fake lies.
func configOf(server *s3test.Server, prefix string) s3.Config {
	c := s3.Config{Bucket: server.Bucket(), Prefix: prefix, Endpoint: server.URL, PathStyle: true}
	if strings.HasSuffix(c.Bucket, "--x-s3") {
		c.Express, c.PathStyle = true, false
	}
	return c
}

func open(t testing.TB, c s3.Config, o s3.Options) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// quick are options for tests on the real clock: what is tried again is tried
// again soon.
func quick(server *s3test.Server) s3.Options {
	return s3.Options{
		Credentials: server, RequestTimeout: 5 * time.Second,
		FirstBackoff: time.Millisecond, LastBackoff: 4 * time.Millisecond, PartBytes: 5 << 20,
	}
}

// inMemory reaches a fake without a socket, for tests under testing/synctest,
// and waits for what lands late.
func inMemory(t testing.TB, server *s3test.Server) s3.Options {
	t.Cleanup(server.Wait)
	return s3.Options{Credentials: server, HTTPClient: server.Transport(), PartBytes: 5 << 20}
}

// kinds runs a test on a fake of each kind.
func kinds(t *testing.T, run func(t *testing.T, express bool)) {
	t.Run("standard", func(t *testing.T) { run(t, false) })
	t.Run("express", func(t *testing.T) { run(t, true) })
}

func wantErr(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v, want %v", err, kind)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// race lets many put one name at once and makes sure that one wins, and that the
// object is its.
func race(t *testing.T, s blobtest.Store, name string, writers int) {
	t.Helper()
	var won atomic.Int64
	var winner atomic.Int64
	var wg sync.WaitGroup
	begin := make(chan struct{})
	data := func(i int) []byte { return bytes.Repeat([]byte(fmt.Sprintf("%04d", i)), 1000) }
	for i := range writers {
		wg.Go(func() {
			<-begin
			err := s.PutIfAbsent(t.Context(), name, data(i))
			switch {
			case err == nil:
				won.Add(1)
				winner.Store(int64(i))
			case !errors.Is(err, blob.ErrExists):
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	close(begin)
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d writers won, want 1", won.Load())
	}
	got, err := s.Get(t.Context(), name)
	if err != nil || !bytes.Equal(got, data(int(winner.Load()))) {
		t.Fatalf("the object is not writer %d's: %.20q, %v", winner.Load(), got, err)
	}
}
