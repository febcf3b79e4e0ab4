package count

import (
	"github.com/prometheus/client_golang/prometheus"
)

// descs describe a store's metrics; all have its name as the label store.
type descs struct{ requests, bytes, seconds *prometheus.Desc }

func newDescs(store string) descs {
	labels := prometheus.Labels{"store": store}
	return descs{
		requests: prometheus.NewDesc("trine_store_requests_total",
			"Requests to the object store by verb and outcome.", []string{"verb", "outcome"}, labels),
		bytes: prometheus.NewDesc("trine_store_bytes_total",
			"Bytes to or from the object store by verb.", []string{"verb"}, labels),
		seconds: prometheus.NewDesc("trine_store_seconds",
			"Time that the object store took to answer by verb.", []string{"verb"}, labels),
	}
}

// Describe is of prometheus.Collector.
func (s *Store) Describe(out chan<- *prometheus.Desc) {
	out <- s.descs.requests
	out <- s.descs.bytes
	out <- s.descs.seconds
}

// Collect is of prometheus.Collector. A verb that was never used has no series.
func (s *Store) Collect(out chan<- prometheus.Metric) {
	for v := range s.cells {
		c, verb := &s.cells[v], Verb(v).String()
		var total uint64
		bounds := make(map[float64]uint64, buckets)
		for i := range c.buckets {
			total += c.buckets[i].Load()
			if i < buckets {
				bounds[float64(uint64(1)<<(firstBucket+i))/1e9] = total
			}
		}
		if total == 0 {
			continue
		}
		out <- prometheus.MustNewConstHistogram(s.descs.seconds, total, float64(c.nanos.Load())/1e9, bounds, verb)
		out <- prometheus.MustNewConstMetric(s.descs.bytes, prometheus.CounterValue, float64(c.bytes.Load()), verb)
		for o := range c.outcomes {
			if n := c.outcomes[o].Load(); n > 0 {
				out <- prometheus.MustNewConstMetric(s.descs.requests, prometheus.CounterValue, float64(n), verb, outcomeNames[o])
			}
		}
	}
}
