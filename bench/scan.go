package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/trinedb/trine/client"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// ScanOptions say what is scanned. The zero value of a member is its default.
type ScanOptions struct {
	Options
	Records int // rows of the table; default 1,000,000
}

// WithDefaults is o with defaults in place of zero values.
func (o ScanOptions) WithDefaults() ScanOptions {
	o.Options = o.Options.WithDefaults()
	o.Records = cmp.Or(o.Records, 1_000_000)
	return o
}

// Validate checks o, defaults filled in.
func (o ScanOptions) Validate() error {
	return check(limit{"records", int64(o.Records), 1, maxRecords})
}

// Scan measures scans of a table over HTTP, decoded by the client, beside
// pqarrow that reads the same files in the process.
func Scan(ctx context.Context, o ScanOptions) (_ *Report, err error) {
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
	defer func() { err = errors.Join(err, rig.close()) }()
	b := &scanBench{o: o, rig: rig}
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

type scanBench struct {
	o      ScanOptions
	rig    *rig
	coll   *schema.Collection
	snap   *lakehouse.Snapshot
	files  []string
	wanted int64 // rows of the wanted bucket
}

func (b *scanBench) prepare(ctx context.Context) (err error) {
	if b.coll, err = b.rig.create(ctx, "flights", flightFields); err != nil {
		return err
	}
	if err := b.rig.fill(ctx, b.o.Options, b.coll, 0, b.o.Records); err != nil {
		return err
	}
	b.o.Progress("flush", 0, 1)
	if b.snap, err = b.rig.node.Engine.Flush(ctx, b.coll); err != nil {
		return err
	}
	for _, f := range b.snap.Files() {
		b.files = append(b.files, strings.TrimPrefix(f.URI, "file://"))
	}
	if b.wanted, err = b.bareScan(ctx, nil, true); err != nil {
		return err
	}
	return b.rig.serve()
}

const pqarrowName = "pqarrow, same files, in process"

// scanCase is one way to read the table.
type scanCase struct {
	name    string
	options client.ScanOptions
	leaves  []int // Parquet columns that the floor reads
	filter  bool
	rows    int64
	floor   string
}

func (b *scanBench) cases() []scanCase {
	fields, all := b.coll.Schema.Fields, []int(nil)
	for i := range fields {
		all = append(all, i)
	}
	return []scanCase{
		{name: "all columns", leaves: all, rows: int64(b.o.Records), floor: pqarrowName},
		{
			name: "two columns", leaves: []int{0, delayColumn}, rows: int64(b.o.Records), floor: pqarrowName,
			options: client.ScanOptions{Columns: []string{fields[0].Name, fields[delayColumn].Name}},
		},
		{
			name: "1% filter", leaves: all, filter: true, rows: b.wanted, floor: pqarrowName + ", matches counted",
			options: client.ScanOptions{Where: fmt.Sprintf("%s = %d", fields[bucketColumn].Name, wantedBucket)},
		},
	}
}

func (b *scanBench) run(ctx context.Context) (*Report, error) {
	r := newReport("scan", b.o.Options)
	r.Settings.add("records", float64(b.o.Records))
	r.Settings.add("columns", float64(len(b.coll.Schema.Fields)))
	api, err := b.rig.client()
	if err != nil {
		return nil, err
	}
	cases := b.cases()
	for _, x := range cases {
		pairs, err := alternate(ctx, b.o.Options, "scan "+x.name, b.o.Duration/time.Duration(len(cases)),
			b.turn(x.rows, func(ctx context.Context) (int64, error) { return b.httpScan(ctx, api, x.options) }),
			b.turn(x.rows, func(ctx context.Context) (int64, error) { return b.bareScan(ctx, x.leaves, x.filter) }))
		if err != nil {
			return nil, err
		}
		if len(pairs.ours) == 0 {
			break // interrupted
		}
		r.Seconds += pairs.took().Seconds()
		r.Figures = append(r.Figures, pairs.rate(x.name, "rows read/s", x.floor, 1))
		r.Counts.add("scans "+x.name, float64(len(pairs.ours)))
		r.Counts.add("rows "+x.name, float64(x.rows))
	}
	if r.Interrupted = ctx.Err() != nil; len(r.Figures) == 0 {
		return nil, errNothing
	}
	r.Counts.add("files", float64(len(b.files)))
	r.Counts.add("table_bytes", float64(b.snap.Bytes()))
	return r, nil
}

// turn scans once and checks how many rows came.
func (b *scanBench) turn(want int64, scan func(context.Context) (int64, error)) side {
	return func(ctx context.Context) (turn, error) {
		start := time.Now()
		n, err := scan(ctx)
		took := time.Since(start)
		if err == nil && n != want {
			err = fmt.Errorf("%d rows, want %d", n, want)
		}
		return turn{float64(b.o.Records), took}, err
	}
}

// httpScan reads a scan to its end, as Arrow.
func (b *scanBench) httpScan(ctx context.Context, api *client.Client, o client.ScanOptions) (rows int64, err error) {
	s, err := api.Scan(ctx, client.Ref{Tenant: b.coll.Tenant, Collection: b.coll.Name}, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for {
		batch, err := s.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows += batch.NumRows()
	}
}
