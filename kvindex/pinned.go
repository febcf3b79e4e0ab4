package kvindex

import (
	"context"

	"github.com/trinedb/trine/schema"
)

// Pinned is the rows of a collection as of one position. Old versions are kept on
// disk until it is closed, and Close of the index waits for that. It is for one
// goroutine.
type Pinned struct {
	x    *Index
	view *view
	inst schema.Instance
}

// Pin keeps the rows of a collection as they are now until Close.
func (x *Index) Pin(inst schema.Instance) (*Pinned, error) {
	if err := x.gate.enter(); err != nil {
		return nil, err
	}
	return &Pinned{x: x, view: x.pin(), inst: inst}, nil
}

// Position is that of the rows: all changes up to it are in them, none after it.
func (p *Pinned) Position() schema.Position { return p.view.durable.pos }

// Rows walks all rows in key order until fn reports no more or fails. Key and row
// are fn's until it returns.
func (p *Pinned) Rows(ctx context.Context, fn func(key []byte, row Row) (more bool, err error)) error {
	return p.x.rangeView(ctx, p.view, p.inst, KeyRange{}, fn)
}

// Close lets the rows go. It may be called twice.
func (p *Pinned) Close() {
	if p.view != nil {
		p.x.unpin(p.view)
		p.view = nil
		p.x.gate.leave()
	}
}
