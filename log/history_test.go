package log_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// history is what senders were told about their batches. A batch is one row in
// each of its collections, which no other batch has.
type history struct {
	mu      sync.Mutex
	batches []*sent
	window  time.Duration // how long after it was first sent a batch is sent again; 0: for ever
}

type sent struct {
	row     string
	since   time.Time // when it was made up
	ids     []schema.Instance
	key     schema.DedupKey // zero: it is not sent again
	ifSeq   *log.IfSeq
	outcome outcome
	ack     log.Ack
	// When it was sent first, and acknowledged, on a clock of the test's; 0: it
	// has none.
	began, ended int
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
	s := &sent{row: fmt.Sprintf("row-%d", len(h.batches)), since: time.Now()}
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
func (h *history) send(ctx context.Context, t testing.TB, c *log.Channel, s *sent) error {
	if h.window > 0 && time.Since(s.since) > h.window {
		return nil
	}
	ack, err := c.Append(ctx, s.append())
	return h.told(t, s, ack, err)
}

func (s *sent) append() log.Append {
	a := log.Append{Dedup: s.key, Digest: [16]byte{1}, IfSeq: s.ifSeq}
	for _, id := range s.ids {
		a.Groups = append(a.Groups, group(id, s.row))
	}
	return a
}

// told notes what a sender was told.
func (h *history) told(t testing.TB, s *sent, ack log.Ack, err error) error {
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

func (h *history) verifyRows(t testing.TB, all map[schema.Instance][]string) {
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

// verifyOrder holds Seqs against the clock: what was sent after another batch was
// acknowledged comes after it.
func (h *history) verifyOrder(t testing.TB) {
	t.Helper()
	done := slices.DeleteFunc(slices.Clone(h.batches), func(s *sent) bool { return s.outcome != acked || s.ended == 0 })
	slices.SortFunc(done, func(a, b *sent) int { return cmp.Compare(a.ended, b.ended) })
	for _, b := range done {
		for _, a := range done {
			if a.ended >= b.began {
				break
			}
			for i, id := range b.ids {
				if j := slices.Index(a.ids, id); j >= 0 && a.ack.Groups[j].FirstSeq >= b.ack.Groups[i].FirstSeq {
					t.Errorf("%s was sent after %s was acknowledged, and is seq %d of instance %d before its %d",
						b.row, a.row, b.ack.Groups[i].FirstSeq, id, a.ack.Groups[j].FirstSeq)
				}
			}
		}
	}
}

// resend sends again what was acknowledged: it gets the same answer.
func (h *history) resend(t testing.TB, c *log.Channel) {
	t.Helper()
	for _, s := range h.batches {
		if s.outcome != acked || s.key == (schema.DedupKey{}) {
			continue
		}
		was := s.ack
		if err := h.send(context.Background(), t, c, s); err != nil {
			t.Errorf("%s sent again: %v", s.row, err)
		}
		if !s.ack.Replayed || !reflect.DeepEqual(s.ack.Groups, was.Groups) || s.ack.Position != was.Position {
			t.Errorf("%s sent again was answered %+v, at first %+v", s.row, s.ack, was)
		}
	}
}
