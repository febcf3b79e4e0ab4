package ingest_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/schema"
)

func TestFence(t *testing.T) {
	c := airports()
	s := newStore(c)
	w := newWriter(t, s, nil)
	fence := func(token, ifToken string) error {
		r := ingest.FenceRequest{Tenant: "acme", Collection: "airports", Token: token}
		if ifToken != "any" {
			r.IfToken = &ifToken
		}
		_, err := w.Fence(t.Context(), r)
		return err
	}
	write := func(token string) error {
		r := request("airports", ingest.OpUpsert, "application/x-ndjson", `{"iata":"SEA","lat":1}`)
		r.Fence = token
		_, err := w.Write(t.Context(), r)
		return err
	}
	for i, step := range []struct {
		err    error
		actual string // token when it is refused
	}{
		{write("a"), ""}, // no token is set
		{fence("x", "a"), ""},
		{fence("a", ""), "ok"},
		{write("a"), "ok"},
		{fence("b", "a"), "ok"},
		{write("a"), "b"},
		{fence("c", "a"), "b"},
		{write("b"), "ok"},
		{write(""), "ok"}, // not compared
		{fence("", "any"), "ok"},
		{write("b"), ""},
	} {
		var refused *ingest.FenceError
		if step.actual == "ok" {
			if step.err != nil {
				t.Errorf("step %d: %v", i, step.err)
			}
		} else if !errors.As(step.err, &refused) || refused.Actual != step.actual || !errors.Is(step.err, schema.ErrPrecondition) {
			t.Errorf("step %d: %v, want refused by %q", i, step.err, step.actual)
		}
	}
	if got := s.next[c.Instance]; got != 3 {
		t.Errorf("%d changes: a fence takes no seq", got)
	}
	if err := fence(strings.Repeat("x", 65), "any"); !errors.Is(err, schema.ErrInvalid) {
		t.Error(err)
	}
}

func TestProducers(t *testing.T) {
	c := airports()
	s := newStore(c)
	w := newWriter(t, s, nil)
	send := func(id string, n uint64, op ingest.Op, body string) (ingest.Result, error) {
		r := request("airports", op, "application/x-ndjson", body)
		r.Producer, r.ProducerSeq = id, n
		return w.Write(t.Context(), r)
	}
	const row = `{"iata":"SEA","lat":1}`
	for i, step := range []struct {
		id       string
		n        uint64
		replayed bool
	}{
		{"a", 0, false}, {"a", 0, true}, {"a", 7, false}, {"a", 3, true}, {"b", 3, false}, {"a", 7, true}, {"a", 8, false},
	} {
		res, err := send(step.id, step.n, ingest.OpUpsert, row)
		if err != nil || res.Replayed != step.replayed || (res.Count == 0) != step.replayed || res.Position.Chunk == 0 {
			t.Errorf("step %d: %+v, %v", i, res, err)
		}
	}
	if got := s.next[c.Instance]; got != 4 {
		t.Errorf("%d changes", got)
	}
	// A batch that is refused does not count, and one without records does.
	if _, err := send("a", 9, ingest.OpInsert, row); !errors.Is(err, schema.ErrConflict) {
		t.Error(err)
	}
	if res, err := send("a", 9, ingest.OpUpsert, ""); err != nil || res.Replayed || res.Count != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	if res, err := send("a", 9, ingest.OpUpsert, row); err != nil || !res.Replayed {
		t.Errorf("%+v, %v", res, err)
	}
	// The one that has not written for longest is forgotten.
	for i := range ingest.MaxProducers - 1 {
		if _, err := send(fmt.Sprint("p", i), 1, ingest.OpUpsert, row); err != nil {
			t.Fatal(err)
		}
	}
	if res, err := send("a", 9, ingest.OpUpsert, row); err != nil || !res.Replayed {
		t.Errorf("%+v, %v", res, err)
	}
	if res, err := send("b", 3, ingest.OpUpsert, row); err != nil || res.Replayed {
		t.Errorf("%+v, %v", res, err)
	}
	r := request("airports", ingest.OpUpsert, "application/x-ndjson", row)
	zero := schema.Seq(0)
	r.Producer, r.IfSeq = "a", &zero
	if _, err := w.Write(t.Context(), r); !errors.Is(err, schema.ErrInvalid) {
		t.Error(err)
	}
}

// golden is the guard of docs/format/guard.md.
const golden = "\x01\x05token\x01a\xac\x02\x02bb\x00"

func TestGuardBytes(t *testing.T) {
	if got, err := ingest.RecodeGuard([]byte(golden)); string(got) != golden || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"", "\x02\x00", golden[:4], golden[:8], golden[:len(golden)-1], "\x01\x41" + strings.Repeat("x", 65), "\x01\x00\x00\x01"} {
		if _, err := ingest.RecodeGuard([]byte(bad)); !errors.Is(err, schema.ErrCorrupt) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzGuard(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte("\x01\x00"))
	f.Fuzz(func(t *testing.T, row []byte) {
		again, err := ingest.RecodeGuard(row)
		if err != nil {
			return
		}
		if twice, err := ingest.RecodeGuard(again); err != nil || !bytes.Equal(twice, again) {
			t.Errorf("%q becomes %q, that %q, %v", row, again, twice, err)
		}
	})
}
