package sync

import (
	"context"
	"time"
)

// flushPatience is how many times as long as it worked a pacer rests while
// flushes are under way: they get the processor, and still the files of a table
// that is always flushed are merged.
const flushPatience = 3

// pacer keeps one piece of background work out of the way of flushes.
type pacer struct {
	engine *Engine
	since  time.Time // the last rest
}

func (e *Engine) newPacer() *pacer { return &pacer{engine: e, since: time.Now()} }

// pace is called now and then by the work.
func (p *pacer) pace(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.engine.flushing.Load() > 0 {
		sleep(ctx, flushPatience*time.Since(p.since))
	}
	p.since = time.Now()
	return ctx.Err()
}
