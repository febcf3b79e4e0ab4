package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

// scanCase is one figure: two ways to read the table, in turns.
type scanCase struct {
	name      string
	ours      scanning
	floor     scanning
	floorName string
	rows      int64 // that come of ours
	read      int64 // of the table, where not all of it is
	floorRows int64 // and of the floor, where that is another number
}

// scanning reads and tells how many rows came.
type scanning func(context.Context) (int64, error)

// Floors of scans.
const (
	pqarrowName = "pqarrow, same files, in process"
	allName     = "all columns, over HTTP"
)

// textRows is how many rows are read as text, which takes long.
const textRows = 100_000

func (b *scanBench) cases(api *client.Client) []scanCase {
	fields, all := b.coll.Schema.Fields, []int(nil)
	for i := range fields {
		all = append(all, i)
	}
	records, some := int64(b.o.Records), int64(min(b.o.Records, textRows))
	hundredth := max(1, records/100)
	first := records / 3
	served := func(o client.ScanOptions) scanning {
		return func(ctx context.Context) (int64, error) { return b.httpScan(ctx, api, o) }
	}
	bare := func(leaves []int, filter bool) scanning {
		return func(ctx context.Context) (int64, error) { return b.bareScan(ctx, leaves, filter) }
	}
	two := client.ScanOptions{Columns: []string{fields[0].Name, fields[delayColumn].Name}}
	key := client.ScanOptions{Where: fmt.Sprintf("%s >= %d and %s < %d", fields[0].Name, first, fields[0].Name, first+hundredth)}
	bucket := client.ScanOptions{Where: fmt.Sprintf("%s = %d", fields[bucketColumn].Name, wantedBucket)}
	return []scanCase{
		{name: "all columns", ours: served(client.ScanOptions{}), floor: bare(all, false), floorName: pqarrowName, rows: records},
		{name: "two columns", ours: served(two), floor: bare([]int{0, delayColumn}, false), floorName: pqarrowName, rows: records},
		{name: "two columns of all", ours: served(two), floor: served(client.ScanOptions{}), floorName: allName, rows: records},
		{name: "1% by key", ours: served(key), floor: served(client.ScanOptions{}), floorName: allName, rows: hundredth, floorRows: records},
		{name: "1% filter", ours: served(bucket), floor: bare(all, true), floorName: pqarrowName + ", matches counted", rows: b.wanted},
		{name: "as Arrow", ours: served(client.ScanOptions{Limit: some}), floor: func(ctx context.Context) (int64, error) {
			return b.textScan(ctx, api, client.ScanOptions{Limit: some})
		}, floorName: "NDJSON, the same rows", rows: some, read: some},
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
	cases := b.cases(api)
	budget := b.o.Duration / time.Duration(len(cases)+1)
	for _, x := range cases {
		amount := float64(cmp.Or(x.read, int64(b.o.Records)))
		pairs, err := alternate(ctx, b.o.Options, "scan "+x.name, budget,
			b.turn(amount, x.rows, x.ours), b.turn(amount, cmp.Or(x.floorRows, x.rows), x.floor))
		if err != nil {
			return nil, err
		}
		if len(pairs.ours) == 0 {
			break // interrupted
		}
		r.Seconds += pairs.took().Seconds()
		r.Figures = append(r.Figures, pairs.rate(x.name, "rows read/s", x.floorName, 1))
		r.Counts.add("scans "+x.name, float64(len(pairs.ours)))
		r.Counts.add("rows "+x.name, float64(x.rows))
	}
	if err := b.firstBatch(ctx, r, api, budget); err != nil {
		return nil, err
	}
	if err := b.slowScans(ctx, r, budget); err != nil {
		return nil, err
	}
	if r.Interrupted = ctx.Err() != nil; len(r.Figures) == 0 {
		return nil, errNothing
	}
	r.Counts.add("files", float64(len(b.files)))
	r.Counts.add("table_bytes", float64(b.snap.Bytes()))
	return r, nil
}

// turn scans once and checks how many rows came; amount is what it counts as.
func (b *scanBench) turn(amount float64, want int64, scan scanning) side {
	return func(ctx context.Context) (turn, error) {
		start := time.Now()
		n, err := scan(ctx)
		took := time.Since(start)
		if err == nil && n != want {
			err = fmt.Errorf("%d rows, want %d", n, want)
		}
		return turn{amount, took}, err
	}
}
