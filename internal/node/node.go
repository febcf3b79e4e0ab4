package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	stdsync "sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/registry"
	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// Options say which data directory is run, and how. Data is needed.
type Options struct {
	// Data is the data directory; it is made when missing.
	Data string

	// Store is where the log keeps its chunks, and the lake its tables unless
	// LakeStore says otherwise: file:///path, s3://bucket/prefix or
	// s3express://bucket--zone--x-s3/prefix, as docs/storage.md has them.
	// Default: the data directory.
	Store, LakeStore string
	// Zones, in place of Store, are three stores in S3, for chunks of the log alone:
	// two of them are enough at any time. LakeStore is needed then, in S3
	// Standard, and has the log's head.
	Zones []string
	// SegmentStore is where chunks go as segments, if not where the chunks are.
	SegmentStore string
	// S3 adjusts stores in S3.
	S3 s3.Options
	// MustExist refuses a data directory that is not there, rather than making
	// an empty one.
	MustExist bool

	// Linger, ChunkBytes: see log.Options; default: what suits the store.
	// FlushBytes: see sync.Options.
	Linger     time.Duration
	ChunkBytes int
	FlushBytes int64
	// SegmentBytes, SegmentAge, SegmentGrace, AnswersKept: see log.SegmentOptions.
	SegmentBytes                          int64
	SegmentAge, SegmentGrace, AnswersKept time.Duration
	// RetainEvery: see sync.Options.
	RetainEvery time.Duration
	// NoUpkeep: see sync.Options. Lake adjusts the lake; its store and clock are the
	// node's.
	NoUpkeep bool
	// WithdrawAfter: see sync.Options.
	WithdrawAfter time.Duration
	// EngineRole has engines be given credentials for the lake's bucket.
	EngineRole EngineRole
	// EngineDrops lets SQL engines drop collections through the Iceberg catalog.
	EngineDrops bool
	Lake        lakehouse.Options
	// MinFreeBytes is the free space of the disk below which writes are
	// refused; see kvindex.Options.
	MinFreeBytes int64
	// IndexSnapshots say when snapshots of the index are taken, and whether.
	IndexSnapshots IndexSnapshots
	// RebuildIndex throws the index away when the node is opened. Default: it is
	// kept if it is not damaged.
	RebuildIndex Rebuild
	// Replayed is told of each chunk that Open gives to the index, and of about
	// which the last will be. Default: nobody.
	Replayed func(c *schema.Chunk, last uint64)
	// FlushDeadline is how long loading a table waits for its flush. Past it
	// the last snapshot is answered. Default 10 s.
	FlushDeadline time.Duration

	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
}

func (o *Options) setDefaults() {
	if o.FlushDeadline == 0 {
		o.FlushDeadline = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Node is a running Trine. It is safe for concurrent use.
type Node struct {
	Registry *registry.Registry
	Engine   *sync.Engine
	Writer   *ingest.Writer

	opts    Options
	lock    *dirLock
	stores  *stores
	index   *kvindex.Index
	channel *log.Channel
	lake    *lakehouse.Lake

	retaining atomic.Pointer[sync.Engine] // Engine, for the log, which is open before it
	snapshots *snapshotter                // nil: they are off

	closeOnce stdsync.Once
	closeErr  error
}

// Open starts a node. It replays what the index lacks before it returns, all
// of the log if there is no index.
func Open(ctx context.Context, o Options) (*Node, error) {
	o.setDefaults()
	dir, err := filepath.Abs(o.Data)
	if err != nil {
		return nil, fmt.Errorf("data directory %q: %w", o.Data, err)
	}
	o.Data = dir
	n := &Node{opts: o}
	if err := n.open(ctx); err != nil {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return nil, errors.Join(fmt.Errorf("open %s: %w", dir, err), n.Close(closing))
	}
	return n, nil
}

func (n *Node) open(ctx context.Context) (err error) {
	if n.opts.MustExist {
		if err := n.mustExist(); err != nil {
			return err
		}
	}
	if err = os.MkdirAll(n.SpoolDir(), 0o755); err != nil {
		return err
	}
	if n.lock, err = lockDir(n.opts.Data); err != nil {
		return err
	}
	if n.stores, err = openStores(ctx, n.opts); err != nil {
		return err
	}
	// It reads by the index, which asks it what rows and definitions say.
	if n.Registry, err = registry.New(registry.Options{Store: definitions{n}, Now: n.opts.Now}); err != nil {
		return err
	}
	if n.snapshots, err = newSnapshotter(n); err != nil {
		return err
	}
	if n.index, err = n.openIndex(ctx); err != nil {
		return err
	}
	if n.channel, err = n.openChannel(ctx); err != nil {
		return err
	}
	n.index.Build(n.decided)
	if n.snapshots != nil {
		n.snapshots.findLast(ctx)
	}
	return n.openRooms()
}

// decided returns when each batch that is being decided now is durable or
// refused: a batch without records is answered then.
func (n *Node) decided(ctx context.Context) error {
	_, err := n.channel.Append(ctx, log.Append{})
	return err
}

// mustExist refuses a log that lies in a folder which is not there.
func (n *Node) mustExist() error {
	if len(n.opts.Zones) > 0 {
		return nil
	}
	folder, local, err := localStore(n.opts.Store, n.opts.Data)
	if err != nil || !local {
		return err
	}
	if _, err := os.Stat(filepath.Join(folder, "log")); err != nil {
		return fmt.Errorf("not a data directory: %w", err)
	}
	return nil
}

func (n *Node) openChannel(ctx context.Context) (*log.Channel, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	var last uint64
	if n.opts.Replayed != nil {
		extent, err := n.stores.extent(ctx)
		if err != nil {
			return nil, err
		}
		last = extent.Hint
	}
	replayed := 0
	channel, err := log.Open(ctx, log.Options{
		Store: n.stores.chunks, Zones: n.stores.zones, Head: n.stores.head, WriterID: writerID(host, os.Getpid()),
		State: n.index, Stager: n.index, Applied: n.index.Applied(),
		Segments: n.segments(), Load: n.load,
		CatchUp: func(ctx context.Context, c *schema.Chunk) error {
			replayed++
			if err := sync.ApplyChunks(ctx, n.index, registry.DroppedInstance, c); err != nil {
				return err
			}
			if n.opts.Replayed != nil {
				n.opts.Replayed(c, last)
			}
			return nil
		},
		MaxChunkBytes: cmp.Or(n.opts.ChunkBytes, n.stores.suits.chunkBytes),
		Linger:        cmp.Or(n.opts.Linger, n.stores.suits.linger),
		InFlight:      n.stores.suits.inFlight,
		HintEvery:     n.stores.suits.hintEvery,
		Logger:        n.opts.Logger, Registerer: n.opts.Registerer, Now: n.opts.Now,
	})
	if err == nil && replayed > 0 {
		n.opts.Logger.Info("index caught up with the log", "chunks", replayed)
	}
	return channel, err
}

// writerID is what the log's head says of its owner: for people only.
func writerID(host string, pid int) string {
	return fmt.Sprintf("%.32s/%d", host, pid)
}

func (n *Node) openRooms() (err error) {
	lake := n.opts.Lake
	lake.Objects, lake.BaseURI, lake.Logger, lake.Now = n.stores.objects, n.stores.baseURI, n.opts.Logger, n.opts.Now
	lake.Sole = n.stores.sole
	n.lake, err = lakehouse.Open(lake)
	if err != nil {
		return err
	}
	n.Engine, err = sync.Open(sync.Options{
		Log: n.channel, Index: n.index, Lake: n.lake, Catalog: n.Registry, Dropped: registry.DroppedInstance,
		FlushBytes: n.opts.FlushBytes, NoUpkeep: n.opts.NoUpkeep, WithdrawAfter: n.opts.WithdrawAfter, OnIndexed: n.onIndexed(), Copied: n.LastSnapshot, RetainEvery: n.opts.RetainEvery, OnHeld: n.snapshots.held,
		Logger: n.opts.Logger, Registerer: n.opts.Registerer, Now: n.opts.Now,
	})
	if err != nil {
		return err
	}
	n.retaining.Store(n.Engine)
	n.Writer, err = n.newWriter()
	return err
}

// Close stops the node; what was acknowledged is durable before and after. The
// caller has stopped taking requests. It may be called twice.
func (n *Node) Close(ctx context.Context) error {
	n.closeOnce.Do(func() { n.closeErr = n.close(ctx) })
	return n.closeErr
}

func (n *Node) close(ctx context.Context) error {
	var errs []error
	// The log first: it refuses new batches and makes the queued ones durable,
	// and its readers see it end.
	if n.channel != nil {
		errs = append(errs, n.channel.Close(ctx))
	}
	// Then what reads the log and writes the other two.
	if n.Engine != nil {
		errs = append(errs, n.Engine.Close(ctx))
	}
	// A snapshot under way ends unfinished: it holds the index open.
	if n.snapshots != nil {
		n.snapshots.close()
	}
	// The index last of the stores: both write to it.
	if n.index != nil {
		errs = append(errs, n.index.Close(ctx))
	}
	if n.stores != nil {
		errs = append(errs, n.stores.close())
	}
	// The lock when nothing of the directory is open any more.
	if n.lock != nil {
		errs = append(errs, n.lock.release())
	}
	return errors.Join(errs...)
}
