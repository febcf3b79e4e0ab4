package sync

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// Trimmed is what a trim came to.
type Trimmed struct {
	First    schema.Seq // the first change that is kept
	Position schema.Position
}

// Trim forgets the changes of a collection's log below a seq, durably when it
// returns. Index and lake keep their rows: what only the log holds is flushed to
// the lake first. A point that lies below the one in force changes nothing. One
// above the next seq is a schema.FieldError.
func (e *Engine) Trim(ctx context.Context, c *schema.Collection, before schema.Seq) (Trimmed, error) {
	next, err := e.log.NextSeq(ctx, c.Instance)
	if err == nil {
		err = trimmable(c, before, next)
	}
	if err != nil {
		return Trimmed{}, fmt.Errorf("trim %s: %w", c, err)
	}
	out, err := e.trimFlushed(ctx, trim{c, before})
	if err != nil {
		return Trimmed{}, fmt.Errorf("trim %s: %w", c, err)
	}
	out.First, err = e.firstSeq(ctx, c.Instance)
	return out, err
}

// trimFlushed trims a log after it has flushed what the table lacks.
func (e *Engine) trimFlushed(ctx context.Context, t trim) (Trimmed, error) {
	h := heldTables{e: e}
	defer h.release()
	for {
		if err := e.flushBelow(ctx, t.c, t.before); err != nil {
			return Trimmed{}, err
		}
		ok, err := h.hold(ctx, t, true)
		if err != nil {
			return Trimmed{}, err
		}
		if ok {
			return e.appendTrims(ctx, []trim{t})
		}
		h.release() // the table was withdrawn in between
		h.done = nil
	}
}

func trimmable(c *schema.Collection, before, next schema.Seq) error {
	if before <= next {
		return nil
	}
	return &schema.FieldError{Field: "before_seq", Value: fmt.Sprint(before),
		Rule: fmt.Sprintf("the next change of %s gets seq %d; give that to forget all there are", c, next)}
}

// flushBelow has the lake hold what it would otherwise have to read below a seq.
// A keyed collection without a table needs nothing: one that is made later takes
// the index's rows.
func (e *Engine) flushBelow(ctx context.Context, c *schema.Collection, before schema.Seq) error {
	if c.Options.Lake == schema.LakeOff || before == 0 {
		return nil
	}
	snap, err := e.currentSnapshot(ctx, c)
	if err != nil || snap == nil && c.Schema.Keyed() || nextSeqOf(snap) >= before {
		return err
	}
	_, err = e.Flush(ctx, c)
	return err
}

// trim is a collection and the first seq of it that is to be kept.
type trim struct {
	c      *schema.Collection
	before schema.Seq
}

// appendTrims makes trims durable, all in one batch. They are decided on when the
// log sequences them: none goes back, and none lies beyond what was sequenced.
func (e *Engine) appendTrims(ctx context.Context, trims []trim) (Trimmed, error) {
	batch := log.Append{Groups: []log.AppendGroup{{Instance: schema.InstanceTrims}}}
	for _, t := range trims {
		// Named so that the log knows the collection's next seq when it decides.
		batch.Groups = append(batch.Groups, log.AppendGroup{Instance: t.c.Instance})
	}
	batch.Decide = func([]log.AppendGroup) ([]log.AppendGroup, error) {
		points := log.AppendGroup{Instance: schema.InstanceTrims}
		for _, t := range trims {
			rec, ok, err := e.decideTrim(t)
			if err != nil {
				return nil, err
			}
			if ok {
				points.Records = append(points.Records, rec)
			}
		}
		return []log.AppendGroup{points}, nil
	}
	ack, err := e.log.Append(ctx, batch)
	return Trimmed{Position: ack.Position}, err
}

func (e *Engine) decideTrim(t trim) (schema.Record, bool, error) {
	next, err := e.log.NextSequenced(t.c.Instance)
	if err == nil {
		err = trimmable(t.c, t.before, next)
	}
	if err != nil {
		return schema.Record{}, false, err
	}
	row, _, ok, err := e.index.GetSequenced(schema.InstanceTrims, schema.TrimKey(t.c.Instance))
	if err != nil {
		return schema.Record{}, false, err
	}
	now, err := trimPointOf(row, ok)
	if err != nil || t.before <= now {
		return schema.Record{}, false, err
	}
	return schema.Record{Op: schema.OpUpsert, Key: schema.TrimKey(t.c.Instance), Row: appendTrimPoint(nil, t.before)}, true, nil
}
