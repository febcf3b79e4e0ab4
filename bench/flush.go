package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/count"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// FlushOptions say what is flushed. The zero value of a member is its default.
type FlushOptions struct {
	Options
	Records int // rows of one flush; default 200,000
}

// WithDefaults is o with defaults in place of zero values.
func (o FlushOptions) WithDefaults() FlushOptions {
	o.Options = o.Options.WithDefaults()
	o.Records = cmp.Or(o.Records, 200_000)
	return o
}

// Validate checks o, defaults filled in.
func (o FlushOptions) Validate() error {
	// The rows are held in memory, as each side takes them: some 1,500 bytes each.
	return check(limit{"records", int64(o.Records), 1, 5_000_000})
}

// Flush measures a flush from the log into a table, and the commit that is a
// part of it, each beside parquet-go that writes the same rows to a file.
func Flush(ctx context.Context, o FlushOptions) (_ *Report, err error) {
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
	dir, err := blob.OpenDir(p.path("lake"), blob.DirOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	b := &flushBench{o: o, place: p, rig: rig, store: count.Around("lake", dir)}
	b.lake, err = lakehouse.Open(lakehouse.Options{Objects: b.store, BaseURI: "file://" + p.path("lake")})
	if err != nil {
		return nil, err
	}
	o.Progress("make rows", 0, 1)
	b.rows = flightRows(o.Seed, 0, o.Records)
	for row := range lakeRows(b.rows) {
		b.ours = append(b.ours, row)
	}
	r, err := b.run(ctx)
	if err != nil {
		return nil, err
	}
	p.caveat(r)
	return r, nil
}

type flushBench struct {
	o     FlushOptions
	place *place
	rig   *rig
	lake  *lakehouse.Lake
	store *count.Store
	rows  []flight        // as parquet-go takes them
	ours  []lakehouse.Row // the same as a commit does
	made  int             // collections so far, each with a table of its own
	bytes int64           // of the last table
	bare  int64           // of the last bare file
}

const parquetName = "parquet-go, same rows, one file, fsync"

func (b *flushBench) run(ctx context.Context) (*Report, error) {
	r := newReport("flush", b.o.Options)
	r.Settings.add("records", float64(b.o.Records))
	for _, x := range []struct {
		name string
		ours side
	}{{"flush from the log", b.flush}, {"commit alone", b.commit}} {
		pairs, err := alternate(ctx, b.o.Options, x.name, b.o.Duration/2, x.ours, b.parquet)
		if err != nil {
			return nil, err
		}
		if len(pairs.ours) == 0 {
			break // interrupted
		}
		r.Seconds += pairs.took().Seconds()
		r.Figures = append(r.Figures, pairs.rate(x.name, "rows/s", parquetName, 1))
		r.Counts.add(x.name, float64(len(pairs.ours)))
	}
	if r.Interrupted = ctx.Err() != nil; len(r.Figures) == 0 {
		return nil, errNothing
	}
	r.Counts.add("table_bytes_per_row", float64(b.bytes)/float64(b.o.Records))
	r.Counts.add("parquet_bytes_per_row", float64(b.bare)/float64(b.o.Records))
	if used := b.store.Usage(); used.Of(count.Create).Requests > 0 {
		r.Stores = append(r.Stores, newStore("lake", used))
	}
	return r, nil
}

// flush brings a new collection's rows from the log into a table. Writing them,
// and waiting until the index has them, is not timed; dropping it isn't either.
func (b *flushBench) flush(ctx context.Context) (turn, error) {
	b.made++
	c, err := b.rig.create(ctx, fmt.Sprintf("flights%d", b.made), flightFields)
	if err != nil {
		return turn{}, err
	}
	quiet := b.o.Options
	quiet.Progress = func(string, int64, int64) {}
	if err := b.rig.fill(ctx, quiet, c, 0, b.o.Records); err != nil {
		return turn{}, err
	}
	start := time.Now()
	snap, err := b.rig.node.Engine.Flush(ctx, c)
	took := time.Since(start)
	if err != nil {
		return turn{}, err
	}
	if snap.Rows() != int64(b.o.Records) {
		return turn{}, fmt.Errorf("the table has %d rows, want %d", snap.Rows(), b.o.Records)
	}
	b.bytes = snap.Bytes()
	return turn{float64(b.o.Records), took}, b.rig.backend.Collections.Drop(ctx, c.Tenant, c.Name)
}

// commit writes the rows, which are in memory, into a new table.
func (b *flushBench) commit(ctx context.Context) (turn, error) {
	c, err := looseCollection("loose")
	if err != nil {
		return turn{}, err
	}
	b.made++
	c.Instance += schema.Instance(b.made)
	start := time.Now()
	snap, _, err := b.lake.Commit(ctx, lakehouse.Commit{
		Collection: c, NextSeq: schema.Seq(b.o.Records), Rows: b.each, Since: flightTime,
	})
	took := time.Since(start)
	if err != nil {
		return turn{}, err
	}
	if snap.Rows() != int64(b.o.Records) {
		return turn{}, fmt.Errorf("the table has %d rows, want %d", snap.Rows(), b.o.Records)
	}
	b.bytes = snap.Bytes()
	return turn{float64(b.o.Records), took}, b.lake.Drop(ctx, c)
}

// each yields the rows.
func (b *flushBench) each(yield func(lakehouse.Row, error) bool) {
	for i := range b.ours {
		if !yield(b.ours[i], nil) {
			return
		}
	}
}

// parquetWrite is how many rows the floor hands to parquet-go at a time.
const parquetWrite = 1000

// parquet writes the rows to a file as a program would that knows their type.
func (b *flushBench) parquet(ctx context.Context) (turn, error) {
	name := b.place.path("floor.parquet")
	start := time.Now()
	f, err := os.Create(name)
	if err != nil {
		return turn{}, fmt.Errorf("write parquet: %w", err)
	}
	defer f.Close()
	w := parquet.NewGenericWriter[flight](f, parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.DataPageVersion(1), parquet.MaxRowsPerRowGroup(lakehouse.DefaultRowGroupRows))
	for i := 0; i < len(b.rows) && ctx.Err() == nil; i += parquetWrite {
		if _, err := w.Write(b.rows[i:min(i+parquetWrite, len(b.rows))]); err != nil {
			return turn{}, fmt.Errorf("write parquet: %w", err)
		}
	}
	if err := errors.Join(w.Close(), f.Sync()); err != nil {
		return turn{}, fmt.Errorf("write parquet: %w", err)
	}
	took := time.Since(start)
	info, err := f.Stat()
	if err != nil {
		return turn{}, fmt.Errorf("write parquet: %w", err)
	}
	b.bare = info.Size()
	return turn{float64(len(b.rows)), took}, nil
}
