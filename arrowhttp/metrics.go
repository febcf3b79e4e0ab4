package arrowhttp

import (
	"fmt"
	"net/http"
	"strconv"
	stdsync "sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are by route and never by collection: there are tens of millions.
type metrics struct {
	requests  *prometheus.CounterVec
	firstByte *prometheus.HistogramVec
	duration  *prometheus.HistogramVec
	inFlight  *prometheus.GaugeVec
	rows      *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	streams   *prometheus.GaugeVec
	refused   *prometheus.CounterVec
	cut       *prometheus.CounterVec

	routes stdsync.Map // label → *routeMetrics: looking labels up costs more than counting
}

// routeMetrics are those of one route.
type routeMetrics struct {
	route    string
	inFlight prometheus.Gauge
	ended    stdsync.Map            // answered → *series
	last     atomic.Pointer[series] // that a request was counted by
}

// answered is what requests are counted by. A client cannot add one: it says nothing
// that is not of a few.
type answered struct {
	method string
	status int
}

// series are those of one kind.
type series struct {
	of                  answered
	requests            prometheus.Counter
	firstByte, duration prometheus.Observer
	rows, bytesSent     prometheus.Counter
}

func (m *metrics) series(r *routeMetrics, k answered) *series {
	if s := r.last.Load(); s != nil && s.of == k {
		return s // requests are mostly like the one before
	}
	kept, ok := r.ended.Load(k)
	if !ok {
		kept, _ = r.ended.LoadOrStore(k, &series{
			of:        k,
			requests:  m.requests.WithLabelValues(r.route, k.method, strconv.Itoa(k.status)),
			firstByte: m.firstByte.WithLabelValues(r.route, k.method), duration: m.duration.WithLabelValues(r.route, k.method),
			rows: m.rows.WithLabelValues(r.route), bytesSent: m.bytes.WithLabelValues(r.route),
		})
	}
	s := kept.(*series)
	r.last.Store(s)
	return s
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	buckets := prometheus.ExponentialBuckets(0.0005, 2, 18) // 0.5 ms to 65 s
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "trine", Subsystem: "http", Name: name, Help: help}, labels)
	}
	histogram := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "trine", Subsystem: "http", Name: name, Help: help, Buckets: buckets}, []string{"route", "method"})
	}
	m := &metrics{
		requests:  counter("requests_total", "Requests answered.", "route", "method", "status"),
		firstByte: histogram("first_byte_seconds", "Time until an answer began."),
		duration:  histogram("request_seconds", "Time until an answer ended; log follow streams last as long as their client."),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "trine", Subsystem: "http", Name: "in_flight",
			Help: "Requests being answered."}, []string{"route"}),
		rows:  counter("response_rows_total", "Rows, records and changes sent.", "route"),
		bytes: counter("response_bytes_total", "Bytes of answers sent, as on the wire without HTTP framing.", "route"),
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "trine", Subsystem: "http", Name: "streams",
			Help: "Answers under way of the kinds that are bounded: scan, log, follow, verify."}, []string{"kind"}),
		refused: counter("streams_refused_total", "Answers refused because as many of their kind were under way.", "kind"),
		cut:     counter("cut_total", "Answers cut off because their client took no byte for the stall timeout.", "route"),
	}
	for _, c := range []prometheus.Collector{m.requests, m.firstByte, m.duration, m.inFlight, m.rows, m.bytes, m.streams, m.refused, m.cut} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register HTTP metrics: %w", err)
		}
	}
	return m, nil
}

// begin counts a request in; it is to be ended on what it gives.
func (m *metrics) begin(route string) *routeMetrics {
	r, ok := m.routes.Load(route)
	if !ok {
		r, _ = m.routes.LoadOrStore(route, &routeMetrics{route: route, inFlight: m.inFlight.WithLabelValues(route)})
	}
	r.(*routeMetrics).inFlight.Inc()
	return r.(*routeMetrics)
}

func (m *metrics) end(r *routeMetrics, method string, w *response, start, now time.Time) {
	if !knownMethod(method) {
		method = "other" // a client cannot add a time series
	}
	r.inFlight.Dec()
	s := m.series(r, answered{method, w.status})
	s.requests.Inc()
	if w.status != 0 {
		s.firstByte.Observe(w.first.Sub(start).Seconds())
	}
	s.duration.Observe(now.Sub(start).Seconds())
	if w.stalled {
		m.cut.WithLabelValues(r.route).Inc()
	}
	s.rows.Add(float64(w.rows))
	s.bytesSent.Add(float64(w.bytes))
}

func knownMethod(m string) bool {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return true
	}
	return false
}

// metricsText answers GET /metrics.
func metricsText(q *request) error {
	promhttp.HandlerFor(q.s.opts.Gatherer, promhttp.HandlerOpts{}).ServeHTTP(q.w, q.r)
	return nil
}
