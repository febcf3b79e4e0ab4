package count_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	stdsync "sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/blob/count"
)

// A store that is counted is a store like any other.
func TestSuite(t *testing.T) {
	t.Run("mem", func(t *testing.T) {
		blobtest.Run(t, func(*testing.T) blobtest.Store { return count.Around("mem", blob.NewMem()) })
	})
	t.Run("dir", func(t *testing.T) {
		blobtest.Run(t, func(t *testing.T) blobtest.Store {
			d, err := blob.OpenDir(t.TempDir(), blob.DirOptions{})
			if err != nil {
				t.Fatal(err)
			}
			s := count.Around("dir", d)
			t.Cleanup(func() { _ = s.Close() })
			return s
		})
	})
}

func TestCounts(t *testing.T) {
	ctx := context.Background()
	s := count.Around("log", blob.NewMem())
	must(t, s.PutIfAbsent(ctx, "a", []byte("12345")))
	before := s.Usage()
	if err := s.PutIfAbsent(ctx, "a", []byte("123")); !errors.Is(err, blob.ErrExists) {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "absent"); !errors.Is(err, blob.ErrNotFound) {
		t.Fatal(err)
	}
	_, err := s.GetRange(ctx, "a", 1, 2)
	must(t, err)
	_, v, err := s.Read(ctx, "a")
	must(t, err)
	_, err = s.Swap(ctx, "a", v, []byte("1234567"))
	must(t, err)

	w, err := s.Create(ctx, "b")
	must(t, err)
	_, err = io.WriteString(w, "eleven ")
	must(t, err)
	_, err = io.WriteString(w, "more")
	must(t, err)
	must(t, w.Commit())
	must(t, w.Commit()) // a no-op is no request
	w, err = s.Create(ctx, "c")
	must(t, err)
	must(t, w.Abort())

	r, err := s.Open(ctx, "b")
	must(t, err)
	if n, err := r.ReadAt(make([]byte, 20), 1); n != 10 || !errors.Is(err, io.EOF) {
		t.Fatal(n, err)
	}
	must(t, r.Close())
	for _, err := range s.List(ctx, "", "") {
		must(t, err)
	}
	must(t, s.Delete(ctx, "b"))
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if s.Delete(ended, "b") == nil {
		t.Fatal("delete in a context that ended")
	}

	u := s.Usage().Minus(before)
	for v, want := range map[count.Verb]count.Counts{
		count.Put:      {Requests: 1, Refused: 1, Bytes: 3},
		count.Get:      {Requests: 1, Refused: 1},
		count.GetRange: {Requests: 1, Bytes: 2},
		count.Read:     {Requests: 1, Bytes: 5},
		count.Swap:     {Requests: 1, Bytes: 7},
		count.Create:   {Requests: 1, Bytes: 11},
		count.Open:     {Requests: 1},
		count.ReadAt:   {Requests: 1, Bytes: 10},
		count.List:     {Requests: 1, Bytes: 2},
		count.Delete:   {Requests: 2, Failed: 1},
	} {
		got := u.Of(v)
		if got.Time <= 0 {
			t.Errorf("%s took no time", v)
		}
		got.Time = 0
		if got != want {
			t.Errorf("%s: %+v, want %+v", v, got, want)
		}
	}
}

func TestCollector(t *testing.T) {
	ctx := context.Background()
	logs, lake := count.Around("log", blob.NewMem()), count.Around("lake", blob.NewMem())
	r := prometheus.NewPedanticRegistry()
	must(t, r.Register(logs))
	must(t, r.Register(lake))
	var wg stdsync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_ = logs.PutIfAbsent(ctx, "a", []byte("12"))
			if i == 0 {
				_, _ = lake.Get(ctx, "absent")
			}
		})
	}
	wg.Wait()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`trine_store_bytes_total{store="lake",verb="get"} 0`,
		`trine_store_bytes_total{store="log",verb="put"} 16`,
		`trine_store_requests_total{outcome="ok",store="log",verb="put"} 1`,
		`trine_store_requests_total{outcome="refused",store="lake",verb="get"} 1`,
		`trine_store_requests_total{outcome="refused",store="log",verb="put"} 7`,
		`trine_store_seconds_count{store="log",verb="put"} 8`,
		`trine_store_seconds_bucket{store="log",verb="put",le="+Inf"} 8`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("metrics lack %s", line)
		}
	}
	if strings.Contains(w.Body.String(), "swap") {
		t.Error("a verb that was never used has a series")
	}
	if t.Failed() {
		t.Log(w.Body.String())
	}
}

// BenchmarkCount is what counting costs a call: the store itself does nothing.
func BenchmarkCount(b *testing.B) {
	ctx := context.Background()
	s := count.Around("none", nothing{})
	b.ReportAllocs()
	for b.Loop() {
		_ = s.PutIfAbsent(ctx, "a", nil)
	}
}

type nothing struct{ count.Counted }

func (nothing) PutIfAbsent(context.Context, string, []byte) error { return nil }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
