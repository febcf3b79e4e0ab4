package sync

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// TrimmedError refuses to read changes that a trim has let go. It is a
// schema.ErrTrimmed.
type TrimmedError struct {
	From  schema.Seq // asked for
	First schema.Seq // the first that is kept
}

// Error tells where the log begins.
func (e *TrimmedError) Error() string {
	return fmt.Sprintf("seq %d is no longer kept, the log begins at seq %d", e.From, e.First)
}

// FirstSeq is the first seq that is kept.
func (e *TrimmedError) FirstSeq() schema.Seq { return e.First }

// Is makes a TrimmedError an ErrTrimmed.
func (e *TrimmedError) Is(target error) bool { return target == schema.ErrTrimmed }

// FirstSeq is the seq of the first change that a collection's log keeps: 0 until
// it is trimmed.
func (e *Engine) FirstSeq(ctx context.Context, c *schema.Collection) (schema.Seq, error) {
	return e.firstSeq(ctx, c.Instance)
}

func (e *Engine) firstSeq(ctx context.Context, inst schema.Instance) (schema.Seq, error) {
	if inst < schema.FirstUserInstance {
		return 0, nil // Trine's own are never trimmed
	}
	row, ok, err := e.index.Get(ctx, schema.InstanceTrims, schema.TrimKey(inst))
	if err != nil {
		return 0, fmt.Errorf("where the log of instance %d begins: %w", inst, err)
	}
	return trimPointOf(row, ok)
}

// kept reports a TrimmedError unless the change at a seq is kept.
func (e *Engine) kept(ctx context.Context, inst schema.Instance, seq schema.Seq) error {
	first, err := e.firstSeq(ctx, inst)
	if err == nil && seq < first {
		err = &TrimmedError{From: seq, First: first}
	}
	return err
}

// trimPointFormat begins each row of InstanceTrims; docs/format/trim.md.
const trimPointFormat = 1

func appendTrimPoint(dst []byte, before schema.Seq) []byte {
	return binary.AppendUvarint(append(dst, trimPointFormat), uint64(before))
}

// trimPointOf reads what a look-up of a trim point gave.
func trimPointOf(row []byte, ok bool) (schema.Seq, error) {
	if !ok {
		return 0, nil
	}
	return DecodeTrimPoint(row)
}

// DecodeTrimPoint reads a row of InstanceTrims: the first seq that is kept.
func DecodeTrimPoint(row []byte) (schema.Seq, error) {
	if len(row) > 1 && row[0] == trimPointFormat {
		before, n := binary.Uvarint(row[1:])
		// The shortest form, and nothing behind it: encoded again it is the same.
		if n == len(row)-1 && before > 0 && len(appendTrimPoint(nil, schema.Seq(before))) == len(row) {
			return schema.Seq(before), nil
		}
	}
	return 0, fmt.Errorf("trim point %.100x: %w", row, schema.ErrCorrupt)
}
