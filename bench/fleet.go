package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/schema/definition"
)

// FleetOptions say how many collections there come to be. The zero value of a
// member is its default, but for Program.
type FleetOptions struct {
	Options
	Program     string        // the `trine` that is looked at, in a process of its own; needed
	Collections int           // default 1,000,000
	Tenants     int           // that they are spread over; default 1,000
	Records     int           // of each collection; default 3
	Workers     int           // that create and write at the same time; default 256
	Idle        time.Duration // how long a server at rest is looked at; default 30 s
	Drop        bool          // drop all of them in the end
}

// DefaultFleetDuration bounds the making of collections, which has a number to
// come to, when Duration is not set.
const DefaultFleetDuration = time.Hour

// WithDefaults is o with defaults in place of zero values.
func (o FleetOptions) WithDefaults() FleetOptions {
	o.Duration = cmp.Or(o.Duration, DefaultFleetDuration)
	o.Options = o.Options.WithDefaults()
	o.Collections = cmp.Or(o.Collections, 1_000_000)
	o.Tenants = cmp.Or(o.Tenants, 1000)
	o.Records = cmp.Or(o.Records, 3)
	o.Workers = cmp.Or(o.Workers, 256)
	o.Idle = cmp.Or(o.Idle, 30*time.Second)
	return o
}

// Validate checks o, defaults filled in.
func (o FleetOptions) Validate() error {
	return check(
		limit{"collections", int64(o.Collections), 1, 100_000_000},
		limit{"tenants", int64(o.Tenants), 1, 1_000_000},
		limit{"records", int64(o.Records), 1, 1000},
		limit{"workers", int64(o.Workers), 1, maxClients},
	)
}

// FleetPoint is what a number of collections of one schema cost, each created
// and written to, while nothing happens to any of them.
type FleetPoint struct {
	Collections int     `json:"collections"`
	PerSecond   float64 `json:"created_and_written_per_second"` // of those since the point before
	// BusyHeap is what a node has reachable right after that, its log's tail in
	// memory included.
	BusyHeap int64 `json:"busy_heap"`

	LogBytes   int64 `json:"log_bytes"` // on disk, in blocks
	IndexBytes int64 `json:"index_bytes"`
	LakeBytes  int64 `json:"lake_bytes"`

	Resident   int64 `json:"rss"`               // of the server's process
	Anonymous  int64 `json:"rss_without_files"` // of these, not mapped from files
	Heap       int64 `json:"heap"`              // that Go has in use, garbage included
	Goroutines int64 `json:"goroutines"`
	OpenFiles  int64 `json:"open_files"`
	// IdleCPU is the processor time that the server takes at rest, in
	// milliseconds a second, over the whole look.
	IdleCPU float64 `json:"idle_cpu_ms_per_second"`
	Load    float64 `json:"load"` // of the machine, then

	StartMS   float64 `json:"start_ms"`            // from the process's start to ready, after a clean end
	SettledMS float64 `json:"settled_ms"`          // from then until it is at rest
	KilledMS  float64 `json:"start_after_kill_ms"` // as StartMS, after kill -9 after 500 more writes

	// The same a day later, when segments hold all of the log and their chunks are gone.
	AgedLogBytes   int64 `json:"log_bytes_a_day_later"`
	AgedIndexBytes int64 `json:"index_bytes_a_day_later"`
	AgedAnonymous  int64 `json:"rss_without_files_a_day_later"`
	// A start then.
	AgedStartMS   float64 `json:"start_ms_a_day_later"`
	AgedSettledMS float64 `json:"settled_ms_a_day_later"`

	Describe Latency `json:"describe"` // of a collection, over HTTP
	Get      Latency `json:"get"`      // of a record
	List     Latency `json:"list"`     // of 100 collections of a tenant
}

// Latency is of one request after the other, in milliseconds.
type Latency struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

// Fleet makes ever more collections, 1,000, 10,000 and so on, and looks at each
// number at what a server costs that has them.
func Fleet(ctx context.Context, o FleetOptions) (_ *Report, err error) {
	o = o.WithDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p, err := newPlace(o.Options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.remove()) }()
	b := &fleetBench{o: o, dir: p.path("data"), begin: time.Now()}
	if b.def, err = definition.ParseOne([]byte(tinyFields)); err != nil {
		return nil, err
	}
	r := newReport("fleet", o.Options)
	if err := b.run(ctx, r); err != nil {
		return nil, err
	}
	p.caveat(r)
	return r, nil
}

type fleetBench struct {
	o     FleetOptions
	dir   string
	def   definition.Definition
	begin time.Time
	made  int // collections that were created and written
}

// firstFleet is the number of collections that is looked at first.
const firstFleet = 1000

func (b *fleetBench) run(ctx context.Context, r *Report) error {
	r.Settings.add("collections", float64(b.o.Collections))
	r.Settings.add("tenants", float64(b.o.Tenants))
	r.Settings.add("records", float64(b.o.Records))
	r.Settings.add("workers", float64(b.o.Workers))
	for n := firstFleet; ; n *= 10 {
		n = min(n, b.o.Collections)
		point, err := b.point(ctx, n)
		if ctx.Err() != nil && len(r.Fleet) > 0 {
			r.Interrupted = true
			break
		}
		if err != nil {
			return err
		}
		r.Fleet = append(r.Fleet, point)
		if n == b.o.Collections || time.Since(b.begin) >= b.o.Duration {
			break
		}
	}
	if b.o.Drop && !r.Interrupted {
		err := b.drop(ctx, r)
		if r.Interrupted = ctx.Err() != nil; err != nil && !r.Interrupted {
			return err
		}
	}
	b.idleCost(r)
	r.Seconds = time.Since(b.begin).Seconds()
	if b.made < b.o.Collections && !r.Interrupted {
		r.note(fmt.Sprintf("the time was over after %d of %d collections; --duration gives more", b.made, b.o.Collections))
	}
	return nil
}

// idleCost tells what one more idle collection costs, between the first point
// and the last.
func (b *fleetBench) idleCost(r *Report) {
	first, last := r.Fleet[0], r.Fleet[len(r.Fleet)-1]
	more := float64(last.Collections - first.Collections)
	if more == 0 {
		return
	}
	each := func(name string, a, b int64) {
		r.Figures = append(r.Figures, Figure{Name: name + ", of one more collection", Unit: "B", Ours: float64(b-a) / more})
	}
	each("log on disk", first.LogBytes, last.LogBytes)
	each("index on disk", first.IndexBytes, last.IndexBytes)
	each("lake on disk", first.LakeBytes, last.LakeBytes)
	each("log on disk a day later", first.AgedLogBytes, last.AgedLogBytes)
	each("index on disk a day later", first.AgedIndexBytes, last.AgedIndexBytes)
	each("RSS, files apart, a day later", first.AgedAnonymous, last.AgedAnonymous)
	each("RSS", first.Resident, last.Resident)
	each("RSS, files apart", first.Anonymous, last.Anonymous)
}

// point comes to n collections, and looks.
func (b *fleetBench) point(ctx context.Context, n int) (p FleetPoint, err error) {
	if err = b.grow(ctx, n, &p); err != nil {
		return p, err
	}
	if b.made == 0 {
		return p, errNothing
	}
	p.Collections = b.made
	b.o.Progress(fmt.Sprintf("look at %d", b.made), 0, 1)
	return p, b.look(ctx, &p)
}

// grow makes collections in this process until there are n, or the time is over.
func (b *fleetBench) grow(ctx context.Context, n int, p *FleetPoint) (err error) {
	rig, err := openRig(ctx, b.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rig.close()) }()
	var next atomic.Int64
	from := b.made
	next.Store(int64(from))
	start := time.Now()
	g, failed := errgroup.WithContext(ctx)
	for range b.o.Workers {
		g.Go(func() error {
			for failed.Err() == nil && time.Since(b.begin) < b.o.Duration {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				// Numbers are dense: what was begun is finished.
				if err := b.makeOne(context.WithoutCancel(ctx), rig, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	stop := b.tell(fmt.Sprintf("create and write to %d", n), n, &next)
	err = g.Wait()
	took := time.Since(start)
	stop()
	if err == nil {
		err = ctx.Err()
	}
	b.made = min(int(next.Load()), n)
	p.PerSecond, p.BusyHeap = perSecond(float64(b.made-from), took), rest().heap
	return err
}

// tell reports a counter every so often until stop is called.
func (b *fleetBench) tell(phase string, total int, done *atomic.Int64) (stop func()) {
	ended, joined := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(joined)
		for {
			b.o.Progress(phase, min(done.Load(), int64(total)), int64(total))
			select {
			case <-ended:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	return func() { close(ended); <-joined }
}

// name is the name of the i-th collection.
func (b *fleetBench) name(i int) (tenant, collection string) {
	return fmt.Sprintf("t%05d", i%b.o.Tenants), fmt.Sprintf("c%07d", i/b.o.Tenants)
}

// makeOne creates a collection and writes its records, each durable.
func (b *fleetBench) makeOne(ctx context.Context, rig *rig, i int) error {
	def := b.def
	def.Tenant, def.Collection = b.name(i)
	if _, err := rig.apply(ctx, def); err != nil {
		return err
	}
	body := b.records()
	_, err := rig.node.Writer.Write(ctx, ingest.Request{
		Tenant: def.Tenant, Collection: def.Collection, Format: "application/x-ndjson",
		Body: strings.NewReader(body), Size: int64(len(body)),
	})
	return err
}

// records are what each collection gets.
func (b *fleetBench) records() string {
	var s strings.Builder
	for i := range b.o.Records {
		fmt.Fprintf(&s, `{"id":"r%d","at":"2026-11-20T08:00:00Z","value":21.5}`+"\n", i)
	}
	return s.String()
}
