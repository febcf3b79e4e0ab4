package ingest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/schema"
)

// slowLog appends when it is let.
type slowLog struct {
	ingest.Appender
	let chan struct{}
}

func (s slowLog) Append(ctx context.Context, b ingest.Batch) (ingest.Ack, error) {
	<-s.let
	return s.Appender.Append(ctx, b)
}

// Batches wait for room, are told when there is none, and give back theirs.
func TestInFlightBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(flights())
		let := make(chan struct{})
		w := newWriter(t, s, func(o *ingest.Options) {
			o.Log = slowLog{s, let}
			o.MaxBatchBytes, o.MaxInFlightBytes, o.InFlightWait = 1<<20, 2<<20, 5*time.Second
		})
		write := func(ctx context.Context, size int64) <-chan error {
			r := request("flights", "", ndjson, `{"delay":1}`)
			r.Size = size
			done := make(chan error, 1)
			go func() { _, err := w.Write(ctx, r); done <- err }()
			synctest.Wait()
			return done
		}
		first, second := write(t.Context(), 1<<20), write(t.Context(), 1<<20)
		start := time.Now()
		if err := <-write(t.Context(), 1); !errors.Is(err, schema.ErrOverloaded) || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %v, want overloaded after 5 s", err, time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := write(ctx, 1)
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want canceled", err)
		}
		waiting := write(t.Context(), 1<<20)
		let <- struct{}{}
		synctest.Wait()
		let <- struct{}{}
		synctest.Wait()
		let <- struct{}{}
		for _, done := range []<-chan error{first, second, waiting} {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// A body whose length is not stated takes room as it comes.
func TestInFlightGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(flights())
		w := newWriter(t, s, func(o *ingest.Options) { o.MaxBatchBytes, o.MaxInFlightBytes = 1<<20, 1<<20 })
		body, feed := io.Pipe()
		done := make(chan error, 1)
		go func() {
			r := request("flights", "", ndjson, "")
			r.Body, r.Size = body, -1
			_, err := w.Write(t.Context(), r)
			done <- err
		}()
		half := strings.Repeat(`{"origin":"`+strings.Repeat("x", 1000)+`"}`+"\n", 700)
		if _, err := io.WriteString(feed, half); err != nil {
			t.Fatal(err)
		}
		other := request("flights", "", ndjson, half)
		if _, err := w.Write(t.Context(), other); !errors.Is(err, schema.ErrOverloaded) {
			t.Errorf("%v, want overloaded", err)
		}
		feed.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		other.Body = strings.NewReader(half)
		if _, err := w.Write(t.Context(), other); err != nil {
			t.Errorf("room was not given back: %v", err)
		}
	})
}
