package log

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/schema"
)

// metrics counts what a channel does. All series have the label channel.
type metrics struct {
	appends   *prometheus.CounterVec // by outcome
	chunks    *prometheus.CounterVec // by what closed them
	resent    prometheus.Counter
	bytes     prometheus.Counter
	records   prometheus.Counter
	putTime   prometheus.Histogram
	ackTime   prometheus.Histogram
	pending   prometheus.Gauge
	unappl    prometheus.Gauge
	zonePuts  *prometheus.CounterVec // by zone and outcome
	zoneHoles *prometheus.GaugeVec   // by zone
	succeeded prometheus.Counter     // of appends
	stages    stages
}

func newMetrics(o Options) *metrics {
	buckets := prometheus.ExponentialBuckets(0.0001, 2, 18) // 0.1 ms to 13 s
	m := &metrics{
		appends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trine_log_appends_total", Help: "Batches by outcome."}, []string{"outcome"}),
		chunks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trine_log_chunks_total", Help: "Chunks by what closed them."}, []string{"reason"}),
		resent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trine_log_resent_total", Help: "Chunks put again because it was not known what became of them."}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trine_log_bytes_total", Help: "Bytes of chunks stored."}),
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trine_log_records_total", Help: "Records in chunks stored."}),
		putTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trine_log_put_seconds", Help: "Time to store a chunk.", Buckets: buckets}),
		ackTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trine_log_ack_seconds", Help: "Time from append to acknowledgement.", Buckets: buckets}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "trine_log_pending_bytes", Help: "Bytes handed over and not durable."}),
		unappl: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "trine_log_unapplied_bytes", Help: "Bytes durable and not applied by the index."}),
	}
	if len(o.Zones) > 0 {
		m.zonePuts = prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trine_log_zone_puts_total", Help: "Chunks by zone and what became of them there: stored, failed, skipped (the zone lags too far), repaired.",
		}, []string{"zone", "outcome"})
		m.zoneHoles = prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "trine_log_zone_missing_chunks", Help: "Durable chunks that a zone is known to lack and is to be given."}, []string{"zone"})
	}
	byStage := newStagesVec()
	m.succeeded, m.stages = m.appends.WithLabelValues("ok"), stagesOf(byStage)
	if o.Registerer == nil {
		return m
	}
	r := prometheus.WrapRegistererWith(prometheus.Labels{"channel": strconv.FormatUint(uint64(o.Channel), 10)}, o.Registerer)
	m.appends = register(r, m.appends)
	m.chunks = register(r, m.chunks)
	m.resent = register(r, m.resent)
	m.bytes = register(r, m.bytes)
	m.records = register(r, m.records)
	m.putTime = register(r, m.putTime)
	m.ackTime = register(r, m.ackTime)
	m.pending = register(r, m.pending)
	m.unappl = register(r, m.unappl)
	if m.zonePuts != nil {
		m.zonePuts, m.zoneHoles = register(r, m.zonePuts), register(r, m.zoneHoles)
	}
	m.succeeded, m.stages = m.appends.WithLabelValues("ok"), stagesOf(register(r, byStage))
	return m
}

// register registers a collector, or gives the one that a channel opened
// earlier in this process registered.
func register[C prometheus.Collector](r prometheus.Registerer, c C) C {
	var known prometheus.AlreadyRegisteredError
	if err := r.Register(c); errors.As(err, &known) {
		if old, ok := known.ExistingCollector.(C); ok {
			return old
		}
	}
	return c
}

func (m *metrics) appended(ack Ack, err error) {
	switch {
	case err == nil && ack.Replayed:
		m.appends.WithLabelValues("replayed").Inc()
	case err == nil:
		m.succeeded.Inc()
	case errors.Is(err, schema.ErrUnknownOutcome):
		m.appends.WithLabelValues("unknown").Inc()
	default:
		m.appends.WithLabelValues("failed").Inc()
	}
}

func (m *metrics) queue(bytes int64)        { m.pending.Add(float64(bytes)) }
func (m *metrics) unapplied(bytes int64)    { m.unappl.Set(float64(bytes)) }
func (m *metrics) sealed(reason string)     { m.chunks.WithLabelValues(reason).Inc() }
func (m *metrics) acked(took time.Duration) { m.ackTime.Observe(took.Seconds()) }

func (m *metrics) stored(b *building) {
	n := 0
	for i := range b.chunk.Groups {
		n += len(b.chunk.Groups[i].Records)
	}
	m.records.Add(float64(n))
	m.bytes.Add(float64(b.chunk.Bytes))
	m.putTime.Observe(b.put.Seconds())
}
