package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/kvindex/snapshot"
	"github.com/trinedb/trine/schema"
)

// channelID is the one channel of a node.
const channelID = 0

// Rebuild says from what an index is built that is thrown away.
type Rebuild string

// The ways to rebuild. RebuildFromLog also passes over snapshots.
const (
	RebuildFromSnapshot Rebuild = "snapshot"
	RebuildFromLog      Rebuild = "log"
)

// openIndex opens Badger. If there is none, or a damaged one, it comes from the
// newest snapshot that this log can go on from, or else begins empty: the log
// gives it the rest.
func (n *Node) openIndex(ctx context.Context) (*kvindex.Index, error) {
	o := kvindex.Options{
		Dir: filepath.Join(n.opts.Data, "kvindex"), MinFreeBytes: n.opts.MinFreeBytes, Catalog: catalog{n.Registry},
		DirtyBytes: dirtyBytes(n.opts.FlushBytes), Logger: n.opts.Logger, Now: n.opts.Now,
	}
	if err := snapshot.Discard(o.Dir); err != nil {
		return nil, fmt.Errorf("remove what a restore left: %w", err)
	}
	there, err := kvindex.Exists(o.Dir)
	if err != nil {
		return nil, err
	}
	if there && n.opts.RebuildIndex == "" {
		index, err := n.openExisting(o)
		if index != nil || err != nil {
			return index, err
		}
	}
	// What is there is damaged, unwanted, or no index yet.
	if err := os.RemoveAll(o.Dir); err != nil {
		return nil, fmt.Errorf("remove index: %w", err)
	}
	if err := n.restoreIndex(ctx, o); err != nil {
		return nil, err
	}
	return kvindex.Open(o)
}

// dirtyBytes is below what makes the flusher write a table by itself, with room for
// a later start to ask for less, and above what most collections ever hold: those
// have no mark in the index, and cost a start nothing.
func dirtyBytes(flushBytes int64) int64 {
	const least = 64 << 10
	if flushBytes > 0 {
		return min(flushBytes, least)
	}
	return least
}

// openExisting opens the index that is there; nil without an error if it is damaged.
func (n *Node) openExisting(o kvindex.Options) (*kvindex.Index, error) {
	index, err := kvindex.Open(o)
	if errors.Is(err, schema.ErrCorrupt) {
		n.opts.Logger.Warn("index is damaged and is built anew", "error", err)
		return nil, nil
	}
	return index, err
}

// restoreIndex makes the index of a snapshot, if there is one. It fails only if
// building it from the log would fail too.
func (n *Node) restoreIndex(ctx context.Context, o kvindex.Options) error {
	if n.snapshots == nil || n.opts.RebuildIndex == RebuildFromLog {
		return nil
	}
	n.snapshots.tried = true
	info, err := n.snapshots.snaps.Restore(ctx, o, func(i snapshot.Info) error { return n.usable(ctx, i) })
	switch {
	case err == nil:
		n.snapshots.noteLast(info.Position)
		n.opts.Logger.Info("index restored from a snapshot", "snapshot", info.Number, "position", info.Position.String(), "bytes", info.Bytes)
		return nil
	case errors.Is(err, schema.ErrNotFound):
		n.opts.Logger.Info("no snapshot of the index; it is built from the log")
		return nil
	case ctx.Err() != nil || errors.Is(err, schema.ErrNoSpace):
		return fmt.Errorf("restore index: %w", err)
	default:
		n.opts.Logger.Error("index cannot be restored, and is built from the log", "error", err)
		return nil
	}
}

// usable refuses a snapshot that is ahead of the log, or older than the oldest
// chunk: there the log keeps what the newest one lacks. The head is read after the
// snapshot: an epoch is in the head before anything is done in it.
func (n *Node) usable(ctx context.Context, i snapshot.Info) error {
	extent, err := n.stores.extent(ctx)
	if err != nil {
		return err
	}
	return extent.Holds(ctx, n.stores.chunkStores(), channelID, i.Position, i.Epoch)
}
