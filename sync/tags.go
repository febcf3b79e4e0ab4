package sync

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// TagAt says which snapshot a tag is to name: that by id, or that which holds the
// changes to a seq and no others, or if neither is given the newest.
type TagAt struct {
	Snapshot int64 // 0: not given
	AtSeq    *schema.Seq
}

// SetTag has a tag name a snapshot of the table; one by that name is moved. Without
// an id the table is brought up to date before. ErrNotFound: no snapshot that can
// be read ends at that seq.
func (e *Engine) SetTag(ctx context.Context, c *schema.Collection, name string, at TagAt) (tag lakehouse.Tag, err error) {
	id := at.Snapshot
	if id == 0 {
		snap, err := e.Flush(ctx, c)
		if err != nil {
			return tag, err
		}
		if id = snap.ID(); at.AtSeq != nil {
			if id, err = snap.AtSeq(*at.AtSeq + 1); err != nil {
				return tag, fmt.Errorf("tag the table of %s: %w; a scan with at_seq reads that state from the log", c, err)
			}
		}
	}
	next, err := e.changeTable(ctx, c.Instance, func(ctx context.Context, ch lakehouse.EngineChange) (*lakehouse.Snapshot, []uint32, error) {
		next, err := e.lake.SetTag(ctx, ch.Collection, ch.Base, name, id)
		return next, nil, err
	})
	if err != nil {
		return tag, err
	}
	tags, err := next.Tags()
	for _, t := range tags {
		if t.Name == name {
			tag = t
		}
	}
	return tag, err
}

// RemoveTag removes a tag; ErrNotFound without it. Its snapshot goes when it is
// past count and age.
func (e *Engine) RemoveTag(ctx context.Context, c *schema.Collection, name string) error {
	_, err := e.changeTable(ctx, c.Instance, func(ctx context.Context, ch lakehouse.EngineChange) (*lakehouse.Snapshot, []uint32, error) {
		next, err := e.lake.RemoveTag(ctx, ch.Collection, ch.Base, name)
		return next, nil, err
	})
	return err
}

// Tags are the tags of a collection's table; ErrNotFound without a table.
func (e *Engine) Tags(ctx context.Context, c *schema.Collection) ([]lakehouse.Tag, error) {
	snap, err := e.lake.Current(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("tags of the table of %s: %w", c, err)
	}
	return snap.Tags()
}
