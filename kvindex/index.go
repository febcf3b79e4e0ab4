package kvindex

import (
	"context"

	"github.com/trinedb/trine/schema"
)

// Index is an open key index. It is safe for concurrent use.
type Index struct {
	opts Options
}

// Open opens the index in o.Dir, or makes an empty one.
func Open(o Options) (*Index, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Index{opts: o.withDefaults()}, errSkeleton
}

// Close stops the background work, waits for operations under way and closes.
func (x *Index) Close(ctx context.Context) error { return errSkeleton }

// Applied is the position up to which every chunk is in Badger.
func (x *Index) Applied() schema.Position { return schema.Position{} }

// Wait returns once Applied has reached pos.
func (x *Index) Wait(ctx context.Context, pos schema.Position) error { return errSkeleton }
