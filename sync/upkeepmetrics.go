package sync

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/lakehouse"
)

// upkeepMetrics are the figures of the tables' upkeep; none is by collection.
type upkeepMetrics struct {
	compactions, rows, bytesIn, bytesOut prometheus.Counter
	seconds, failures                    prometheus.Counter
	versions, files, bytes, orphans      prometheus.Counter
	withdrawn                            prometheus.Counter
	waiting                              prometheus.Gauge
}

func newUpkeepMetrics() upkeepMetrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "trine_upkeep_" + name, Help: help})
	}
	return upkeepMetrics{
		compactions: counter("compactions_total", "Exchanges of data files for new ones with the same rows."),
		rows:        counter("compacted_rows_total", "Rows that compaction moved."),
		bytesIn:     counter("compacted_bytes_total", "Bytes of the data files that compaction took out of tables."),
		bytesOut:    counter("compaction_written_bytes_total", "Bytes of the data files that compaction wrote."),
		seconds:     counter("compaction_seconds_total", "Time that compaction took, waits included."),
		failures:    counter("failures_total", "Upkeep of a table that failed and is tried again."),
		versions:    counter("removed_versions_total", "Old versions of tables that were removed."),
		files:       counter("removed_files_total", "Data and delete files that were removed with them."),
		bytes:       counter("removed_bytes_total", "Bytes of these files."),
		withdrawn:   counter("withdrawn_tables_total", "Tables that were withdrawn since no engine asked for them."),
		orphans:     counter("removed_orphans_total", "Files removed that no version named."),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "trine_upkeep_waiting_tables", Help: "Tables that have work for upkeep, now or at a later time."}),
	}
}

func (m *upkeepMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.compactions, m.rows, m.bytesIn, m.bytesOut, m.seconds, m.failures,
		m.versions, m.files, m.bytes, m.orphans, m.withdrawn, m.waiting,
	}
}

func (m *upkeepMetrics) compacted(c *Compaction) {
	m.compactions.Inc()
	m.rows.Add(float64(c.Rows))
	m.bytesIn.Add(float64(c.BytesBefore))
	m.bytesOut.Add(float64(c.BytesAfter))
	m.seconds.Add(c.Took.Seconds())
}

func (m *upkeepMetrics) cleaned(c lakehouse.Cleaned) {
	m.versions.Add(float64(c.Versions))
	m.files.Add(float64(c.Files))
	m.bytes.Add(float64(c.Bytes))
}
