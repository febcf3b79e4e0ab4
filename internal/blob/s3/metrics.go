package s3

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"
)

// Verb is a kind of request, as a bill tells them apart.
type Verb string

// The verbs. Put, list and those of multipart are billed as PUT, get as GET;
// delete and abort are free; session is a GET.
const (
	VerbPut      Verb = "put"
	VerbGet      Verb = "get"
	VerbDelete   Verb = "delete"
	VerbList     Verb = "list"
	VerbBegin    Verb = "multipart_begin"
	VerbPart     Verb = "multipart_part"
	VerbComplete Verb = "multipart_complete"
	VerbAbort    Verb = "multipart_abort"
	VerbSession  Verb = "session"
)

func (v Verb) writes() bool { return v != VerbGet && v != VerbList && v != VerbSession }

// Usage is what one verb has cost: every request that went out, also those that
// failed, which are billed too.
type Usage struct {
	Requests      int64
	BytesSent     int64 // of bodies; a try that broke off counts whole
	BytesReceived int64 // of bodies, as they were read
}

// meter counts requests. It lies below the SDK, so that it misses none.
type meter struct {
	client aws.HTTPClient

	mu    sync.Mutex
	usage map[Verb]Usage

	requests *prometheus.CounterVec // by verb and code
	sent     *prometheus.CounterVec // by verb
	received *prometheus.CounterVec // by verb
}

func newMeter(client aws.HTTPClient, bucket string, r prometheus.Registerer) *meter {
	labels := prometheus.Labels{"bucket": bucket}
	counter := func(name, help string, by ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, by)
		if r == nil {
			return c
		}
		var known prometheus.AlreadyRegisteredError
		if err := r.Register(c); errors.As(err, &known) {
			if old, ok := known.ExistingCollector.(*prometheus.CounterVec); ok {
				return old // of another store in the same bucket
			}
		}
		return c
	}
	return &meter{
		client: client, usage: map[Verb]Usage{},
		requests: counter("trine_s3_requests_total", "Requests by verb and status; code error: no answer.", "verb", "code"),
		sent:     counter("trine_s3_sent_bytes_total", "Bytes of requests' bodies.", "verb"),
		received: counter("trine_s3_received_bytes_total", "Bytes of answers' bodies that were read.", "verb"),
	}
}

// Do sends a request and counts it.
func (m *meter) Do(req *http.Request) (*http.Response, error) {
	verb := Verb("other")
	if t, ok := req.Context().Value(tryKey{}).(*try); ok {
		verb = t.verb
		t.sent.Store(true)
	}
	sent := max(req.ContentLength, 0)
	m.add(verb, Usage{Requests: 1, BytesSent: sent})
	m.sent.WithLabelValues(string(verb)).Add(float64(sent))
	resp, err := m.client.Do(req)
	code := "error"
	if err == nil {
		code = strconv.Itoa(resp.StatusCode)
		resp.Body = &meteredBody{ReadCloser: resp.Body, m: m, verb: verb}
	}
	m.requests.WithLabelValues(string(verb), code).Inc()
	return resp, err
}

func (m *meter) add(v Verb, u Usage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := m.usage[v]
	sum.Requests += u.Requests
	sum.BytesSent += u.BytesSent
	sum.BytesReceived += u.BytesReceived
	m.usage[v] = sum
}

type meteredBody struct {
	io.ReadCloser
	m    *meter
	verb Verb
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.m.add(b.verb, Usage{BytesReceived: int64(n)})
		b.m.received.WithLabelValues(string(b.verb)).Add(float64(n))
	}
	return n, err
}
