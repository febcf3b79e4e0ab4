package bench

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/schema"
)

// GetOptions say what is looked up. The zero value of a member is its default.
type GetOptions struct {
	Options
	Records int // rows of the collection; default 100,000
	Clients int // that look up at the same time; default 1
}

// WithDefaults is o with defaults in place of zero values.
func (o GetOptions) WithDefaults() GetOptions {
	o.Options = o.Options.WithDefaults()
	o.Records = cmp.Or(o.Records, 100_000)
	o.Clients = cmp.Or(o.Clients, 1)
	return o
}

// Validate checks o, defaults filled in.
func (o GetOptions) Validate() error {
	return check(
		limit{"records", int64(o.Records), 1, maxRecords},
		limit{"clients", int64(o.Clients), 1, maxClients},
	)
}

// hotKeys is how many different keys are looked up: few enough that their rows
// stay in memory, many enough that no processor cache holds them.
const hotKeys = 20_000

// Get measures lookups of keys that are there: in the process beside Badger
// alone, and over HTTP beside a handler that only writes the same bytes.
func Get(ctx context.Context, o GetOptions) (_ *Report, err error) {
	o = o.WithDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p, err := newPlace(o.Options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.remove()) }()
	rig, err := openRig(ctx, p.path("data"))
	if err != nil {
		return nil, err
	}
	b := &getBench{o: o, rig: rig}
	defer func() { err = errors.Join(err, b.rig.close()) }()
	if err := b.prepare(ctx, p); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.raw.close(), b.bare.close()) }()
	r, err := b.run(ctx)
	if err != nil {
		return nil, err
	}
	p.caveat(r)
	return r, nil
}

type getBench struct {
	o      GetOptions
	rig    *rig
	coll   *schema.Collection
	ids    []int    // that are looked up
	keys   [][]byte // the same, encoded
	raw    *rawBadger
	bare   *bareServer
	random []*mathrand.Rand // of each client
}

func (b *getBench) prepare(ctx context.Context, p *place) (err error) {
	if b.coll, err = b.rig.create(ctx, "flights", flightFields); err != nil {
		return err
	}
	if err := b.rig.fill(ctx, b.o.Options, b.coll, 0, b.o.Records); err != nil {
		return err
	}
	// Opened anew, so that rows lie in tables and not in what was just written.
	if err := b.rig.close(); err != nil {
		return err
	}
	reopened, err := openRig(ctx, p.path("data"))
	if err != nil {
		return err
	}
	b.rig = reopened
	if err := b.rig.serve(); err != nil {
		return err
	}
	b.ids = mathrand.New(mathrand.NewPCG(b.o.Seed, 1)).Perm(b.o.Records)[:min(hotKeys, b.o.Records)]
	row := make([]schema.Value, len(b.coll.Schema.Fields))
	for _, id := range b.ids {
		row[0] = schema.Int(int64(id))
		b.keys = append(b.keys, b.coll.Schema.AppendKey(nil, row))
	}
	for i := range b.o.Clients {
		b.random = append(b.random, mathrand.New(mathrand.NewPCG(b.o.Seed, uint64(100+i))))
	}
	if b.raw, err = b.copyToBadger(ctx, p.path("badger")); err != nil {
		return err
	}
	if b.bare, err = b.serveBare(ctx); err != nil {
		return errors.Join(err, b.raw.close())
	}
	return nil
}

// copyToBadger gives a Badger of its own every row that the index holds.
func (b *getBench) copyToBadger(ctx context.Context, dir string) (*rawBadger, error) {
	b.o.Progress("copy rows to a bare Badger", 0, 1)
	raw, err := openRawBadger(dir)
	if err != nil {
		return nil, err
	}
	type pair struct{ key, row []byte }
	var page []pair
	add := func(key []byte, row arrowhttp.Row) (bool, error) {
		page = append(page, pair{bytes.Clone(key), bytes.Clone(row.Bytes)})
		return len(page) < fillBatch, nil
	}
	for from, more := []byte(nil), true; more; {
		page = page[:0]
		if err := b.rig.backend.Reader.Range(ctx, b.coll, nil, arrowhttp.KeyRange{From: from}, add); err != nil {
			return nil, errors.Join(err, raw.close())
		}
		if more = len(page) == fillBatch; more {
			from = append(bytes.Clone(page[len(page)-1].key), 0)
		}
		i := 0
		err := raw.fill(func() ([]byte, []byte, bool) {
			if i++; i > len(page) {
				return nil, nil, false
			}
			return page[i-1].key, page[i-1].row, true
		})
		if err != nil {
			return nil, errors.Join(err, raw.close())
		}
	}
	if err := raw.close(); err != nil {
		return nil, err
	}
	return openRawBadger(dir)
}

// Lookups of each client in a turn: some milliseconds' worth.
const (
	engineLookups = 1000
	httpLookups   = 100
)

const (
	badgerName   = "Badger Get and a copy, same rows"
	bareHTTPName = "bare net/http handler, same bytes"
)

func (b *getBench) run(ctx context.Context) (*Report, error) {
	r := newReport("get", b.o.Options)
	r.Settings.add("records", float64(b.o.Records))
	r.Settings.add("clients", float64(b.o.Clients))
	http := newHTTPGetter(b.rig.url, b.o.Clients)
	defer http.close()
	bare := newHTTPGetter(b.bare.url, b.o.Clients)
	defer bare.close()
	for _, x := range []struct {
		name, floor string
		each        int
		ours, bare  func(ctx context.Context, i int) error
	}{
		{"in process", badgerName, engineLookups, b.engineGet, b.badgerGet},
		{"over HTTP", bareHTTPName, httpLookups,
			func(ctx context.Context, i int) error { return http.get(ctx, b.ids[i]) },
			func(ctx context.Context, i int) error { return bare.get(ctx, b.ids[i]) }},
	} {
		ours, floor := newLatencies(b.o.Clients), newLatencies(b.o.Clients)
		pairs, err := alternate(ctx, b.o.Options, "look up "+x.name, b.o.Duration/2,
			b.lookups(x.each, ours, x.ours), b.lookups(x.each, floor, x.bare))
		if err != nil {
			return nil, err
		}
		if len(pairs.ours) == 0 {
			break // interrupted
		}
		r.Seconds += pairs.took().Seconds()
		r.Figures = append(r.Figures, pairs.rate(x.name, "lookups/s", x.floor, 1))
		r.Figures = append(r.Figures, quantiles(x.name, x.floor, ours, floor)...)
		r.Counts.add("lookups "+x.name, sum(pairs.ours).amount)
	}
	if r.Interrupted = ctx.Err() != nil; len(r.Figures) == 0 {
		return nil, errNothing
	}
	r.Counts.add("body_bytes_http", float64(b.bare.bytes))
	return r, nil
}

// lookups is a turn: each client looks up so many keys at random. The first
// call warms up, and its times are not kept.
func (b *getBench) lookups(each int, times *latencies, get func(ctx context.Context, i int) error) side {
	calls := 0
	return func(ctx context.Context) (turn, error) {
		if calls++; calls == 2 {
			times.reset()
		}
		g, ctx := errgroup.WithContext(ctx)
		start := time.Now()
		for c := range b.o.Clients {
			g.Go(func() error {
				for range each {
					i := b.random[c].IntN(len(b.ids))
					begin := time.Now()
					if err := get(ctx, i); err != nil {
						return err
					}
					times.add(c, time.Since(begin))
				}
				return nil
			})
		}
		err := g.Wait()
		return turn{float64(each * b.o.Clients), time.Since(start)}, err
	}
}

func (b *getBench) engineGet(ctx context.Context, i int) error {
	_, ok, err := b.rig.backend.Reader.Get(ctx, b.coll, b.keys[i])
	if err == nil && !ok {
		err = fmt.Errorf("key %d is not there", b.ids[i])
	}
	return err
}

func (b *getBench) badgerGet(_ context.Context, i int) error {
	_, err := b.raw.get(b.keys[i])
	return err
}
