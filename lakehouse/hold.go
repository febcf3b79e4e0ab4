package lakehouse

import (
	"context"
	"fmt"
	"slices"

	"github.com/trinedb/trine/schema"
)

// raise raises the floor to the first version to keep. Versions below whose
// snapshots are still named, by tags, are held.
func (k *cleaner) raise(ctx context.Context, past []pastMeta, keep int) (err error) {
	if k.floor, err = k.lake.readFloor(ctx, k.path); err != nil {
		return err
	}
	if keep == 0 || past[keep].version <= k.floor.version {
		return nil
	}
	next := floor{version: past[keep].version, held: slices.Clone(k.floor.held)}
	named := past[len(past)-1].named
	for i := range keep {
		// Of several versions with one snapshot the last one stands for it.
		p := &past[i]
		if named[p.snapshot] && past[i+1].snapshot != p.snapshot && !k.holds(p.version) {
			next.held = append(next.held, held{version: p.version, snapshot: p.snapshot, sequence: p.sequence})
		}
	}
	slices.SortFunc(next.held, func(a, b held) int { return a.version - b.version })
	k.floor, err = k.lake.setFloor(ctx, k.path, k.floor, next)
	return err
}

// holds reports whether a version is held.
func (k *cleaner) holds(version int) bool {
	return slices.ContainsFunc(k.floor.held, func(h held) bool { return h.version == version })
}

// heldBelow is the sequence number of the last snapshot that is held before a
// version, 0 if there is none.
func (k *cleaner) heldBelow(version int) (sequence int64) {
	for _, h := range k.floor.held {
		if h.version < version {
			sequence = h.sequence
		}
	}
	return sequence
}

// letGo removes held versions whose snapshots are no longer named; first is the
// first version to keep. A version that was let go is struck off when its files
// are gone, so that one which was cut short is repeated.
func (k *cleaner) letGo(ctx context.Context, first *pastMeta, named map[int64]bool) error {
	for i := len(k.floor.held) - 1; i >= 0; i-- {
		h := k.floor.held[i]
		if named[h.snapshot] || h.version >= first.version {
			continue
		}
		if k.lake.pins.pinned(k.path, h.snapshot) {
			k.done.Next = k.lake.opts.Now().Add(pinnedRetry)
			continue
		}
		next, err := k.afterHeld(ctx, i, first)
		if err != nil {
			return err
		}
		if err := k.removeHeld(ctx, h, next); err != nil {
			return err
		}
		rest := floor{version: k.floor.version, held: slices.Delete(slices.Clone(k.floor.held), i, i+1)}
		if k.floor, err = k.lake.setFloor(ctx, k.path, k.floor, rest); err != nil {
			return err
		}
		k.done.Versions++
	}
	return nil
}

// afterHeld is the version behind a held one that is still there.
func (k *cleaner) afterHeld(ctx context.Context, i int, first *pastMeta) (*pastMeta, error) {
	if i+1 == len(k.floor.held) {
		return first, nil
	}
	version := k.floor.held[i+1].version
	p, ok, err := k.lake.readVersion(ctx, k.path, version)
	if err == nil && !ok {
		err = fmt.Errorf("held version %d is missing: %w", version, schema.ErrCorrupt)
	}
	return &p, err
}

func (k *cleaner) removeHeld(ctx context.Context, h held, next *pastMeta) error {
	if err := k.pace(ctx, 1); err != nil {
		return err
	}
	p, ok, err := k.lake.readVersion(ctx, k.path, h.version)
	if err != nil || !ok { // without its file, all else of it has been removed
		return err
	}
	return k.remove(ctx, &p, next)
}
