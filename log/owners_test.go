package log_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing/synctest"

	"github.com/trinedb/trine/internal/blob/crashfs"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// owner is a process that has, had or tries to get the channel.
type owner struct {
	actor
	x      *fakeIndex
	c      *log.Channel // nil until it is open; guarded by world.mu
	closed bool
}

// open lets one more process take the channel over.
func (w *world) open() {
	w.opened++
	p := &owner{actor: actor{id: w.opened}, x: w.saved.get()}
	w.owners = append(w.owners, p)
	var store log.ChunkStore = stepStore{w.s, &p.actor}
	if w.o.broken != nil {
		store = w.o.broken(stepStore{w.s, &p.actor})
	}
	o := simOptions(p.x, store, w.r)
	o.Stager = w.seen.stager(p.x)
	if o.CatchUp != nil {
		o.CatchUp = w.seen.catchUp(p.x)
	}
	if w.o.rare {
		o.HintEvery = 1000
	}
	o.WriterID = fmt.Sprint(p.id)
	o.Rand = randomBytes{rand.New(rand.NewPCG(w.r.Uint64(), 8))}
	w.note("%d opens, W %d, index at %v", p.id, o.InFlight, p.x.applied)
	w.mu.Lock()
	w.opening++
	w.mu.Unlock()
	w.do(func() {
		c, err := log.Open(context.Background(), o)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.opening--
		if err != nil {
			w.mustBeSound(err)
			return
		}
		p.c = c
	})
}

// mustBeSound complains of damage that nobody did.
func (w *world) mustBeSound(err error) {
	if w.o.broken != nil {
		return
	}
	if errors.Is(err, schema.ErrCorrupt) || errors.Is(err, schema.ErrInvalid) {
		w.t.Errorf("on a sound store: %v", err)
	}
}

// channels are the open ones whose process lives; most clients have heard of
// those that know that they were replaced.
func (w *world) channels() (open []*owner) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.owners {
		if p.c != nil && !p.dead && !p.closed && (!p.c.Fenced() || w.r.IntN(20) == 0) {
			open = append(open, p)
		}
	}
	return open
}

func (w *world) some() *owner {
	open := w.channels()
	if len(open) == 0 {
		return nil
	}
	if w.r.IntN(3) > 0 {
		return open[len(open)-1]
	}
	return open[w.r.IntN(len(open))]
}

// apply lets an index go on.
func (w *world) apply() {
	p := w.some()
	if p == nil {
		return
	}
	pos := p.x.apply(1 + w.r.IntN(3))
	p.c.Applied(pos)
	w.saved.offer(p.x)
	w.note("%d applied %v", p.id, pos)
}

// stall lets a process stand still for a while, or past two take-overs; rather one
// that is about to take over.
func (w *world) stall() {
	p := w.owners[w.r.IntN(len(w.owners))]
	if last := w.owners[len(w.owners)-1]; w.r.IntN(2) == 0 {
		p = last
	}
	p.resumes = w.now + 1<<w.r.IntN(9)
	w.note("%d stands still until %d", p.id, p.resumes)
}

// kill ends a process without its having a say. On the disk the power goes.
func (w *world) kill() {
	if w.o.disk {
		w.powerOff()
		return
	}
	if p := w.some(); p != nil {
		w.end(p)
		w.note("%d is killed", p.id)
	}
}

func (w *world) end(p *owner) {
	w.s.kill(&p.actor)
	if p.c == nil {
		return
	}
	p.closed = true
	w.do(func() { finish(p.c, 0) })
}

// powerOff cuts the power in the middle of a step of the file system.
func (w *world) powerOff() {
	w.note("power off")
	left := 1 + w.r.IntN(8)
	w.fs.SetHook(func(crashfs.Op, string) (before, after error) {
		if left--; left == 0 {
			w.fs.PowerOffLocked()
		}
		return nil, nil
	})
	for _, x := range w.s.eligible(1 << 30) {
		w.s.grant(x)
	}
	w.fs.PowerOff()
	for _, p := range w.channels() {
		w.end(p)
	}
	for _, p := range w.owners {
		w.s.kill(&p.actor)
	}
	synctest.Wait()
	w.s.late = nil // nothing outlives the machine
	w.fs = w.fs.Crash(w.r)
	w.openDisk()
	if w.opened < w.o.owners {
		w.open()
	}
}

// collect raises the floor, as its own process.
func (w *world) collect() {
	w.note("floor to %v", w.saved.get().applied)
	a := &actor{id: 100 + w.now}
	w.do(func() {
		if err := collect(context.Background(), stepStore{w.s, a}, w.saved.get()); err != nil {
			w.mustBeSound(err)
		}
	})
}
