package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	stdsync "sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// FollowOptions say who follows what. The zero value of a member is its default.
type FollowOptions struct {
	Options
	Followers int  // each of a collection of its own; default 100
	Rate      int  // writes a second, in all; default 500
	Stalled   bool // one more follower, of a busy collection, never reads
}

// WithDefaults is o with defaults in place of zero values.
func (o FollowOptions) WithDefaults() FollowOptions {
	o.Options = o.Options.WithDefaults()
	o.Followers = cmp.Or(o.Followers, 100)
	o.Rate = cmp.Or(o.Rate, 500)
	return o
}

// Validate checks o, defaults filled in.
func (o FollowOptions) Validate() error {
	return check(limit{"followers", int64(o.Followers), 1, maxClients}, limit{"rate", int64(o.Rate), 1, 1_000_000})
}

// Follow measures how much later than its writer's ack a change is with those
// who follow its collection.
func Follow(ctx context.Context, o FollowOptions) (_ *Report, err error) {
	o = o.WithDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p, err := newPlace(o.Options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.remove()) }()
	b := &followBench{o: o}
	if b.rig, err = openRig(ctx, p.path("data")); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.rig.close()) }()
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	r, err := b.run(ctx)
	if err != nil {
		return nil, err
	}
	p.caveat(r)
	return r, nil
}

type followBench struct {
	o       FollowOptions
	rig     *rig
	all     []*followed
	stalled *schema.Collection // that nobody reads who follows it

	acks, late *latencies // of the mode that is measured
	delivered  atomic.Int64
}

// followed is a collection, and what its writer and its follower have not told
// each other yet.
type followed struct {
	c  *schema.Collection
	mu stdsync.Mutex
	at map[schema.Seq]moment
}

// moment is when a change was acknowledged or delivered, whichever came first.
type moment struct {
	at        time.Time
	delivered bool
}

// meet is told of one of the two, and gives by how much the delivery came after
// the ack once it knows both: 0 when it came before.
func (f *followed) meet(seq schema.Seq, delivered bool) (late time.Duration, both bool) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	first, ok := f.at[seq]
	if !ok {
		f.at[seq] = moment{now, delivered}
		return 0, false
	}
	delete(f.at, seq)
	if first.delivered {
		return 0, true
	}
	return now.Sub(first.at), true
}

// prepare makes the collections.
func (b *followBench) prepare(ctx context.Context) error {
	b.o.Progress("create collections", 0, 1)
	def, err := definition.ParseOne([]byte(tinyFields))
	if err != nil {
		return err
	}
	b.all = make([]*followed, b.o.Followers)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for i := range b.o.Followers {
		g.Go(func() error {
			def := def
			def.Tenant, def.Collection = tenant, collectionName(i)
			c, err := b.rig.apply(ctx, def)
			b.all[i] = &followed{c: c, at: map[schema.Seq]moment{}}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	def.Tenant, def.Collection = tenant, "stalled"
	if b.stalled, err = b.rig.apply(context.WithoutCancel(ctx), def); err != nil {
		return err
	}
	return b.rig.serve()
}

// mode is a way to follow. It calls deliver for each change, until ctx ends, and
// ready once when it is connected.
type mode struct {
	name   string
	follow func(ctx context.Context, c *schema.Collection, from schema.Seq, ready func(), deliver func(schema.Seq)) error
}

func (b *followBench) run(ctx context.Context) (*Report, error) {
	r := newReport("follow", b.o.Options)
	r.Settings.add("followers", float64(b.o.Followers))
	r.Settings.add("writes_per_second", float64(b.o.Rate))
	if b.o.Stalled {
		conn, err := b.stall(ctx)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
	}
	modes := []mode{{"in process", b.followEngine}, {"NDJSON", b.followHTTP("application/x-ndjson")}, {"SSE", b.followHTTP("text/event-stream")}}
	for i, m := range modes {
		b.o.Progress("follow "+m.name, int64(i), int64(len(modes)))
		took, err := b.measure(ctx, m, b.o.Duration/time.Duration(len(modes)))
		if err != nil {
			return nil, err
		}
		r.Seconds += took.Seconds()
		const floor = "the write's own time, to its ack"
		r.Figures = append(r.Figures, quantiles(m.name+" after ack", floor, b.late, b.acks)...)
		r.Counts.add("delivered "+m.name, float64(b.delivered.Load()))
	}
	f := rest()
	r.Counts.add("heap_bytes", float64(f.heap))
	r.Interrupted = ctx.Err() != nil
	return r, nil
}

// measure lets all follow while writes go on for a time.
func (b *followBench) measure(ctx context.Context, m mode, budget time.Duration) (time.Duration, error) {
	b.acks, b.late = newLatencies(followWriters), newLatencies(b.o.Followers)
	b.delivered.Store(0)
	following, stop := context.WithCancel(ctx)
	defer stop()
	g, following := errgroup.WithContext(following)
	var connected stdsync.WaitGroup
	for i, f := range b.all {
		from, err := b.rig.node.Engine.NextSeq(ctx, f.c)
		if err != nil {
			return 0, err
		}
		clear(f.at)
		connected.Add(1)
		ready := stdsync.OnceFunc(connected.Done)
		g.Go(func() error {
			defer ready()
			err := m.follow(following, f.c, from, ready, func(seq schema.Seq) {
				b.delivered.Add(1)
				if late, both := f.meet(seq, true); both {
					b.late.add(i, late)
				}
			})
			if following.Err() != nil {
				return nil
			}
			return err
		})
	}
	connected.Wait()
	start := time.Now()
	written, err := b.write(following, budget)
	took := time.Since(start)
	for deadline := time.Now().Add(10 * time.Second); err == nil && b.delivered.Load() < written; {
		if time.Now().After(deadline) {
			err = fmt.Errorf("follow %s: %d of %d changes were delivered", m.name, b.delivered.Load(), written)
		}
		time.Sleep(time.Millisecond)
	}
	stop()
	return took, errors.Join(err, g.Wait())
}

// followWriters is how many write at the same time.
const followWriters = 8

// write writes single records to collections at random, at the rate that was
// asked for, and tells how many.
func (b *followBench) write(ctx context.Context, budget time.Duration) (int64, error) {
	var n atomic.Int64
	start := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for w := range followWriters {
		r := mathrand.New(mathrand.NewPCG(b.o.Seed, uint64(w)))
		g.Go(func() error {
			for ctx.Err() == nil {
				due := start.Add(time.Duration(n.Load()) * time.Second / time.Duration(b.o.Rate))
				time.Sleep(time.Until(due))
				if time.Since(start) >= budget {
					return nil
				}
				n.Add(1)
				f := b.all[r.IntN(len(b.all))]
				begin := time.Now()
				res, err := b.rig.node.Writer.Write(context.WithoutCancel(ctx), ingest.Request{
					Tenant: tenant, Collection: f.c.Name, Format: "application/json",
					Body: strings.NewReader(tinyRecord), Size: int64(len(tinyRecord)),
				})
				if err != nil {
					return fmt.Errorf("write: %w", err)
				}
				b.acks.add(w, time.Since(begin))
				if late, both := f.meet(res.FirstSeq, false); both {
					b.late.add(w, late)
				}
			}
			return nil
		})
	}
	if b.o.Stalled {
		g.Go(func() error { return b.flood(ctx, start.Add(budget)) })
	}
	err := g.Wait()
	return n.Load(), err
}
