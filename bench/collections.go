package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/schema/definition"
)

// CollectionsOptions say how many collections are made. The zero value of a
// member is its default.
type CollectionsOptions struct {
	Options
	Collections int // default 100,000
	Workers     int // that create and write at the same time; default 64
}

// DefaultCollectionsDuration bounds this workload, which has a number to come
// to, when Duration is not set.
const DefaultCollectionsDuration = 10 * time.Minute

// WithDefaults is o with defaults in place of zero values.
func (o CollectionsOptions) WithDefaults() CollectionsOptions {
	o.Duration = cmp.Or(o.Duration, DefaultCollectionsDuration)
	o.Options = o.Options.WithDefaults()
	o.Collections = cmp.Or(o.Collections, 100_000)
	o.Workers = cmp.Or(o.Workers, 64)
	return o
}

// Validate checks o, defaults filled in.
func (o CollectionsOptions) Validate() error {
	return check(
		limit{"collections", int64(o.Collections), 1, 10_000_000},
		limit{"workers", int64(o.Workers), 1, maxClients},
	)
}

// tinyFields are a collection with a record or two.
const tinyFields = `{fields: [{name: id, type: string, required: true}, {name: at, type: timestamptz}, {name: value, type: double}], key: [id]}`

// tinyRecord is what each collection gets.
const tinyRecord = `{"id":"only","at":"2026-11-20T08:00:00Z","value":21.5}`

// Collections measures what collections cost that hardly anything happens to:
// to make and write one, and to have it, on disk, in memory and at a restart.
func Collections(ctx context.Context, o CollectionsOptions) (_ *Report, err error) {
	o = o.WithDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p, err := newPlace(o.Options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.remove()) }()
	b := &collectionsBench{o: o, place: p}
	if b.floor, err = newFsyncLoop(p.path("floor")); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.floor.close()) }()
	if b.def, err = definition.ParseOne([]byte(tinyFields)); err != nil {
		return nil, err
	}
	r, err := b.run(ctx)
	if err != nil {
		return nil, err
	}
	p.caveat(r)
	return r, nil
}

type collectionsBench struct {
	o     CollectionsOptions
	place *place
	floor *fsyncLoop
	def   definition.Definition
	rig   *rig
	made  int // collections that were created and written
}

// collectionsRound is how many collections are made between turns of the floor.
const collectionsRound = 1000

// state is what a data directory with some collections costs.
type state struct {
	opened  time.Duration
	settled time.Duration // after that, what is done in the background
	rest    footprint
	log     int64 // bytes on disk
	index   int64 // the same
}

// reopen starts the node, looks at it when it is at rest, and leaves it open.
func (b *collectionsBench) reopen(ctx context.Context) (s state, err error) {
	start := time.Now()
	if b.rig, err = openRig(context.WithoutCancel(ctx), b.place.path("data")); err != nil {
		return s, err
	}
	s.opened = time.Since(start)
	s.settled = settle(ctx)
	s.rest = rest()
	if s.log, err = diskBytes(filepath.Join(b.rig.dir, "log")); err != nil {
		return s, err
	}
	s.index, err = diskBytes(filepath.Join(b.rig.dir, "kvindex"))
	return s, err
}

// run makes the collections between two looks at a node that was just opened:
// the differences are what they cost. A collection is there first in both, so
// that what exists once does not count.
func (b *collectionsBench) run(ctx context.Context) (_ *Report, err error) {
	if b.rig, err = openRig(ctx, b.place.path("data")); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.rig.close()) }()
	if err := b.makeOne(ctx, "first"); err != nil {
		return nil, err
	}
	if err := b.rig.close(); err != nil {
		return nil, err
	}
	empty, err := b.reopen(ctx)
	if err != nil {
		return nil, err
	}
	chunks := b.rig.node.Engine.Position().Chunk
	pairs, err := b.makeAll(ctx)
	if err != nil {
		return nil, err
	}
	if b.made == 0 {
		return nil, errNothing
	}
	chunks = b.rig.node.Engine.Position().Chunk - chunks
	interrupted := ctx.Err() != nil
	b.o.Progress("restart", 0, 1)
	if err := b.rig.close(); err != nil {
		return nil, err
	}
	full, err := b.reopen(ctx)
	if err != nil {
		return nil, err
	}
	bare, err := b.bareBadger()
	if err != nil {
		return nil, err
	}
	r := b.report(pairs, empty, full, bare)
	r.Interrupted = interrupted
	r.Counts.add("chunks", float64(chunks))
	if b.made < b.o.Collections && !interrupted {
		r.note(fmt.Sprintf("the time was over after %d of %d collections; --duration gives more", b.made, b.o.Collections))
	}
	return r, b.checkSome(context.WithoutCancel(ctx))
}

// makeAll makes the collections in rounds, the floor taking its turn after each.
func (b *collectionsBench) makeAll(ctx context.Context) (pairs rounds, err error) {
	begin := time.Now()
	for b.made < b.o.Collections && ctx.Err() == nil && time.Since(begin) < b.o.Duration {
		b.o.Progress("create and write", int64(b.made), int64(b.o.Collections))
		before := b.rig.node.Engine.Position().Chunk
		start := time.Now()
		n, err := b.makeSome(ctx, min(collectionsRound, b.o.Collections-b.made))
		took := time.Since(start)
		if err != nil {
			return pairs, err
		}
		b.made += n
		chunks := b.rig.node.Engine.Position().Chunk - before
		floor, err := b.floor.repeat(int(chunks), int64(n*len(tinyRecord)))
		if err != nil {
			return pairs, err
		}
		pairs.ours = append(pairs.ours, turn{float64(n), took})
		pairs.floor = append(pairs.floor, turn{float64(n), floor})
	}
	return pairs, nil
}

// makeSome makes the next n collections, or those that were begun when ctx
// ended: their numbers are dense.
func (b *collectionsBench) makeSome(ctx context.Context, n int) (int, error) {
	var next, done atomic.Int64
	g, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	for range min(b.o.Workers, n) {
		g.Go(func() error {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if err := b.makeOne(failed, collectionName(b.made+i)); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	err := g.Wait()
	return int(done.Load()), err
}

func collectionName(i int) string { return fmt.Sprintf("c%07d", i) }

// makeOne creates a collection and writes its record, each durable.
func (b *collectionsBench) makeOne(ctx context.Context, name string) error {
	def := b.def
	def.Tenant, def.Collection = tenant, name
	if _, err := b.rig.apply(ctx, def); err != nil {
		return err
	}
	_, err := b.rig.node.Writer.Write(ctx, ingest.Request{
		Tenant: tenant, Collection: name, Format: "application/json",
		Body: strings.NewReader(tinyRecord), Size: int64(len(tinyRecord)),
	})
	return err
}

// checkSome looks up the record of collections here and there.
func (b *collectionsBench) checkSome(ctx context.Context) error {
	r := mathrand.New(mathrand.NewPCG(b.o.Seed, 0))
	for range min(b.made, 100) {
		name := collectionName(r.IntN(b.made))
		c, err := b.rig.node.Registry.Get(ctx, tenant, name)
		if err != nil {
			return err
		}
		s, err := b.rig.node.Engine.Describe(ctx, c)
		if err != nil {
			return err
		}
		if s.Rows != 1 || s.NextSeq != 1 {
			return fmt.Errorf("%s has %d rows and %d changes after the restart, want 1", name, s.Rows, s.NextSeq)
		}
	}
	return nil
}
