package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/trinedb/trine/bench"
)

func newBenchLog(b *benchRun) *cobra.Command {
	o := bench.LogOptions{Zipf: 1}.WithDefaults()
	o.ChunkBytes, o.Linger, o.InFlight = 0, 0, 0 // as suits the store
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Append durably; floor: write and fsync the same bytes",
		Long: `Log appends batches to a channel on a local disk, from a number of senders that
each wait for the acknowledgement before they send again, as a client does. It
is the log alone: decoding, index and tables are not in it.

The senders' collections are drawn by Zipf's law: with s 1 the k-th is 1/k as
busy as the first, with s 0 all are alike. Half of each record is random: what a
chunk has of one collection is compressed together, a batch to about a half, a
single record hardly.

The floor writes as many bytes to one open file, with as many fsyncs as the log
made chunks. The log cannot come to it: a chunk is an object of its own, whose
name must survive a power failure too, which takes a second fsync. With one
sender an ack is one chunk; with more, they share them.

--latency makes the store as slow as one across a network: S3 as others measured
it, or a fixed time for each PUT. The floor is then a loop of PUTs to the same
store, and the defaults of chunk, linger and what is in flight are those of a
server on it.

--report also tells what was asked of the object stores, by verb, and what that
would cost on S3: as run, and with the chunks that the log would make of the
same load there, which are larger and fewer; and what keeping a table fresh for
every collection that changed would cost beside it.`,
		Example: `  trine bench log --senders 1
  trine bench log --senders 4 --batch 1000
  trine bench log --collections 1000000 --zipf 1 --report
  trine bench log --latency express --senders 1000 --duration 1m`,
		Args: nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return b.run(cmd, func(ctx context.Context, shared bench.Options) (*bench.Report, error) {
				o.Options = shared
				return bench.Log(ctx, o)
			})
		},
	}
	durationFlag(cmd, 10*time.Second, measureHelp)
	f := cmd.Flags()
	f.IntVar(&o.Senders, "senders", o.Senders, "how many send at the same time")
	f.IntVar(&o.RecordBytes, "record-bytes", o.RecordBytes, "bytes of a record, key and row")
	f.IntVar(&o.BatchRecords, "batch", o.BatchRecords, "records of a batch")
	f.IntVar(&o.Collections, "collections", o.Collections, "collections that are written to")
	f.Float64Var(&o.Zipf, "zipf", o.Zipf, "s of their distribution; 0: all alike")
	f.Int64Var(&o.Records, "records", 0, "end after so many; 0: when the time is over")
	f.IntVar(&o.ChunkBytes, "chunk-bytes", o.ChunkBytes, "size that closes a chunk; 0: what suits the store")
	f.DurationVar(&o.Linger, "linger", o.Linger, "longest that a batch waits to share a chunk; 0: what suits the store")
	f.IntVar(&o.InFlight, "in-flight", o.InFlight, "chunks at the store at a time; 0: what suits the store")
	f.StringVar(&o.Latency, "latency", "", "how slow the store is: standard, express, or the time of a PUT such as 20ms; default the disk alone")
	f.BoolVar(&o.Report, "report", false, "also tell the requests by store, and what they would cost on S3")
	return cmd
}

func newBenchChannel(b *benchRun) *cobra.Command {
	o := bench.ChannelOptions{Zipf: 1}.WithDefaults()
	cmd := &cobra.Command{
		Use:   "channel",
		Short: "Many collections in one channel; floor: one collection",
		Long: `Channel gives each of many collections a first change, and then appends to
them, drawn by Zipf's law, through one channel on a local disk. The floor is the
same writes to a single collection, through a channel of its own, in turns.

--index puts the index on both channels. What is appended is applied to it, and
a round lasts until that is done: this is the rate that goes on for ever.

--memory also looks at the process with 1,000, 10,000, … collections that have
changes, each time after the same load on a thousand of them. What is idle should
cost none: "heap" is what Go holds, RSS has the index's files in it that are
mapped and were touched.`,
		Example: `  trine bench channel --collections 1000000
  trine bench channel --index --memory --record-bytes 100`,
		Args: nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return b.run(cmd, func(ctx context.Context, shared bench.Options) (*bench.Report, error) {
				o.Options = shared
				return bench.Channel(ctx, o)
			})
		},
	}
	durationFlag(cmd, 20*time.Second, measureHelp+"; the first changes come on top")
	f := cmd.Flags()
	f.IntVar(&o.Collections, "collections", o.Collections, "collections that have changes")
	f.Float64Var(&o.Zipf, "zipf", o.Zipf, "s of the distribution of writes")
	f.IntVar(&o.Senders, "senders", o.Senders, "how many send at the same time")
	f.IntVar(&o.RecordBytes, "record-bytes", o.RecordBytes, "bytes of a record, key and row")
	f.IntVar(&o.BatchRecords, "batch", o.BatchRecords, "records of a batch")
	f.BoolVar(&o.Index, "index", false, "with the index on the channel")
	f.BoolVar(&o.Memory, "memory", false, "also tell memory by the number of collections")
	return cmd
}

func newBenchFollow(b *benchRun) *cobra.Command {
	o := bench.FollowOptions{}.WithDefaults()
	cmd := &cobra.Command{
		Use:   "follow",
		Short: "How late a change is with those who follow; floor: the write's own ack",
		Long: `Follow has a number of followers, each of a collection of its own, while records
are written to collections at random, and measures how much later than the
writer's ack a change is delivered: in the process, and over loopback as NDJSON
and as server-sent events. A delivery that comes before the ack counts as 0.

--stalled adds a follower that never reads, of a collection that some MB a second
are written to. It must not make the others later, nor memory grow.`,
		Example: `  trine bench follow --followers 1000 --stalled`,
		Args:    nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return b.run(cmd, func(ctx context.Context, shared bench.Options) (*bench.Report, error) {
				o.Options = shared
				return bench.Follow(ctx, o)
			})
		},
	}
	durationFlag(cmd, 15*time.Second, measureHelp)
	f := cmd.Flags()
	f.IntVar(&o.Followers, "followers", o.Followers, "how many follow")
	f.IntVar(&o.Rate, "rate", o.Rate, "writes a second, in all")
	f.BoolVar(&o.Stalled, "stalled", false, "one more follower never reads")
	return cmd
}

func newBenchGet(b *benchRun) *cobra.Command {
	o := bench.GetOptions{}.WithDefaults()
	cmd := &cobra.Command{
		Use:   "get",
		Short: "Look up rows by key; floors: Badger alone, a bare HTTP handler",
		Long: `Get looks up keys that are there, at random among up to 20,000, so that their
rows are hot: first in the process, through the index, then as a client does,
GET …/records/{key} over loopback on connections that stay open.

The first floor is a Badger that holds the same rows under keys as long: a
transaction, Get, and a copy of the value. The second is a net/http handler with
the same route that writes the same bytes from a map: what Go's HTTP takes when
the answer costs nothing. Client and server share this machine in both.`,
		Example: `  trine bench get --clients 8 --records 1000000`,
		Args:    nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return b.run(cmd, func(ctx context.Context, shared bench.Options) (*bench.Report, error) {
				o.Options = shared
				return bench.Get(ctx, o)
			})
		},
	}
	durationFlag(cmd, 10*time.Second, measureHelp)
	cmd.Flags().IntVar(&o.Records, "records", o.Records, "rows of the collection")
	cmd.Flags().IntVar(&o.Clients, "clients", o.Clients, "how many look up at the same time")
	return cmd
}

func newBenchScan(b *benchRun) *cobra.Command {
	o := bench.ScanOptions{}.WithDefaults()
	cmd := &cobra.Command{
		Use:   "scan",
		Short: "Read a whole table over HTTP; floor: pqarrow on its files",
		Long: `Scan writes flights, eleven columns, flushes them to a table, and reads it as a
client does: GET …/scan over loopback, the Arrow stream decoded and counted. It
reads all columns, two of them, the hundredth of the rows that lie in a range of
the key, by which files are sorted, and the one row in a hundred that a
predicate keeps which no statistics can prune.

The floor is pqarrow that reads the same columns of the same files in this
process and counts the rows; for the last predicate it counts the matches in the
one column, and builds no rows of them. There is no HTTP in it, no second
decoding, and no log beside the table: the difference is what serving costs. Two
columns and the range of the key stand beside all of the table over HTTP, too,
and Arrow beside the same rows as NDJSON.

The first batch is the time from the request to the first rows, beside an
exchange that says nothing. Memory is what the process holds more than at rest
while fifty clients read slowly.

Rates count the rows that were read, not those that were kept.`,
		Example: `  trine bench scan --records 5000000 --duration 1m`,
		Args:    nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return b.run(cmd, func(ctx context.Context, shared bench.Options) (*bench.Report, error) {
				o.Options = shared
				return bench.Scan(ctx, o)
			})
		},
	}
	durationFlag(cmd, 15*time.Second, measureHelp)
	cmd.Flags().IntVar(&o.Records, "records", o.Records, "rows of the table")
	return cmd
}

func newBenchFreshness(b *benchRun) *cobra.Command {
	o := bench.FreshnessOptions{}.WithDefaults()
	cmd := &cobra.Command{
		Use:   "freshness",
		Short: "How long after its ack an engine's new query sees a row, and what that costs",
		Long: `Freshness makes collections, gives each a record, and then writes single records
to collections at random. Beside that it asks as an SQL engine does: it writes a
row to some collection over HTTP, and when that is acknowledged it loads the table
through the REST catalog, which flushes what waits, and has iceberg-go plan and
read it, until the row is there. That is measured from the ack on; the floor is the
same query again, which finds nothing to flush.

It also tells what was asked of the object stores, by the hour, and what that would
cost on S3 by the price table.`,
		Example: `  trine bench freshness --collections 1000 --duration 20s
  trine bench freshness --rate 2000`,
		Args: nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return b.run(cmd, func(ctx context.Context, shared bench.Options) (*bench.Report, error) {
				o.Options = shared
				return bench.Freshness(ctx, o)
			})
		},
	}
	durationFlag(cmd, bench.DefaultFreshnessDuration, "how long to measure; making the collections comes on top")
	f := cmd.Flags()
	f.IntVar(&o.Collections, "collections", o.Collections, "collections that are written to")
	f.IntVar(&o.Rate, "rate", o.Rate, "writes a second, in all")
	f.IntVar(&o.Queries, "queries", o.Queries, "queries a second, each of a collection of its own")
	return cmd
}

func newBenchFlush(b *benchRun) *cobra.Command {
	o := bench.FlushOptions{}.WithDefaults()
	cmd := &cobra.Command{
		Use:   "flush",
		Short: "Bring rows from the log into a table; floor: parquet-go",
		Long: `Flush measures two things. "Flush from the log" is what a server does: the
changes of a collection are read from the log, folded by key, written to data
files, committed as an Iceberg snapshot, and their places told to the index.
"Commit alone" is the lake's part of it, the rows being in memory.

The floor is parquet-go that writes the same rows, which it has as Go structs of
a type known at compile time, to one file with the same compression, and one
fsync. It sorts nothing, keeps no statistics for Iceberg, and commits nothing.

The rows are written, and the index has them, before a flush is timed.`,
		Example: `  trine bench flush --records 1000000 --duration 1m`,
		Args:    nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return b.run(cmd, func(ctx context.Context, shared bench.Options) (*bench.Report, error) {
				o.Options = shared
				return bench.Flush(ctx, o)
			})
		},
	}
	durationFlag(cmd, 30*time.Second, measureHelp+"; making the rows comes on top")
	cmd.Flags().IntVar(&o.Records, "records", o.Records, "rows of one flush")
	return cmd
}

func newBenchCollections(b *benchRun) *cobra.Command {
	o := bench.CollectionsOptions{}.WithDefaults()
	cmd := &cobra.Command{
		Use:   "collections",
		Short: "Make many tiny collections; what does each cost that rests?",
		Long: `Collections creates a number of collections of one schema and writes a record
to each, both durable, from a number of workers. Then it stops the node, starts
it again, and looks at what they cost: bytes on disk, the time of the start,
memory, goroutines. What a node without them takes is subtracted.

The floor of making them is a loop of write and fsync, one for each chunk that
the log made, of the records' bytes. The floor of having them is a Badger with
one row for each, closed and opened.

Memory is measured when the process rests, garbage collected and given back.
RSS has the index's files in it that are mapped and were touched, which the
system takes back when it needs to; "files apart" has not. An idle collection
should cost no memory: what is left is the index's own tables and filters, and
noise, which more collections make smaller.`,
		Example: `  trine bench collections --n 100000 --workers 256`,
		Args:    nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return b.run(cmd, func(ctx context.Context, shared bench.Options) (*bench.Report, error) {
				o.Options = shared
				return bench.Collections(ctx, o)
			})
		},
	}
	durationFlag(cmd, bench.DefaultCollectionsDuration, "longest to go on making collections, floor included")
	cmd.Flags().IntVar(&o.Collections, "n", o.Collections, "how many collections")
	cmd.Flags().IntVar(&o.Workers, "workers", o.Workers, "how many make them at the same time")
	return cmd
}
