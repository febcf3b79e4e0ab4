package s3_test

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
	"github.com/trinedb/trine/schema"
)

// TestListIsBounded where it sorts in memory.
func TestListIsBounded(t *testing.T) {
	kinds(t, func(t *testing.T, express bool) {
		server := s3test.New(s3test.Options{Express: express, PageKeys: 4})
		o := inMemory(t, server)
		o.MaxListNames = 10
		s := open(t, configOf(server, "p"), o)
		for i := range 11 {
			check(t, s.PutIfAbsent(t.Context(), fmt.Sprintf("f/%02d", i), nil))
		}
		n := 0
		var last error
		for _, err := range s.List(t.Context(), "f/", "") {
			n, last = n+1, err
		}
		if express {
			wantErr(t, last, schema.ErrTooLarge)
		} else if n != 11 || last != nil {
			t.Errorf("%d names, %v; want 11", n, last)
		}
		if got := s.Usage()[s3.VerbList].Requests; got != 3 {
			t.Errorf("%d requests, want 3", got)
		}
		n = 0
		for _, err := range s.List(t.Context(), "f/", "f/00") { // 10 to sort
			check(t, err)
			n++
		}
		if n != 10 {
			t.Errorf("%d names, want 10", n)
		}
	})
}

// TestCounters are those of Usage.
func TestCounters(t *testing.T) {
	server := s3test.New(s3test.Options{})
	o := inMemory(t, server)
	registry := prometheus.NewPedanticRegistry()
	o.Registerer = registry
	s := open(t, configOf(server, "p"), o)
	open(t, configOf(server, "q"), o) // shares the counters
	before := s.Usage()
	check(t, s.PutIfAbsent(t.Context(), "o", make([]byte, 1234)))
	_, err := s.GetRange(t.Context(), "o", 0, 100)
	check(t, err)
	usage := s.Usage()
	if d := usage[s3.VerbPut].BytesSent - before[s3.VerbPut].BytesSent; d != 1234 {
		t.Errorf("%d bytes sent, want 1234", d)
	}
	if d := usage[s3.VerbGet].BytesReceived - before[s3.VerbGet].BytesReceived; d != 100 {
		t.Errorf("%d bytes received, want 100", d)
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 3 {
		t.Errorf("%d families, %v; want 3", len(families), err)
	}
}
