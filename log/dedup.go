package log

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// dedupEntry is a batch with a DedupKey that is under way, or durable and not
// applied. Its fields are guarded by the channel's mutex until done is closed.
type dedupEntry struct {
	digest [16]byte
	done   chan struct{} // closed when the rest is known
	ack    Ack
	err    error
	again  bool   // it was given up before it was sequenced: no outcome at all
	number uint64 // of the chunk that holds it
}

// closedDone is the done of what is known from the beginning.
var closedDone = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// claimKey makes the caller the one whose batch counts for the key, or finds the
// one who is.
func (c *Channel) claimKey(key schema.DedupKey, digest [16]byte) (e *dedupEntry, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e = c.dedup[key]; e != nil {
		return e, false
	}
	e = &dedupEntry{digest: digest, done: make(chan struct{})}
	c.dedup[key] = e
	return e, true
}

// settleKeyLocked tells those who wait for the batch what became of it. An
// entry of a durable batch stays until the batch is applied.
func (c *Channel) settleKeyLocked(key schema.DedupKey, e *dedupEntry, ack Ack, err error) {
	e.ack, e.err = ack, err
	if err != nil || ack.Position.Chunk <= c.applied {
		if c.dedup[key] == e {
			delete(c.dedup, key)
		}
	}
	e.number = ack.Position.Chunk
	close(e.done)
}

// await waits for the batch that has the key.
func (e *dedupEntry) await(ctx context.Context, digest [16]byte) (ack Ack, again bool, err error) {
	if e.digest != digest {
		return Ack{}, false, fmt.Errorf("idempotency key was used for another batch: %w", schema.ErrConflict)
	}
	select {
	case <-e.done:
	case <-ctx.Done():
		return Ack{}, false, fmt.Errorf("waiting for the first batch with this key: %w: %w", schema.ErrUnknownOutcome, ctx.Err())
	}
	ack = e.ack
	ack.Replayed = true
	return ack, e.again, e.err
}

// stateAnswer finds what an applied batch with the key was answered.
func (c *Channel) stateAnswer(ctx context.Context, key schema.DedupKey, digest [16]byte) (Ack, bool, error) {
	var ack Ack
	for i := 0; ; i++ {
		a, ok, err := c.seqs.state.Answer(ctx, chunk.AnswerKey(key, i))
		if err != nil {
			return Ack{}, false, fmt.Errorf("look for an earlier answer: %w", err)
		}
		if !ok {
			return ack, i > 0, nil
		}
		if a.Digest != digest {
			if i > 0 {
				return ack, true, nil
			}
			return Ack{}, false, fmt.Errorf("idempotency key was used for another batch at %v: %w", a.Position, schema.ErrConflict)
		}
		ack.Replayed, ack.Position = true, a.Position
		if a.Count > 0 {
			ack.Groups = append(ack.Groups, AckGroup{Instance: a.Instance, FirstSeq: a.FirstSeq, Count: a.Count})
		}
	}
}

// answers are what the log keeps of a batch's answer; see docs/format/chunk.md.
func answers(dst []schema.Answer, key schema.DedupKey, digest [16]byte, pos schema.Position, groups []AckGroup) []schema.Answer {
	if len(groups) == 0 {
		return append(dst, schema.Answer{Key: key, Digest: digest, Position: pos})
	}
	for i, g := range groups {
		dst = append(dst, schema.Answer{
			Key: chunk.AnswerKey(key, i), Digest: digest,
			Instance: g.Instance, FirstSeq: g.FirstSeq, Count: g.Count, Position: pos,
		})
	}
	return dst
}

// rememberLocked makes the answers of a durable chunk known where nobody waits
// to settle them: after a restart.
func (c *Channel) rememberLocked(ck *schema.Chunk) {
	var e *dedupEntry // nil: of the batch at hand somebody knows already
	var key schema.DedupKey
	var digest [16]byte
	part := 0
	for _, a := range ck.Answers {
		if part > 0 && a.Digest == digest && a.Key == chunk.AnswerKey(key, part) {
			if part++; e != nil {
				e.ack.Groups = append(e.ack.Groups, AckGroup{Instance: a.Instance, FirstSeq: a.FirstSeq, Count: a.Count})
			}
			continue
		}
		e, key, digest, part = nil, a.Key, a.Digest, 1
		if c.dedup[key] != nil {
			continue
		}
		e = &dedupEntry{digest: digest, done: closedDone, number: ck.Position.Chunk}
		e.ack = Ack{Position: ck.Position, TimeMicros: ck.TimeMicros}
		if a.Count > 0 {
			e.ack.Groups = []AckGroup{{Instance: a.Instance, FirstSeq: a.FirstSeq, Count: a.Count}}
		}
		c.dedup[key] = e
	}
}

// doubt is a batch whose sender was told that its outcome is unknown, while the
// channel is still to find it out. Retries wait for that.
type doubt struct {
	key schema.DedupKey
	e   *dedupEntry
	ack Ack
}

// doubtLocked puts a new entry in place of the one whose waiters are told.
func (c *Channel) doubtLocked(p *pending) doubt {
	e := &dedupEntry{digest: p.a.Digest, done: make(chan struct{})}
	c.dedup[p.a.Dedup] = e
	return doubt{key: p.a.Dedup, e: e, ack: p.ack}
}

// stillInDoubt tells those who wait for the truth that it was not found out yet.
func (c *Channel) stillInDoubt(doubts []doubt, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range doubts {
		d := &doubts[i]
		waited := d.e
		d.e = &dedupEntry{digest: waited.digest, done: make(chan struct{})}
		c.dedup[d.key] = d.e
		c.settleKeyLocked(d.key, waited, Ack{}, err)
	}
}

// resolve ends doubts: landed tells how, err that it was not found out.
func (c *Channel) resolve(doubts []doubt, landed *schema.Chunk, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range doubts {
		switch {
		case err != nil:
			c.settleKeyLocked(d.key, d.e, Ack{}, err)
		case landed == nil:
			d.e.again = true
			c.settleKeyLocked(d.key, d.e, Ack{}, errGivenUp)
		default:
			d.ack.Position, d.ack.TimeMicros = landed.Position, landed.TimeMicros
			c.settleKeyLocked(d.key, d.e, d.ack, nil)
		}
	}
}
