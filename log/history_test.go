package log_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// history is what senders were told about their batches. A batch is one row in
// each of its collections, which no other batch has.
type history struct {
	mu      sync.Mutex
	batches []*sent
}

type sent struct {
	row     string
	ids     []schema.Instance
	key     schema.DedupKey // zero: it is not sent again
	outcome outcome
	ack     log.Ack
}

type outcome int

const (
	unknown outcome = iota // also: never answered
	acked
	failed
)

// add makes up a batch.
func (h *history) add(r *rand.Rand) *sent {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &sent{row: fmt.Sprintf("row-%d", len(h.batches))}
	for _, id := range r.Perm(5)[:1+r.IntN(3)] {
		s.ids = append(s.ids, schema.Instance(16+id))
	}
	if r.IntN(2) == 0 {
		copy(s.key[:], s.row)
	}
	h.batches = append(h.batches, s)
	return s
}

// open are the batches that may be sent again.
func (h *history) open() []*sent {
	h.mu.Lock()
	defer h.mu.Unlock()
	var open []*sent
	for _, s := range h.batches {
		if s.outcome != acked && s.key != (schema.DedupKey{}) {
			open = append(open, s)
		}
	}
	return open
}

// send appends a batch and notes the outcome.
func (h *history) send(ctx context.Context, t *testing.T, c *log.Channel, s *sent) error {
	a := log.Append{Dedup: s.key, Digest: [16]byte{1}}
	for _, id := range s.ids {
		a.Groups = append(a.Groups, group(id, s.row))
	}
	ack, err := c.Append(ctx, a)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		s.outcome, s.ack = acked, ack
		if len(ack.Groups) != len(s.ids) {
			t.Errorf("%s: %d collections, acknowledged %d", s.row, len(s.ids), len(ack.Groups))
		}
	case s.key == (schema.DedupKey{}) && !errors.Is(err, schema.ErrUnknownOutcome):
		s.outcome = failed
	default: // this attempt may have landed, or another with the same key
	}
	return err
}

// verify holds what the log has against what senders were told.
func (h *history) verify(t *testing.T, c *log.Channel) {
	t.Helper()
	h.verifyRows(t, rows(t, c))
}

func (h *history) verifyRows(t *testing.T, all map[schema.Instance][]string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	known := map[string]*sent{}
	for _, s := range h.batches {
		known[s.row] = s
		times := map[int]int{}
		for i, id := range s.ids {
			n := 0
			for seq, row := range all[id] {
				if row != s.row {
					continue
				}
				n++
				if s.outcome == acked && (s.ack.Groups[i].Instance != id || int(s.ack.Groups[i].FirstSeq) != seq) {
					t.Errorf("%s is seq %d of instance %d, was acknowledged as %+v", row, seq, id, s.ack)
				}
			}
			times[n]++
		}
		if len(times) > 1 {
			t.Errorf("%s is torn: %v", s.row, times)
		}
		if times[0]+times[1] == 0 || s.outcome == acked && times[0] > 0 || s.outcome == failed && times[1] > 0 {
			t.Errorf("%s had outcome %d and is there this often: %v", s.row, s.outcome, times)
		}
	}
	for id, rows := range all {
		for seq, row := range rows {
			if s := known[row]; s == nil || !slices.Contains(s.ids, id) {
				t.Errorf("seq %d of instance %d is %q, which nobody sent", seq, id, row)
			}
		}
	}
}

// resend sends again what was acknowledged: it gets the same answer.
func (h *history) resend(t *testing.T, c *log.Channel) {
	t.Helper()
	for _, s := range h.batches {
		if s.outcome != acked || s.key == (schema.DedupKey{}) {
			continue
		}
		was := s.ack
		if err := h.send(t.Context(), t, c, s); err != nil {
			t.Errorf("%s sent again: %v", s.row, err)
		}
		if !s.ack.Replayed || !reflect.DeepEqual(s.ack.Groups, was.Groups) || s.ack.Position != was.Position {
			t.Errorf("%s sent again was answered %+v, at first %+v", s.row, s.ack, was)
		}
	}
}
