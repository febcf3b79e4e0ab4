package log_test

import (
	"context"
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
			if r := recover(); r != nil && r != errJudged {
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
