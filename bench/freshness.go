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

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/blob/count"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/schema/definition"
)

// FreshnessOptions say what is written and asked. The zero value of a member is its
// default.
type FreshnessOptions struct {
	Options
	Collections int // that are written to, all alike; default 100,000
	Rate        int // writes a second; default 500
	Queries     int // a second; default 20
}

// DefaultFreshnessDuration is how long is measured when Duration is not set: some
// thousand queries, so that the 99th of 100 means something.
const DefaultFreshnessDuration = time.Minute

// WithDefaults is o with defaults in place of zero values.
func (o FreshnessOptions) WithDefaults() FreshnessOptions {
	o.Duration = cmp.Or(o.Duration, DefaultFreshnessDuration)
	o.Options = o.Options.WithDefaults()
	o.Collections = cmp.Or(o.Collections, 100_000)
	o.Rate = cmp.Or(o.Rate, 500)
	o.Queries = cmp.Or(o.Queries, 20)
	return o
}

// Validate checks o, defaults filled in.
func (o FreshnessOptions) Validate() error {
	return check(
		limit{"collections", int64(o.Collections), 1, 10_000_000},
		limit{"rate", int64(o.Rate), 1, 1_000_000},
		limit{"queries", int64(o.Queries), 1, 10_000},
	)
}

// Freshness writes to many collections and measures, of some of them, how long after
// an ack a new query of an engine sees the row, and what the tables cost in requests.
func Freshness(ctx context.Context, o FreshnessOptions) (_ *Report, err error) {
	o = o.WithDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p, err := newPlace(o.Options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.remove()) }()
	b := &freshnessBench{o: o, stores: storeCatcher{Registerer: prometheus.NewRegistry(), stores: map[string]*count.Store{}}}
	n, err := node.Open(ctx, node.Options{Data: p.path("data"), MinFreeBytes: -1, Registerer: b.stores})
	if err != nil {
		return nil, err
	}
	b.rig = &rig{dir: p.path("data"), node: n, backend: n.Backend()}
	defer func() { err = errors.Join(err, b.rig.close()) }()
	if err := b.rig.serve(); err != nil {
		return nil, err
	}
	r, err := b.run(ctx)
	if err != nil {
		return nil, err
	}
	p.caveat(r)
	return r, nil
}

type freshnessBench struct {
	o      FreshnessOptions
	rig    *rig
	stores storeCatcher

	visible, again *latencies
	writes         atomic.Int64
	queries        atomic.Int64 // of a row that was just acknowledged
	tries          atomic.Int64 // that these took, which is as many if the first sees it
	asked          stdsync.Map  // collections that have a table by now
}

// storeCatcher keeps the counting stores that a node registers.
type storeCatcher struct {
	prometheus.Registerer
	stores map[string]*count.Store
}

func (s storeCatcher) Register(c prometheus.Collector) error {
	if store, ok := c.(*count.Store); ok {
		s.stores[store.Name()] = store
	}
	return s.Registerer.Register(c)
}

func (s storeCatcher) usage() map[string]count.Usage {
	all := map[string]count.Usage{}
	for name, store := range s.stores {
		all[name] = store.Usage()
	}
	return all
}

func (b *freshnessBench) run(ctx context.Context) (*Report, error) {
	if err := b.create(ctx); err != nil {
		return nil, err
	}
	b.visible, b.again = newLatencies(freshnessReaders), newLatencies(freshnessReaders)
	before, start := b.stores.usage(), time.Now()
	timed, stop := context.WithTimeout(ctx, b.o.Duration)
	defer stop()
	g, timed := errgroup.WithContext(timed)
	g.Go(func() error { return b.write(timed) })
	for i := range freshnessReaders {
		g.Go(func() error { return b.sample(timed, i) })
	}
	g.Go(func() error { return b.tell(timed, start) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if b.queries.Load() == 0 {
		return nil, errNothing
	}
	r := b.report(before, time.Since(start))
	r.Interrupted = ctx.Err() != nil
	return r, nil
}

// tell is the progress, until ctx ends.
func (b *freshnessBench) tell(ctx context.Context, start time.Time) error {
	for wait(ctx, time.Second) == nil {
		b.o.Progress("write and query", int64(time.Since(start)), int64(b.o.Duration))
	}
	return nil
}

// freshnessWriters is how many write at the same time: an ack takes some
// milliseconds.
const freshnessWriters = 64

// create makes the collections and gives each a record.
func (b *freshnessBench) create(ctx context.Context) error {
	def, err := definition.ParseOne([]byte(tinyFields))
	if err != nil {
		return err
	}
	var made atomic.Int64
	g, making := errgroup.WithContext(ctx)
	g.SetLimit(freshnessWriters)
	for i := range b.o.Collections {
		if making.Err() != nil {
			break
		}
		if i%1000 == 0 {
			b.o.Progress("create and write", made.Load(), int64(b.o.Collections))
		}
		g.Go(func() error {
			def := def
			def.Tenant, def.Collection = tenant, collectionName(i)
			if _, err := b.rig.apply(making, def); err != nil {
				return err
			}
			made.Add(1)
			return b.writeOne(making, i, tinyRecord)
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("make collections: %w", err)
	}
	return ctx.Err()
}

// write writes single records to collections at random, at the rate that was asked
// for or what the machine can.
func (b *freshnessBench) write(ctx context.Context) error {
	start := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for w := range freshnessWriters {
		r := mathrand.New(mathrand.NewPCG(b.o.Seed, uint64(w)))
		g.Go(func() error {
			for n := w; ; n += freshnessWriters {
				due := start.Add(time.Duration(n) * time.Second / time.Duration(b.o.Rate))
				if wait(ctx, time.Until(due)) != nil {
					return nil
				}
				record := strings.Replace(tinyRecord, "only", fmt.Sprintf("w%d", r.IntN(100)), 1)
				if err := b.writeOne(context.WithoutCancel(ctx), r.IntN(b.o.Collections), record); err != nil {
					return err
				}
				b.writes.Add(1)
			}
		})
	}
	return g.Wait()
}

func (b *freshnessBench) writeOne(ctx context.Context, i int, record string) error {
	_, err := b.rig.node.Writer.Write(ctx, ingest.Request{
		Tenant: tenant, Collection: collectionName(i), Format: "application/json",
		Body: strings.NewReader(record), Size: int64(len(record)),
	})
	if err != nil {
		return fmt.Errorf("write to %s: %w", collectionName(i), err)
	}
	return nil
}
