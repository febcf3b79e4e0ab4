package log_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/crashfs"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// setting is what a world is like.
type setting struct {
	steps  int                              // choices of the scheduler
	owners int                              // that open the channel, one after the other or at the same time
	harm   int                              // how many of 100 writes go wrong
	disk   bool                             // a disk whose power is cut, in place of a store across a network
	floor  int                              // how many of 100 choices are of the index and a collector, which raises the floor and deletes
	rare   bool                             // the head seldom tells of chunks, so that owners notice late that they were replaced
	reads  bool                             // clients read and check the tail
	broken func(s stepStore) log.ChunkStore // nil: it is not
}

// world runs the log's own code under a scheduler: everything waits in a call to
// the store, for a client's answer or for a timer, and the scheduler picks what
// goes on. It runs in a synctest bubble, on whose clock time passes when the
// scheduler says so.
type world struct {
	t     testing.TB
	r     *rand.Rand
	o     setting
	s     *steps
	h     *history
	saved *saved
	seen  witness
	ops   recorder
	last  streams // what the log holds in the end

	fs      *crashfs.FS
	now     int // steps so far
	dark    int // the step before which the store is away
	opened  int // owners that began to open
	owners  []*owner
	clients []*clientState
	trace   []string
	running sync.WaitGroup

	mu      sync.Mutex // of what the world's goroutines change
	active  int        // of them
	opening int
}

// owner is a process that has, had or tries to get the channel.
type owner struct {
	actor
	x      *fakeIndex
	c      *log.Channel // nil until it is open; guarded by world.mu
	closed bool
}

// judge collects what is wrong instead of failing its test at once, so that a
// test can demand that something is found.
type judge struct {
	testing.TB
	mu    sync.Mutex
	found []string
}

func (j *judge) Errorf(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.found = append(j.found, fmt.Sprintf(format, args...))
}

func (j *judge) Error(args ...any) { j.Errorf("%s", fmt.Sprint(args...)) }

func (j *judge) Failed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.found) > 0
}

func (j *judge) Helper() {}

// Fatalf is Errorf and ends the goroutine, as it does in a test.
func (j *judge) Fatalf(format string, args ...any) {
	j.Errorf(format, args...)
	panic(errJudged)
}

func (j *judge) Fatal(args ...any) { j.Fatalf("%s", fmt.Sprint(args...)) }

var errJudged = errors.New("judged")

// randomBytes makes a log.Options.Rand of a seed.
type randomBytes struct{ r *rand.Rand }

func (b randomBytes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b.r.Uint32())
	}
	return len(p), nil
}

func newWorld(t testing.TB, seed uint64, o setting) *world {
	w := &world{
		t: t, r: rand.New(rand.NewPCG(seed, 7)), o: o, h: &history{}, saved: &saved{x: newFakeIndex(t)},
		s: &steps{backing: blob.NewMem()}, seen: witness{t: t, chunks: map[uint64]string{}},
	}
	if o.disk {
		w.fs = crashfs.New()
		w.openDisk()
	}
	for i := range 3 {
		w.clients = append(w.clients, &clientState{id: i})
	}
	return w
}

func (w *world) openDisk() {
	dir, err := blob.OpenDir("", blob.DirOptions{FS: w.fs})
	if err != nil {
		w.t.Fatalf("open disk: %v", err)
	}
	w.s.backing = dir
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%d %s", w.now, fmt.Sprintf(format, args...)))
}

// fingerprint is equal for runs that went the same way.
func (w *world) fingerprint() uint64 {
	h := fnv.New64()
	_, _ = io.WriteString(h, strings.Join(w.trace, "\n")) // never fails
	return h.Sum64()
}

// do runs fn as a goroutine that the world waits for at its end.
func (w *world) do(fn func()) {
	w.mu.Lock()
	w.active++
	w.mu.Unlock()
	w.running.Go(func() {
		defer func() {
			w.mu.Lock()
			w.active--
			w.mu.Unlock()
			if r := recover(); r != nil && r != errJudged { //nolint:errorlint // a panic's own value
				panic(r)
			}
		}()
		fn()
	})
}

// run lets the scheduler make its choices, then lets everything come to rest.
func (w *world) run() {
	w.open()
	for w.now = 1; w.now <= w.o.steps && !w.t.Failed(); w.now++ {
		synctest.Wait()
		w.choose()
	}
	w.settle()
}

// choose makes one choice.
func (w *world) choose() {
	free := w.s.eligible(w.now)
	if w.r.IntN(100) < w.o.floor {
		w.apply()
		w.collect()
		return
	}
	switch n := w.r.IntN(100); {
	case n < 60 && len(free) > 0:
		w.step(free[w.r.IntN(len(free))])
	case n < 80:
		w.client()
	case n < 84:
		if x := w.s.land(w.r); x != nil {
			w.note("lands late: %v", x)
		}
	case n < 88:
		d := []time.Duration{time.Millisecond, 60 * time.Millisecond, time.Second, 6 * time.Second}[w.r.IntN(4)]
		w.note("%v pass", d)
		time.Sleep(d)
	case n < 91:
		w.apply()
	case n < 93:
		w.stall()
	case n < 94:
		switch w.r.IntN(5) {
		case 0:
			w.kill()
		case 1:
			w.dark = w.now + 1<<w.r.IntN(7)
			w.note("the store is away until %d", w.dark)
		}
	default:
		w.replace()
	}
}

// replace opens the channel anew: at any time, and rather when nobody has it.
func (w *world) replace() {
	if w.opened < w.o.owners && (w.r.IntN(4) == 0 || len(w.channels()) == 0) {
		w.open()
	}
}

func (w *world) step(x *step) {
	if w.o.disk {
		w.note("%v", x)
		w.s.grant(x)
		return
	}
	f := fates(w.r, w.o.harm)
	if w.now < w.dark {
		f = []fate{lost, busy, comesLate}[w.r.IntN(3)]
	}
	w.note("%v %s", x, f)
	w.s.meet(x, f)
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

// settle ends all processes and lets what is late land.
func (w *world) settle() {
	w.note("the end")
	for w.close() {
		free := w.s.eligible(1 << 30)
		for _, x := range free {
			w.s.grant(x)
		}
		if len(free) == 0 {
			time.Sleep(time.Second)
		}
	}
	w.running.Wait()
	for w.s.land(w.r) != nil {
	}
}

// close closes what is open, and reports whether anything goes on.
func (w *world) close() bool {
	synctest.Wait()
	for _, p := range w.owners {
		if p.c != nil && !p.closed {
			p.closed = true
			w.do(func() { finish(p.c, time.Minute) })
		}
	}
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.active > 0
}

// verdict opens the channel on a sound store and checks everything.
func (w *world) verdict() {
	x := w.saved.get()
	o := x.options(w.s.backing)
	o.Stager = w.seen.stager(x)
	c, err := log.Open(context.Background(), o)
	if err != nil {
		w.t.Errorf("open at last: %v", err)
		return
	}
	defer finish(c, time.Minute)
	w.final(c)
	for _, b := range w.h.open() {
		b.ifSeq = nil // it may hold no more
		if err := w.h.send(context.Background(), w.t, c, b); err != nil {
			w.t.Errorf("send %s at last: %v", b.row, err)
		}
	}
	w.h.resend(w.t, c)
	c.Applied(x.apply(1 << 30))
	w.h.resend(w.t, c)
	w.h.verifyRows(w.t, x.rows)
	w.h.verifyOrder(w.t)
}
