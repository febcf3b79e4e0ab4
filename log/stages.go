package log

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// stages are where a batch spends its time between Append and its answer. The
// stage between encode and publish is the PUT, which has a metric of its own.
type stages struct {
	queue   prometheus.Observer // until the writer takes the batch
	decide  prometheus.Observer // what it comes to
	linger  prometheus.Observer // from a chunk's first batch until it closes
	encode  prometheus.Observer // a chunk
	publish prometheus.Observer // a durable chunk to the index, to readers and to those who wait
}

func newStagesVec() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "trine_log_stage_seconds",
		Help:    "Time of a stage of a write: queue and decide for each batch; linger, encode and publish for each chunk.",
		Buckets: prometheus.ExponentialBuckets(0.000005, 4, 12), // 5 µs to 21 s
	}, []string{"stage"})
}

func stagesOf(v *prometheus.HistogramVec) stages {
	return stages{
		queue: v.WithLabelValues("queue"), decide: v.WithLabelValues("decide"), linger: v.WithLabelValues("linger"),
		encode: v.WithLabelValues("encode"), publish: v.WithLabelValues("publish"),
	}
}

// since observes how long ago start was.
func since(o prometheus.Observer, start time.Time) { o.Observe(time.Since(start).Seconds()) }
