package sync

import (
	"context"

	"github.com/trinedb/trine/schema"
)

// heldTables are tables of collections without a key that nobody commits to, or
// withdraws, while their logs are trimmed: what a trim lets go of is in the table that
// was seen to have it.
type heldTables struct {
	e    *Engine
	done []func()
}

func (h *heldTables) release() {
	for _, done := range h.done {
		done()
	}
}

// hold reports whether a trim may be made while the table is held. wait: for a commit
// under way, else that is a reason not to.
func (h *heldTables) hold(ctx context.Context, t trim, wait bool) (bool, error) {
	if t.c.Schema.Keyed() || t.c.Options.Lake == schema.LakeOff || t.before == 0 {
		return true, nil
	}
	inst := t.c.Instance
	lock := h.e.tables.acquire(inst)
	if !wait && !lock.commit.TryAcquire(1) {
		h.e.tables.release(inst)
		return false, nil
	}
	if wait {
		if _, err := lock.lockCommit(ctx); err != nil {
			h.e.tables.release(inst)
			return false, err
		}
	}
	h.done = append(h.done, func() {
		lock.commit.Release(1)
		h.e.tables.release(inst)
	})
	snap, err := h.e.currentSnapshot(ctx, t.c)
	return snap != nil && snap.NextSeq() >= t.before, err
}

// setTrims makes those of some trims that the tables allow, and tells how many. The
// others come up again.
func (e *Engine) setTrims(ctx context.Context, trims []trim) (int, error) {
	h := heldTables{e: e}
	defer h.release()
	var allowed []trim
	for _, t := range trims {
		ok, err := h.hold(ctx, t, false)
		if err != nil {
			return 0, err
		}
		if ok {
			allowed = append(allowed, t)
		}
	}
	if len(allowed) == 0 {
		return 0, nil
	}
	_, err := e.appendTrims(ctx, allowed)
	return len(allowed), err
}
