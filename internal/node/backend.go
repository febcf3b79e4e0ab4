package node

import (
	"context"
	"iter"
	"path/filepath"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/internal/registry"
	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
	"github.com/trinedb/trine/sync"
)

// Backend is the node as the HTTP surface sees it.
func (n *Node) Backend() arrowhttp.Backend {
	return arrowhttp.Backend{
		Collections: collections{n.Registry, n},
		Named:       namedSchemas{n},
		Schemas:     n.Registry,
		Writer:      writes{n},
		Reader:      reads{n},
		Changes:     changes{n.Engine},
		Trimmer:     trims{n},
		Scanner:     scans{n.Engine},
		Describer:   describes{n.Engine},
		Positions:   positions{n.Engine},
		Verifier:    verifies{n},
		Upkeep:      upkeeps{n.Engine},
		Tags:        tags{n},
	}
}

// SpoolDir is where the HTTP surface may keep what it is serving.
func (n *Node) SpoolDir() string { return filepath.Join(n.opts.Data, "tmp") }

// Reclaiming is how many dropped collections the index may still hold keys of.
func (n *Node) Reclaiming() int { return n.index.Reclaiming() }

// Ready reports why the node cannot serve writes and fresh reads, if so.
func (n *Node) Ready(context.Context) error { return n.Engine.Err() }

type collections struct {
	*registry.Registry
	n *Node
}

// Apply also has the collections' tables looked at, which may be pinned now.
func (c collections) Apply(ctx context.Context, defs []definition.Definition, dryRun bool) ([]arrowhttp.Applied, error) {
	_, out, err := namedSchemas{c.n}.Apply(ctx, definition.File{Collections: defs}, dryRun)
	return out, err
}

// Drop ends the collection and lets its table go. The index's space comes back
// by itself, as the drop is in the log.
func (c collections) Drop(ctx context.Context, tenant, name string) error {
	doomed, err := c.Get(ctx, tenant, name)
	if err != nil {
		return err
	}
	return c.n.Engine.Drop(ctx, doomed, func(ctx context.Context) error {
		_, err := c.Registry.Drop(ctx, tenant, name)
		return err
	})
}

type reads struct{ n *Node }

func (r reads) Get(ctx context.Context, c *schema.Collection, key []byte) (arrowhttp.Row, bool, error) {
	row, ok, err := r.n.index.GetRow(ctx, c.Instance, key)
	r.n.index.NoteDamage(err)
	return arrowhttp.Row(row), ok, err
}

func (r reads) Lookup(ctx context.Context, c *schema.Collection, by *schema.IndexSpec, keys [][]byte, fn func(i int, row arrowhttp.Row) error) error {
	if by != nil {
		return r.n.index.SecondaryLookup(ctx, c.Instance, by.ID, keys, func(i int, row kvindex.Row) error {
			return fn(i, arrowhttp.Row(row))
		})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failed error
	err := r.n.index.GetManyRows(ctx, c.Instance, keys, func(i int, row kvindex.Row, ok bool) {
		if failed != nil || !ok {
			return
		}
		if failed = fn(i, arrowhttp.Row(row)); failed != nil {
			cancel()
		}
	})
	if failed != nil {
		return failed
	}
	r.n.index.NoteDamage(err)
	return err
}

func (r reads) Range(ctx context.Context, c *schema.Collection, by *schema.IndexSpec, k arrowhttp.KeyRange, fn func(at []byte, row arrowhttp.Row) (bool, error)) error {
	if by != nil {
		return r.n.index.SecondaryRange(ctx, c.Instance, by.ID, kvindex.KeyRange(k), func(entry, _ []byte, row kvindex.Row) (bool, error) {
			return fn(entry, arrowhttp.Row(row))
		})
	}
	// What fn fails with is not the index's damage.
	var failed error
	err := r.n.index.RangeRows(ctx, c.Instance, kvindex.KeyRange(k), func(key []byte, row kvindex.Row) (bool, error) {
		more, err := fn(key, arrowhttp.Row(row))
		failed = err
		return more, err
	})
	if failed == nil {
		r.n.index.NoteDamage(err)
	}
	return err
}

type changes struct{ *sync.Engine }

func (c changes) Read(ctx context.Context, coll *schema.Collection, r arrowhttp.ChangesRequest) iter.Seq2[schema.Change, error] {
	return c.Changes(ctx, coll, sync.ChangesRequest(r))
}

func (c changes) SeqAt(ctx context.Context, coll *schema.Collection, micros int64) (schema.Seq, error) {
	return c.Engine.SeqAt(ctx, coll, micros)
}

func (c changes) Extent(ctx context.Context, coll *schema.Collection, from, to schema.Seq) (arrowhttp.LogExtent, error) {
	x, err := c.Engine.Extent(ctx, coll, from, to)
	return arrowhttp.LogExtent(x), err
}

type trims struct{ n *Node }

func (t trims) FirstSeq(ctx context.Context, c *schema.Collection) (schema.Seq, error) {
	return t.n.Engine.FirstSeq(ctx, c)
}

func (t trims) Trim(ctx context.Context, c *schema.Collection, before schema.Seq) (arrowhttp.Trimmed, error) {
	if err := t.n.spaceForWrites(); err != nil {
		return arrowhttp.Trimmed{}, err
	}
	done, err := t.n.Engine.Trim(ctx, c, before)
	return arrowhttp.Trimmed(done), err
}

type scans struct{ *sync.Engine }

func (s scans) Scan(ctx context.Context, c *schema.Collection, q query.Scan) (*arrowhttp.ScanStream, error) {
	scan, err := s.Engine.Scan(ctx, c, q)
	if err != nil {
		return nil, err
	}
	return &arrowhttp.ScanStream{
		Schema: scan.Schema, Position: scan.Position, SnapshotID: scan.SnapshotID, Batches: scan.Batches,
		State: scan.State, Place: scan.Place,
		Close: func() error { scan.Close(); return nil },
	}, nil
}

type describes struct{ *sync.Engine }

func (d describes) Describe(ctx context.Context, c *schema.Collection) (arrowhttp.Status, error) {
	s, err := d.Engine.Describe(ctx, c)
	if err != nil {
		return arrowhttp.Status{}, err
	}
	out := arrowhttp.Status{
		Rows: s.Rows, FirstSeq: s.FirstSeq, NextSeq: s.NextSeq, Position: s.Position,
		Log: storeStatus(s.Log), Index: storeStatus(s.Index),
		Lake: arrowhttp.LakeStatus{
			StoreStatus: storeStatus(s.Lake.StoreStatus),
			Location:    s.Lake.Location, SnapshotID: s.Lake.SnapshotID, Files: s.Lake.Files,
		},
	}
	for _, x := range s.Indexes {
		out.Indexes = append(out.Indexes, arrowhttp.IndexStatus{
			Name: x.Name, State: x.State.String(), RowsDone: x.RowsDone, Rows: x.Rows, Reason: x.Reason,
		})
	}
	return out, nil
}

func storeStatus(s sync.StoreStatus) arrowhttp.StoreStatus {
	return arrowhttp.StoreStatus{NextSeq: s.NextSeq, Bytes: s.Bytes, LagMicros: s.Lag.Microseconds()}
}

type positions struct{ *sync.Engine }

func (p positions) Current(string) schema.Position { return p.Position() }

func (p positions) Wait(ctx context.Context, _ string, pos schema.Position) error {
	return p.Engine.Wait(ctx, pos)
}
