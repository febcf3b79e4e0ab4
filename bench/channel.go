package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// ChannelOptions say what one channel carries. The zero value of a member is its
// default.
type ChannelOptions struct {
	Options
	Collections  int     // default 1,000,000
	Zipf         float64 // s of their distribution; 0, the default: all alike
	Senders      int     // each waits for its ack; default 512
	RecordBytes  int     // key and row; default 1024
	BatchRecords int     // records of a batch, all of one collection; default 1
	Index        bool    // with the index on the channel, and its time counted
	Memory       bool    // also tell memory by the number of collections
}

// WithDefaults is o with defaults in place of zero values.
func (o ChannelOptions) WithDefaults() ChannelOptions {
	o.Options = o.Options.WithDefaults()
	o.Collections = cmp.Or(o.Collections, 1_000_000)
	o.Senders = cmp.Or(o.Senders, 512)
	o.RecordBytes = cmp.Or(o.RecordBytes, 1024)
	o.BatchRecords = cmp.Or(o.BatchRecords, 1)
	return o
}

// Validate checks o, defaults filled in.
func (o ChannelOptions) Validate() error { return o.log(o.Collections).Validate() }

// log is o for a log of so many collections.
func (o ChannelOptions) log(collections int) LogOptions {
	return LogOptions{
		Options: o.Options, Senders: o.Senders, RecordBytes: o.RecordBytes, BatchRecords: o.BatchRecords,
		Collections: collections, Zipf: o.Zipf,
	}.WithDefaults()
}

// Channel measures one channel that carries many collections beside one that
// carries a single one, under the same writes.
func Channel(ctx context.Context, o ChannelOptions) (_ *Report, err error) {
	o = o.WithDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p, err := newPlace(o.Options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.remove()) }()
	b := &channelBench{o: o, place: p}
	r, err := b.run(ctx)
	if err != nil {
		return nil, err
	}
	p.caveat(r)
	return r, nil
}

type channelBench struct {
	o     ChannelOptions
	place *place
}

// channelSide is a channel, what follows it, and its senders.
type channelSide struct {
	*logRig
	*logSenders
	index *kvindex.Index // nil: there is none
	made  int            // collections that have changes
	seen  []atomic.Bool  // collections that were written to in the rounds
}

// open opens a side. Both draw from all collections, so that this costs them the
// same; only says to write to the first whatever was drawn.
func (b *channelBench) open(ctx context.Context, name string, only bool) (s *channelSide, err error) {
	o := b.o.log(b.o.Collections)
	s = &channelSide{logSenders: newLogSenders(o), seen: make([]atomic.Bool, o.Collections)}
	s.target = func(n int) int {
		s.seen[n].Store(true)
		if only {
			return 0
		}
		return n
	}
	if b.o.Index {
		s.index, err = kvindex.Open(kvindex.Options{Dir: b.place.path(name + "-index"), MinFreeBytes: -1})
		if err != nil {
			return nil, err
		}
	}
	if s.logRig, err = openLogRig(ctx, b.place.path(name), o, s.index); err != nil && s.index != nil {
		err = errors.Join(err, s.index.Close(context.Background()))
	}
	return s, err
}

func (s *channelSide) close() error {
	err := s.logRig.close()
	if s.index != nil {
		err = errors.Join(err, s.index.Close(context.Background()))
	}
	return err
}

// makeBatch is how many collections get their first change in one batch.
const makeBatch = 1000

// make gives collections their first change, up to n of them.
func (s *channelSide) make(ctx context.Context, progress func(done int), n int) error {
	var g errgroup.Group
	g.SetLimit(8)
	r := s.random[0]
	for s.made < n && ctx.Err() == nil {
		progress(s.made)
		a := log.Append{}
		for range min(makeBatch, n-s.made) {
			a.Groups = append(a.Groups, log.AppendGroup{
				Instance: schema.FirstUserInstance + schema.Instance(s.made), Records: []schema.Record{s.record(r)},
			})
			s.made++
		}
		g.Go(func() error {
			_, err := s.channel.Append(context.WithoutCancel(ctx), a)
			return err
		})
	}
	if err := errors.Join(g.Wait(), ctx.Err()); err != nil {
		return fmt.Errorf("first changes: %w", err)
	}
	return s.follow.wait(s.channel.Durable())
}

// round lets the senders send for a while. With an index the time until it has
// applied all of it counts, as a log cannot run away from it for long.
func (s *channelSide) round(slice time.Duration) side {
	return func(ctx context.Context) (turn, error) {
		start := time.Now()
		t, err := s.append(ctx, s.channel, slice)
		if err != nil {
			return turn{}, err
		}
		if s.index != nil {
			if err := s.follow.wait(s.channel.Durable()); err != nil {
				return turn{}, err
			}
			t.took = time.Since(start)
		}
		return turn{float64(t.records), t.took}, ctx.Err()
	}
}

func (b *channelBench) run(ctx context.Context) (_ *Report, err error) {
	r := newReport("channel", b.o.Options)
	many, err := b.open(ctx, "many", false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, many.close()) }()
	if b.o.Memory {
		if err := b.memory(ctx, r, many); err != nil {
			return nil, err
		}
	}
	progress := func(done int) { b.o.Progress("first changes", int64(done), int64(b.o.Collections)) }
	if err := many.make(ctx, progress, b.o.Collections); err != nil {
		return nil, err
	}
	one, err := b.open(ctx, "one", true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, one.close()) }()
	slice := min(max(b.o.Duration/40, 20*time.Millisecond), maxSlice)
	pairs, err := alternate(ctx, b.o.Options, "append", b.o.Duration, many.round(slice), one.round(slice))
	if err != nil {
		return nil, err
	}
	if len(pairs.ours) == 0 {
		return nil, errNothing
	}
	b.report(r, pairs, many, one)
	r.Interrupted = ctx.Err() != nil
	return r, nil
}

func (b *channelBench) report(r *Report, pairs rounds, many, one *channelSide) {
	const floor = "the same writes to one collection"
	r.Seconds = pairs.took().Seconds()
	r.Settings.add("collections", float64(b.o.Collections))
	r.Settings.add("zipf", b.o.Zipf)
	r.Settings.add("senders", float64(b.o.Senders))
	r.Settings.add("record_bytes", float64(b.o.RecordBytes))
	r.Settings.add("batch_records", float64(b.o.BatchRecords))
	r.Figures = append(r.Figures, pairs.rate("append", "records/s", floor, 1))
	r.Figures = append(r.Figures, quantiles("ack", floor, many.acks, one.acks)...)
	distinct := 0
	for i := range many.seen {
		if many.seen[i].Load() {
			distinct++
		}
	}
	r.Counts.add("collections_with_changes", float64(many.made))
	r.Counts.add("distinct_in_rounds", float64(distinct))
	r.Counts.add("records", sum(pairs.ours).amount)
	r.Counts.add("chunks", float64(many.follow.chunks.Load()))
	if b.o.Index {
		r.note("with the index: a round lasts until it has applied what was appended")
	}
}

// memory looks at the process with ever more collections that have changes,
// after the same load on the busiest thousand of them.
func (b *channelBench) memory(ctx context.Context, r *Report, many *channelSide) error {
	const active = 1000
	busy := newLogSenders(b.o.log(min(active, b.o.Collections)))
	for n := active; ; n *= 10 {
		n = min(n, b.o.Collections)
		progress := func(done int) { b.o.Progress("memory", int64(done), int64(b.o.Collections)) }
		if err := many.make(ctx, progress, n); err != nil {
			return err
		}
		if _, err := busy.append(ctx, many.channel, b.o.Duration/10); err != nil {
			return err
		}
		if err := many.follow.wait(many.channel.Durable()); err != nil {
			return err
		}
		rested(ctx)
		f := rest()
		r.Counts.add(fmt.Sprintf("heap_%d", n), float64(f.heap))
		r.Counts.add(fmt.Sprintf("rss_%d", n), float64(f.resident))
		r.Counts.add(fmt.Sprintf("rss_without_files_%d", n), float64(f.anonymous))
		if n == b.o.Collections {
			return ctx.Err()
		}
	}
}

// rested waits until nothing goes on for two seconds: the index's compactions
// come and go. It gives up after maxSettle.
func rested(ctx context.Context) {
	start := time.Now()
	for quiet := time.Duration(0); quiet < 2*time.Second && time.Since(start) < maxSettle && ctx.Err() == nil; {
		if took := settle(ctx); took < 2*settleLook {
			quiet += took
		} else {
			quiet = 0
		}
	}
}
