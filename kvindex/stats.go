package kvindex

import (
	"context"
	"fmt"
	"time"

	"github.com/trinedb/trine/schema"
)

// Stats are the exact figures of a collection as of Applied.
func (x *Index) Stats(ctx context.Context, inst schema.Instance) (Stats, error) {
	if err := x.gate.enter(); err != nil {
		return Stats{}, err
	}
	defer x.gate.leave()
	t, _, err := x.tally(inst)
	if err != nil {
		return Stats{}, fmt.Errorf("stats of instance %d: %w", inst, err)
	}
	return t.stats(), nil
}

// NextSeq is the Seq that the collection's next change gets, as of Applied: 0
// for one that nothing was written to.
func (x *Index) NextSeq(ctx context.Context, inst schema.Instance) (schema.Seq, error) {
	s, err := x.Stats(ctx, inst)
	return s.NextSeq, err
}

// Answer finds what a batch was answered, if it was applied in the last
// AnswerTTL.
func (x *Index) Answer(ctx context.Context, key schema.DedupKey) (schema.Answer, bool, error) {
	if err := x.gate.enter(); err != nil {
		return schema.Answer{}, false, err
	}
	defer x.gate.leave()
	val, ok, err := x.eng.get(latest, nil, answerKey(key))
	if err != nil {
		return schema.Answer{}, false, corrupt("read answer", err)
	}
	if !ok {
		return schema.Answer{}, false, nil
	}
	a, timeMicros, err := decodeAnswer(key, val)
	if err != nil || x.opts.Now().Sub(time.UnixMicro(timeMicros)) >= AnswerTTL {
		return schema.Answer{}, false, err
	}
	return a, true, nil
}

// Dirty calls fn for every collection of users that has a table which lacks
// changes, or no table and at least DirtyBytes of changes, by instance, as of one
// Applied, until fn reports no more or fails. Its cost is by their number.
func (x *Index) Dirty(ctx context.Context, fn func(inst schema.Instance, s Stats) (more bool, err error)) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	v := x.pin()
	defer x.unpin(v)
	c := x.eng.iterate(v.ts, []byte{byte(spaceDirty)}, false)
	defer c.close()
	var buf []byte
	for c.seek([]byte{byte(spaceDirty)}); c.valid(); c.next() {
		if err := x.gate.alive(ctx); err != nil {
			return err
		}
		inst := instanceOf(c.key())
		val, _, err := x.eng.get(v.ts, buf[:0], instanceKey(spaceStats, inst))
		if err != nil {
			return corrupt(fmt.Sprintf("stats of instance %d", inst), err)
		}
		buf = val
		t, err := decodeTally(val)
		if err != nil {
			return fmt.Errorf("stats of instance %d: %w", inst, err)
		}
		if more, err := fn(inst, t.stats()); err != nil || !more {
			return err
		}
	}
	return nil
}

// tally reads a collection's stats, and whether it has any.
func (x *Index) tally(inst schema.Instance) (tally, bool, error) {
	return x.tallyAt(latest, inst)
}

func (x *Index) tallyAt(ts uint64, inst schema.Instance) (tally, bool, error) {
	val, ok, err := x.eng.get(ts, nil, instanceKey(spaceStats, inst))
	if err != nil {
		return tally{}, false, corrupt("read stats", err)
	}
	if !ok {
		return tally{}, false, nil
	}
	t, err := decodeTally(val)
	return t, true, err
}
