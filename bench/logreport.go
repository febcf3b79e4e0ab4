package bench

import (
	"context"

	"github.com/trinedb/trine/internal/blob/count"
)

const (
	fsyncLoopName = "write+fsync of the same bytes, once a chunk"
	putLoopName   = "PUTs of the same bytes, once a chunk, as many at a time"
)

// report sums up the rounds; used is what they asked of the store.
func (b *logBench) report(ctx context.Context, pairs rounds, used count.Usage, stored int64) (*Report, error) {
	r := newReport("log", b.o.Options)
	r.Interrupted = ctx.Err() != nil
	r.Seconds = pairs.took().Seconds()
	r.Settings.add("senders", float64(b.o.Senders))
	r.Settings.add("record_bytes", float64(b.o.RecordBytes))
	r.Settings.add("batch_records", float64(b.o.BatchRecords))
	r.Settings.add("collections", float64(b.o.Collections))
	r.Settings.add("zipf", b.o.Zipf)
	r.Settings.add("chunk_bytes", float64(b.o.ChunkBytes))
	r.Settings.add("linger_ms", float64(b.o.Linger.Microseconds())/1e3)

	r.Settings.add("in_flight", float64(b.o.InFlight))
	floorName, eachName := fsyncLoopName, "one write+fsync of a chunk's bytes"
	if b.o.Latency != "" {
		floorName, eachName = putLoopName, "one PUT of a chunk's bytes"
		r.note("the store is a local disk made as slow as: " + b.o.Latency)
	}

	var total logTurn
	for _, t := range b.turns {
		total.records, total.batches = total.records+t.records, total.batches+t.batches
		total.chunks, total.took = total.chunks+t.chunks, total.took+t.took
	}
	raw := float64(total.records) * float64(b.o.RecordBytes)
	r.Figures = append(r.Figures,
		pairs.rate("append", "records/s", floorName, 1),
		pairs.rate("append bytes", "MB/s", floorName, 1e6/float64(b.o.RecordBytes)))
	r.Figures = append(r.Figures, quantiles("ack", eachName, b.acks, b.floor.each())...)
	r.Counts.add("records", float64(total.records))
	r.Counts.add("batches", float64(total.batches))
	r.Counts.add("chunks", float64(total.chunks))
	r.Counts.add("records_per_chunk", quotient(float64(total.records), float64(total.chunks)))
	r.Counts.add("raw_bytes", raw)
	r.Counts.add("stored_bytes", float64(stored))
	r.Counts.add("stored_per_raw", quotient(float64(stored), raw))
	if b.o.Senders == 1 && b.o.Latency == "" {
		r.note("one sender: each ack waits for two fsyncs, of the chunk's file and of its folder")
	}
	if !b.o.Report {
		return r, nil
	}
	return r, b.addCost(ctx, r, total, used, float64(stored))
}

// addCost adds the requests by store and verb, and what S3 would charge.
func (b *logBench) addCost(ctx context.Context, r *Report, total logTurn, used count.Usage, stored float64) error {
	r.Stores = append(r.Stores, newStore("log", used))
	commits, err := measureCommits(ctx, b.o.Options, b.place)
	if err != nil {
		return err
	}
	r.Stores = append(r.Stores, newStore("lake", commits.used))
	table, err := prices()
	if err != nil {
		return err
	}
	r.Cost = newCost(table, load{
		records: float64(total.records), batches: float64(total.batches), seconds: total.took.Seconds(),
		raw: float64(total.records) * float64(b.o.RecordBytes), stored: stored,
		used: used, collections: b.drawn, commit: commits,
	})
	return nil
}
