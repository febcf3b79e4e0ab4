package node

import (
	"context"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// tags is the node as the HTTP surface's tags see it.
type tags struct{ n *Node }

func (t tags) Tags(ctx context.Context, c *schema.Collection) ([]arrowhttp.Tag, error) {
	all, err := t.n.Engine.Tags(ctx, c)
	if err != nil {
		return nil, err
	}
	out := make([]arrowhttp.Tag, len(all))
	for i, tag := range all {
		out[i] = tagOf(tag)
	}
	return out, nil
}

func (t tags) SetTag(ctx context.Context, c *schema.Collection, name string, at arrowhttp.TagAt) (arrowhttp.Tag, error) {
	if err := t.n.spaceForWrites(); err != nil {
		return arrowhttp.Tag{}, err
	}
	tag, err := t.n.Engine.SetTag(ctx, c, name, sync.TagAt(at))
	return tagOf(tag), err
}

func (t tags) RemoveTag(ctx context.Context, c *schema.Collection, name string) error {
	return t.n.Engine.RemoveTag(ctx, c, name)
}

func tagOf(tag lakehouse.Tag) arrowhttp.Tag {
	return arrowhttp.Tag{
		Name: tag.Name, Snapshot: tag.Snapshot, NextSeq: tag.NextSeq, Time: tag.Time.UTC(), End: timeOrNil(tag.End),
	}
}
