package bench

import (
	"context"
	"errors"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/count"
	"github.com/trinedb/trine/internal/blob/latency"
	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/log"
)

// logRig is a channel on a local disk, or on one made slow, and who follows it:
// an index, or one that costs nothing.
type logRig struct {
	dir     *blob.Dir
	slow    *latency.Store // around dir; nil: it is as it is
	store   *count.Store
	channel *log.Channel
	follow  *follower
}

// openLogRig opens a channel in a folder; index may be nil.
func openLogRig(ctx context.Context, folder string, o LogOptions, index *kvindex.Index) (r *logRig, err error) {
	r = &logRig{}
	if r.dir, err = blob.OpenDir(folder, blob.DirOptions{}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.dir.Close())
		}
	}()
	r.store = count.Around("log", r.dir)
	if o.Latency != "" {
		profile, err := latency.Parse(o.Latency)
		if err != nil {
			return nil, err
		}
		if r.slow, err = latency.Around(r.dir, profile, o.Seed); err != nil {
			return nil, err
		}
		r.store = count.Around("log", r.slow)
	}
	options := log.Options{Store: r.store, MaxChunkBytes: o.ChunkBytes, Linger: o.Linger, InFlight: o.InFlight}
	if index != nil {
		options.State, options.Stager, options.Applied = index, index, index.Applied()
	}
	if r.channel, err = log.Open(context.WithoutCancel(ctx), options); err != nil {
		return nil, err
	}
	r.follow = follow(r.channel, index)
	return r, nil
}

// close ends the channel; what it had acknowledged was applied before.
func (r *logRig) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := r.channel.Close(ctx)
	r.follow.stop()
	return errors.Join(err, r.dir.Close())
}
