package bench

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// disk is what the parts of the data directory occupy.
func (b *fleetBench) disk(p *FleetPoint) (err error) {
	if p.LogBytes, p.IndexBytes, err = b.logAndIndex(); err != nil {
		return err
	}
	p.LakeBytes, err = diskBytes(filepath.Join(b.dir, "lake"))
	return err
}

// look serves the data directory from a process of its own, twice: after a
// clean end, and after a kill.
func (b *fleetBench) look(ctx context.Context, p *FleetPoint) (err error) {
	s, err := startServed(ctx, b.o.Program, b.dir)
	if err != nil {
		return err
	}
	defer func() { s.kill() }()
	p.StartMS = micros(s.ready) / 1e3
	settled, err := s.settle(ctx, maxSettle)
	if err != nil {
		return err
	}
	p.SettledMS = micros(settled) / 1e3
	if err := s.rest(ctx, b.o.Idle, p); err != nil {
		return err
	}
	if err := b.disk(p); err != nil {
		return err
	}
	if err := b.ask(ctx, s, p); err != nil {
		return err
	}
	if err := b.writeAndKill(ctx, s); err != nil {
		return err
	}
	again, err := startServed(ctx, b.o.Program, b.dir)
	if err != nil {
		return err
	}
	s = again
	p.KilledMS = micros(s.ready) / 1e3
	if err := s.stop(); err != nil {
		return err
	}
	return b.age(ctx, p)
}

// aDayLater has a server do within seconds what it would do in a day.
var aDayLater = []string{"TRINE_SEGMENT_AGE=1s", "TRINE_SEGMENT_GRACE=1s", "TRINE_ANSWERS_KEPT=1s"}

// age looks at what is left when all of the log is in segments.
func (b *fleetBench) age(ctx context.Context, p *FleetPoint) error {
	b.o.Progress(fmt.Sprintf("a day later, with %d", b.made), 0, 1)
	s, err := startServed(ctx, b.o.Program, b.dir, aDayLater...)
	if err != nil {
		return err
	}
	defer func() { s.kill() }()
	if _, err := s.settle(ctx, maxAging); err != nil {
		return err
	}
	if p.AgedLogBytes, p.AgedIndexBytes, err = b.logAndIndex(); err != nil {
		return err
	}
	if err := s.stop(); err != nil {
		return err
	}
	// What it did is in its memory still: another has nothing to do.
	again, err := startServed(ctx, b.o.Program, b.dir)
	if err != nil {
		return err
	}
	s = again
	p.AgedStartMS = micros(s.ready) / 1e3
	settled, err := s.settle(ctx, maxSettle)
	if err != nil {
		return err
	}
	p.AgedSettledMS = micros(settled) / 1e3
	if _, p.AgedAnonymous, err = residentBytes(s.cmd.Process.Pid); err != nil {
		return err
	}
	return s.stop()
}

// maxAging is how long the deletion of the chunks of a million collections may take.
const maxAging = 10 * time.Minute

func (b *fleetBench) logAndIndex() (log, index int64, err error) {
	if log, err = diskBytes(filepath.Join(b.dir, "log")); err != nil {
		return 0, 0, err
	}
	index, err = diskBytes(filepath.Join(b.dir, "kvindex"))
	return log, index, err
}

// fleetAsks is how many requests of a kind are timed.
const fleetAsks = 500

// ask times requests for collections at random, one after the other.
func (b *fleetBench) ask(ctx context.Context, s *served, p *FleetPoint) error {
	random := mathrand.New(mathrand.NewPCG(b.o.Seed, uint64(b.made)))
	for _, kind := range []struct {
		into *Latency
		path func(tenant, collection string) string
		want string
	}{
		{&p.Describe, func(t, c string) string { return "/v1/tenants/" + t + "/collections/" + c }, `"next_seq"`},
		{&p.Get, func(t, c string) string { return "/v1/tenants/" + t + "/collections/" + c + "/records/r0" }, `"r0"`},
		{&p.List, func(t, c string) string { return "/v1/tenants/" + t + "/collections?limit=100&after=" + c }, `"collections"`},
	} {
		var times []time.Duration
		for range fleetAsks {
			start := time.Now()
			body, err := s.get(ctx, kind.path(b.name(random.IntN(b.made))))
			if err != nil {
				return err
			}
			times = append(times, time.Since(start))
			if !strings.Contains(string(body), kind.want) {
				return fmt.Errorf("the answer has no %s: %.300s", kind.want, body)
			}
		}
		*kind.into = latencyOf(times)
	}
	return nil
}

// writeAndKill writes to collections at random, and kills the server.
func (b *fleetBench) writeAndKill(ctx context.Context, s *served) error {
	random := mathrand.New(mathrand.NewPCG(b.o.Seed, uint64(b.made)+1))
	g, failed := errgroup.WithContext(ctx)
	g.SetLimit(fleetWriters)
	for range fleetAsks {
		tenant, collection := b.name(random.IntN(b.made))
		g.Go(func() error {
			return s.post(failed, "/v1/tenants/"+tenant+"/collections/"+collection+"/records", tinyRecord)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	s.kill()
	return nil
}

// fleetWriters is how many write at a time before a kill.
const fleetWriters = 64
