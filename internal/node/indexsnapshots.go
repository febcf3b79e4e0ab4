package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	stdsync "sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/kvindex/snapshot"
	"github.com/trinedb/trine/schema"
)

// SnapshotMode says whether snapshots of the index are taken and restored.
type SnapshotMode string

// The modes. Auto is on for a store in S3. On a local disk, where a snapshot lies
// beside the index that it is of, takes as much space again, and goes with the same
// disk, it is taken only when the log keeps more for want of one.
const (
	SnapshotAuto SnapshotMode = ""
	SnapshotOn   SnapshotMode = "on"
	SnapshotOff  SnapshotMode = "off"
)

// IndexSnapshots say when a snapshot of the index is taken. The zero value is the
// documented default.
type IndexSnapshots struct {
	Mode SnapshotMode
	// Bytes is how many bytes of chunks, as stored, the index applies between two
	// snapshots. Default 256 MiB.
	Bytes int64
	// Interval is after how long one is taken though it was fewer bytes, when the
	// next chunk comes: an index that rests costs nothing. Default 15 minutes.
	Interval time.Duration
	// BytesPerSecond bounds how fast they are made. Default 64 MiB; negative: no bound.
	BytesPerSecond int64
	// Progress is told how far a restore or a snapshot is.
	Progress func(snapshot.Progress)
}

const (
	defaultSnapshotBytes    = 256 << 20
	defaultSnapshotInterval = 15 * time.Minute
	// minSnapshotPause lies between two snapshots in any case, and after one that
	// failed: each lists the store, and uploads what is in memory.
	minSnapshotPause = time.Minute
)

// onDemand reports whether snapshots are taken only when the log waits for one.
func (o IndexSnapshots) onDemand(local bool) bool { return o.Mode == SnapshotAuto && local }

// snapshotter takes snapshots of the index as it moves on. It has no goroutine
// and no timer while it takes none. All its methods are safe for concurrent use.
type snapshotter struct {
	n       *Node
	o       IndexSnapshots
	snaps   *snapshot.Snapshots
	metrics snapshotMetrics
	tried   bool // to restore; set before anything else runs

	ctx    context.Context // of the snapshot under way; ends with Close
	cancel context.CancelFunc
	work   stdsync.WaitGroup

	mu      stdsync.Mutex
	seen    schema.Position
	pending int64     // bytes applied since the last one began
	since   time.Time // of the first of those; zero: none
	began   time.Time // the last one
	running bool
	closed  bool
	wanted  bool // the log keeps more for want of a snapshot than one takes
	last    schema.Position
}

// newSnapshotter makes the snapshots accessible; nil if they are off.
func newSnapshotter(n *Node) (*snapshotter, error) {
	o := n.opts.IndexSnapshots
	if n.stores.index == nil {
		return nil, nil
	}
	o.Bytes = cmp.Or(o.Bytes, defaultSnapshotBytes)
	o.Interval = cmp.Or(o.Interval, defaultSnapshotInterval)
	s := &snapshotter{n: n, o: o, metrics: newSnapshotMetrics()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.snaps = snapshot.New(snapshot.Options{
		Store: n.stores.index, BytesPerSecond: o.BytesPerSecond, Progress: o.Progress,
		Logger: n.opts.Logger, Now: n.opts.Now,
	})
	return s, s.metrics.register(n.opts.Registerer)
}

// applied is told of each chunk that the index holds now, in order.
func (s *snapshotter) applied(c *schema.Chunk) {
	now := s.n.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = c.Position
	if s.pending += int64(c.Bytes); s.since.IsZero() {
		s.since = now
	}
	due := s.pending >= s.o.Bytes || now.Sub(s.since) >= s.o.Interval
	if s.n.stores.indexOnDemand {
		due = s.wanted
	}
	if !due || s.running || s.closed || !s.began.IsZero() && now.Sub(s.began) < minSnapshotPause {
		return
	}
	s.running, s.wanted, s.began, s.pending, s.since = true, false, now, 0, time.Time{}
	s.work.Go(func() {
		defer func() {
			s.mu.Lock()
			s.running = false
			s.mu.Unlock()
		}()
		if _, err := s.take(s.ctx); err != nil && !errors.Is(err, schema.ErrClosed) && s.ctx.Err() == nil {
			s.n.opts.Logger.Error("no snapshot of the index; tried again as it moves on", "error", err)
		}
	})
}

// held is told how many bytes the log keeps for want of a snapshot. One that is
// taken on demand is worth it when it takes less.
func (s *snapshotter) held(bytes int64) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = s.wanted || bytes >= max(s.o.Bytes, s.n.index.TableBytes())
}

// onIndexed is who is told of each chunk that the index holds.
func (n *Node) onIndexed() func(*schema.Chunk) {
	if n.snapshots == nil {
		return nil
	}
	return n.snapshots.applied
}

// take takes one snapshot, and deletes old ones.
func (s *snapshotter) take(ctx context.Context) (snapshot.Info, error) {
	start := s.n.opts.Now()
	info, err := s.snaps.Take(ctx, s.n.index, s.n.channel.Epoch())
	s.metrics.taken(info, s.n.opts.Now().Sub(start), err)
	if err != nil {
		return info, err
	}
	s.noteLast(info.Position)
	s.n.opts.Logger.Info("snapshot of the index", "snapshot", info.Number, "position", info.Position.String(),
		"tables", info.Tables, "bytes", info.Bytes, "uploaded_tables", info.UploadedTables, "uploaded_bytes", info.UploadedBytes,
		"held", info.Held, "took", s.n.opts.Now().Sub(start))
	if err := s.snaps.Collect(ctx, info); err != nil {
		// They cost space only, and the next one tries again.
		s.n.opts.Logger.Warn("old snapshots of the index are left behind", "error", err)
	}
	return info, nil
}

func (s *snapshotter) noteLast(pos schema.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pos.Compare(s.last) > 0 {
		s.last = pos
	}
}

func (s *snapshotter) lastPosition() schema.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// close ends the snapshot under way; the index may be closed after it.
func (s *snapshotter) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.work.Wait()
}

// findLast looks up the newest snapshot that the index, as it was opened, has gone
// beyond. Where one was to be restored there is nothing to look up: what was
// restored is known, and what was passed over is not to be relied on.
func (s *snapshotter) findLast(ctx context.Context) {
	if s.tried {
		return
	}
	info, err := s.snaps.Newest(ctx, func(i snapshot.Info) bool {
		return i.Epoch < s.n.channel.Epoch() && i.Position.Compare(s.n.index.Applied()) <= 0
	})
	switch {
	case err == nil:
		s.noteLast(info.Position)
	case !errors.Is(err, schema.ErrNotFound):
		// Chunks are kept for longer until the next snapshot; no harm else.
		s.n.opts.Logger.Warn("newest snapshot of the index is not known", "error", err)
	}
}

// TakeIndexSnapshot takes a snapshot of the index that holds all that was
// acknowledged before.
func (n *Node) TakeIndexSnapshot(ctx context.Context) (snapshot.Info, error) {
	if n.snapshots == nil {
		return snapshot.Info{}, fmt.Errorf("snapshots of the index are off; set index_snapshot to auto or on: %w", schema.ErrUnsupported)
	}
	if err := n.index.Wait(ctx, n.channel.Durable()); err != nil {
		return snapshot.Info{}, err
	}
	return n.snapshots.take(ctx)
}

// LastSnapshot is the position of the newest snapshot of the index, durable in the
// store: an index that is lost is restored from there. It is the zero Position
// when there is none, or snapshots are off.
func (n *Node) LastSnapshot() schema.Position {
	if n.snapshots == nil {
		return schema.Position{}
	}
	return n.snapshots.lastPosition()
}

type snapshotMetrics struct {
	snapshots *prometheus.CounterVec
	bytes     prometheus.Counter
	seconds   prometheus.Histogram
	held      prometheus.Histogram
}

func newSnapshotMetrics() snapshotMetrics {
	return snapshotMetrics{
		snapshots: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trine_index_snapshots_total", Help: "Snapshots of the index by outcome."}, []string{"outcome"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trine_index_snapshot_uploaded_bytes_total", Help: "Bytes of tables that snapshots uploaded."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trine_index_snapshot_seconds", Help: "Time of one snapshot.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 16)}),
		held: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trine_index_snapshot_held_seconds", Help: "Time that commits to the index waited for a snapshot.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 14)}),
	}
}

func (m snapshotMetrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{m.snapshots, m.bytes, m.seconds, m.held} {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("register metrics of index snapshots: %w", err)
		}
	}
	return nil
}

func (m snapshotMetrics) taken(i snapshot.Info, took time.Duration, err error) {
	if err != nil {
		m.snapshots.WithLabelValues("failed").Inc()
		return
	}
	m.snapshots.WithLabelValues("taken").Inc()
	m.bytes.Add(float64(i.UploadedBytes))
	m.seconds.Observe(took.Seconds())
	m.held.Observe(i.Held.Seconds())
}
