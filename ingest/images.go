package ingest

import (
	"fmt"

	"github.com/trinedb/trine/schema"
)

// images bounds the rows that a batch's changes put an end to and keep.
type images struct {
	most, bytes int64
}

// take makes a record tell what it does, given what there is of its key, and keep
// the row that it ends. A delete of a key that is not there stays one, and has
// no image.
func (m *images) take(rec *schema.Record, cur []byte, exists bool) error {
	if !exists {
		if rec.Op == schema.OpUpsert {
			rec.Op = schema.OpInsert
		}
		return nil
	}
	if rec.Op == schema.OpUpsert {
		rec.Op = schema.OpUpdate
	}
	if m.bytes += int64(len(cur)); m.bytes > m.most {
		return fmt.Errorf("rows that the batch changes have more than %d bytes, and the collection keeps before images, send it as several: %w", m.most, schema.ErrTooLarge)
	}
	rec.Before = cur
	return nil
}
