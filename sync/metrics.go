package sync

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/schema"
)

// metrics are the fan-out's figures; none is by collection.
type metrics struct {
	indexLag      prometheus.Gauge
	indexedChunks prometheus.Counter
	flushSeconds  prometheus.Histogram
	flushedRows   prometheus.Counter
	flushFailures prometheus.Counter
	scans         prometheus.Counter
	behind        prometheus.GaugeFunc
	lakeLag       prometheus.Histogram
	lakeWaiting   prometheus.Gauge
	trims         prometheus.Counter
	heldBytes     prometheus.Gauge
	forgotten     prometheus.Counter
	upkeep        upkeepMetrics
}

// newMetrics registers the figures; behind tells how many chunks are durable and
// not applied.
func newMetrics(r prometheus.Registerer, behind func() float64) (*metrics, error) {
	m := &metrics{
		indexLag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "trine_sync_index_lag_seconds", Help: "Age of the chunk that the index applied last, when it did."}),
		indexedChunks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trine_sync_indexed_chunks_total", Help: "Chunks that the index applied."}),
		flushSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trine_sync_flush_seconds", Help: "Time of one commit to a table.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 16)}),
		flushedRows: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trine_sync_flushed_changes_total", Help: "Changes that reached the lake."}),
		flushFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trine_sync_flush_failures_total", Help: "Commits to a table that failed and are tried again."}),
		scans: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trine_sync_scans_total", Help: "Scans begun."}),
		behind: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "trine_sync_index_lag_chunks", Help: "Chunks that are durable and that the index has not applied."}, behind),
		lakeLag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trine_sync_lake_lag_seconds", Help: "Age of the oldest change that a commit to a table brought it.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 12)}), // 10 ms to 12 h
		lakeWaiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "trine_sync_lake_scheduled_tables", Help: "Tables that wait for their next commit."}),
	}
	m.trims = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "trine_log_retention_trims_total", Help: "Trim points that retention set."})
	m.heldBytes = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "trine_log_retention_held_bytes", Help: "Trimmed bytes in segments that are kept because no snapshot of the index holds their rows."})
	m.forgotten = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "trine_sync_dropped_forgotten_total", Help: "Dropped collections of which nothing was left, so that the index forgot them."})
	m.upkeep = newUpkeepMetrics()
	if r == nil {
		return m, nil
	}
	own := []prometheus.Collector{m.indexLag, m.indexedChunks, m.flushSeconds, m.flushedRows, m.flushFailures, m.scans, m.behind, m.lakeLag, m.lakeWaiting, m.trims, m.heldBytes, m.forgotten}
	for _, c := range append(own, m.upkeep.collectors()...) {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) applied(c *schema.Chunk, now time.Time) {
	m.indexedChunks.Inc()
	m.indexLag.Set(now.Sub(time.UnixMicro(c.TimeMicros)).Seconds())
}

// flushed notes a commit of so many changes, of which the oldest had that age; 0
// for none.
func (m *metrics) flushed(changes int64, took, age time.Duration) {
	if age > 0 {
		m.lakeLag.Observe(age.Seconds())
	}
	m.flushedRows.Add(float64(changes))
	m.flushSeconds.Observe(took.Seconds())
}
