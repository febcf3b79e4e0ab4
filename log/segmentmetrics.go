package log

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/log/segment"
)

// segmentMetrics counts what becomes of chunks. All series have the label
// channel.
type segmentMetrics struct {
	segments        *prometheus.CounterVec // by how they were made
	bytes           *prometheus.CounterVec
	failures        prometheus.Counter
	segmentsDeleted prometheus.Counter
	chunksDeleted   prometheus.Counter
	floor           prometheus.Gauge
	lag             prometheus.Gauge
	trimmedBytes    prometheus.Counter
	oldest          prometheus.Gauge
}

func newSegmentMetrics(o Options) *segmentMetrics {
	m := &segmentMetrics{
		segments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trine_log_segments_total", Help: "Segments by how they were made: built of chunks, merged of segments, trimmed."}, []string{"made"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trine_log_segment_bytes_total", Help: "Bytes of segments by how they were made."}, []string{"made"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trine_log_segment_failures_total", Help: "Failures to make segments or to delete, which are tried again."}),
		segmentsDeleted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trine_log_segments_deleted_total", Help: "Segments deleted because others hold what they held."}),
		chunksDeleted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trine_log_chunks_deleted_total", Help: "Chunks deleted because segments hold them."}),
		floor: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "trine_log_floor", Help: "Number of the last chunk that was given up to segments."}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "trine_log_archive_lag_chunks", Help: "Durable chunks that no segment holds."}),
		trimmedBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trine_log_trimmed_bytes_total", Help: "Bytes of keys and rows that segments left out because they were trimmed."}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "trine_log_oldest_segment_seconds", Help: "Commit time of the first chunk of the oldest segment that has changes left, in seconds since 1970."}),
	}
	if o.Registerer == nil {
		return m
	}
	r := prometheus.WrapRegistererWith(prometheus.Labels{"channel": strconv.FormatUint(uint64(o.Channel), 10)}, o.Registerer)
	m.segments, m.bytes = register(r, m.segments), register(r, m.bytes)
	m.failures, m.segmentsDeleted, m.chunksDeleted = register(r, m.failures), register(r, m.segmentsDeleted), register(r, m.chunksDeleted)
	m.floor, m.lag = register(r, m.floor), register(r, m.lag)
	m.trimmedBytes, m.oldest = register(r, m.trimmedBytes), register(r, m.oldest)
	return m
}

func (m *segmentMetrics) made(how string, info segment.Info) {
	m.segments.WithLabelValues(how).Inc()
	m.bytes.WithLabelValues(how).Add(float64(info.Bytes))
	m.trimmedBytes.Add(float64(info.LeftOut))
}
