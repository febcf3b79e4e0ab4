package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// A small collection has a table because an engine asked for it. When none has for
// Options.WithdrawAfter, the table is withdrawn, if it holds nothing that could not be
// made again (docs/format/lake.md): the collection costs then what it did before. Who
// asked when is in the index, so that there is nothing in memory by table, and one
// sweep finds them all.

// usedParts is in how many parts of WithdrawAfter a use is told apart from an earlier
// one, and how often in that time tables are looked for.
const usedParts = 8

// maxWithdrawals bounds one sweep.
const maxWithdrawals = 1000

// withdraws reports whether tables like c's are ever withdrawn.
func (e *Engine) withdraws(c *schema.Collection) bool {
	return e.opts.WithdrawAfter > 0 && !e.opts.NoUpkeep && c.Options.Lake == schema.LakeAuto
}

// Used tells that an engine asks for a collection's table. It is called before the
// table is loaded, and keeps it from being withdrawn for a while.
func (e *Engine) Used(ctx context.Context, c *schema.Collection) {
	if !e.withdraws(c) {
		return
	}
	now := e.opts.Now()
	at, ok, err := e.index.Used(ctx, c.Instance)
	if err == nil && (!ok || now.Sub(at) >= e.opts.WithdrawAfter/usedParts) {
		err = e.index.SetUsed(ctx, c.Instance, now)
	}
	if err != nil && ctx.Err() == nil {
		e.logger.Warn("use of a table is not recorded", "collection", c.String(), "error", err)
	}
}

// onDemand reports that a table was made because an engine asked, and is not worth one
// otherwise: it may yet be withdrawn.
func (e *Engine) onDemand(ctx context.Context, c *schema.Collection, stats kvindex.Stats) (bool, error) {
	if !e.withdraws(c) || stats.LogBytes >= e.opts.FlushBytes {
		return false, nil
	}
	_, ok, err := e.index.Used(ctx, c.Instance)
	return ok, err
}

// sweep withdraws the tables that nobody has asked for, and tells when to look again.
func (u *upkeeper) sweep(ctx context.Context) time.Time {
	e := u.engine
	every := e.opts.WithdrawAfter / usedParts
	var due []schema.Instance
	err := e.index.EachUsed(ctx, func(inst schema.Instance, at time.Time) (bool, error) {
		if e.opts.Now().Sub(at) >= e.opts.WithdrawAfter {
			due = append(due, inst)
		}
		return len(due) < maxWithdrawals, nil
	})
	for _, inst := range due {
		if err = errors.Join(err, u.withdraw(ctx, inst)); ctx.Err() != nil || errors.Is(err, schema.ErrUnavailable) || errors.Is(err, schema.ErrClosed) {
			break // it would be the same with all
		}
	}
	if err != nil && ctx.Err() == nil {
		e.metrics.upkeep.failures.Inc()
		e.logger.Warn("withdraw tables that are not used", "error", err)
	}
	if err == nil && len(due) == maxWithdrawals {
		return e.opts.Now() // there are more
	}
	return e.opts.Now().Add(every)
}

// withdraw settles one table that nobody has asked for.
func (u *upkeeper) withdraw(ctx context.Context, inst schema.Instance) error {
	if err := u.turn.Acquire(ctx, 1); err != nil {
		return err
	}
	defer u.turn.Release(1)
	if err := u.spend(ctx, 1); err != nil {
		return err
	}
	e := u.engine
	c, err := e.withdraw(ctx, inst)
	if errors.Is(err, schema.ErrConflict) || errors.Is(err, errInUse) {
		return nil // the next sweep sees
	}
	if err != nil {
		return fmt.Errorf("instance %d: %w", inst, err)
	}
	if err := e.index.ForgetUsed(ctx, inst); err != nil {
		return err
	}
	if c != nil {
		u.schedule(inst, c.String(), e.opts.Now())
	}
	return nil
}

// errInUse is withdraw's, of a table that an engine has asked for meanwhile.
var errInUse = errors.New("table is in use")

// withdraw withdraws a table if it may; then, and if it had been, it tells the
// collection, of whose table there is something to remove.
func (e *Engine) withdraw(ctx context.Context, inst schema.Instance) (*schema.Collection, error) {
	lock := e.tables.acquire(inst)
	defer e.tables.release(inst)
	unlock, err := lock.lockCommit(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	// Who asks from here on waits for the lock, and makes the table anew.
	if at, ok, err := e.index.Used(ctx, inst); err != nil || ok && e.opts.Now().Sub(at) < e.opts.WithdrawAfter {
		return nil, errors.Join(err, errInUse)
	}
	c, err := e.catalog.ByInstance(ctx, inst)
	if errors.Is(err, schema.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	base, err := e.baseInStep(ctx, c, lock)
	if err != nil {
		return nil, err
	}
	if base != nil {
		if why, err := e.stays(ctx, c, base); err != nil || why != "" {
			e.logger.Debug("table is not withdrawn", "collection", c.String(), "because", why)
			return nil, err
		}
	}
	// The mark first: by it upkeep finds what a crash leaves.
	if err := e.MarkTable(ctx, c); err != nil || base == nil {
		return c, err
	}
	return c, e.withdrawTable(ctx, c, lock, base)
}

func (e *Engine) withdrawTable(ctx context.Context, c *schema.Collection, lock *tableLock, base *lakehouse.Snapshot) error {
	release := func() {}
	defer func() { release() }()
	err := e.lake.Withdraw(ctx, c, base, func() {
		// When ctx ends here, nothing is published.
		if u, err := lock.pinAlone(ctx); err == nil {
			release = u
		}
	})
	if err != nil {
		return err
	}
	e.metrics.upkeep.withdrawn.Inc()
	if err := e.dropIfGone(ctx, c); err != nil {
		return err
	}
	// If that fails, whoever comes next finds the two apart, and reconciles them.
	err = e.index.RecordFlush(context.WithoutCancel(ctx), c.Instance, kvindex.Flush{Anew: true, Between: e.between(c.Instance), Upkeep: upkeepNote(c)})
	if err != nil {
		e.logger.Warn("index still has places of rows in a withdrawn table", "collection", c.String(), "error", err)
	}
	return nil
}

// stays tells why a table is not to be withdrawn, "" if it may be: it holds what is
// nowhere else, or would soon be made again by itself. Rows of a keyed collection are in
// the index, whether the log still has them or not, and in a copy of that before the
// log lets go of them; those of one without a key have to be in the log.
func (e *Engine) stays(ctx context.Context, c *schema.Collection, base *lakehouse.Snapshot) (string, error) {
	if !e.withdraws(c) {
		return "it is pinned", nil
	}
	if why := base.Unique(); why != "" {
		return "it alone has " + why, nil
	}
	stats, err := e.index.Stats(ctx, c.Instance)
	if err != nil {
		return "", err
	}
	if stats.LogBytes >= e.opts.FlushBytes || stats.Bytes >= e.opts.FlushBytes {
		return "it is large", nil
	}
	if c.Schema.Keyed() {
		return "", nil
	}
	first, err := e.firstSeq(ctx, c.Instance)
	if first > 0 {
		return fmt.Sprintf("the log begins at seq %d", first), err
	}
	return "", err
}

// removeWithdrawn removes what a withdrawn table has left, if its time has come, and
// tells when it will have; zero: nothing is left.
func (u *upkeeper) removeWithdrawn(ctx context.Context, c *schema.Collection) (time.Time, error) {
	e := u.engine
	cleaned, err := e.lake.RemoveWithdrawn(ctx, c, u.spend)
	e.metrics.upkeep.cleaned(cleaned)
	if errors.Is(err, schema.ErrConflict) { // another process removes as well
		return e.opts.Now().Add(e.opts.UpkeepEvery), nil
	}
	if err != nil || !cleaned.Next.IsZero() {
		return cleaned.Next, err
	}
	lock := e.tables.acquire(c.Instance)
	defer e.tables.release(c.Instance)
	unlock, err := lock.lockCommit(ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer unlock()
	// It also has the index forget the table, if a crash came between.
	base, err := e.baseInStep(ctx, c, lock)
	if err != nil || base != nil {
		return time.Time{}, err
	}
	return time.Time{}, e.lake.ForgetWithdrawn(ctx, c)
}
