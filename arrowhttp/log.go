package arrowhttp

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/trinedb/trine/schema"
)

// getLog answers GET C/log as NDJSON, server-sent events or Arrow.
func getLog(q *request) error {
	form, by, err := negotiate(q.r.Header, typeNDJSON, typeSSE, typeArrowStream)
	if err != nil {
		return err
	}
	c, err := q.collection()
	if err != nil {
		return err
	}
	req, err := q.logRequest(c)
	if err != nil {
		return err
	}
	if form == typeSSE {
		resumed, err := q.resume(&req)
		if err != nil {
			return err
		}
		if resumed && !req.Follow && req.From == req.To {
			q.w.WriteHeader(http.StatusNoContent) // tells an EventSource to stop asking
			return nil
		}
	}
	if err := q.estimate(c, &req); err != nil {
		return err
	}
	sink, err := q.changeSink(form, by, c)
	if err != nil {
		return err
	}
	if q.r.Method == http.MethodHead {
		q.w.WriteHeader(http.StatusOK)
		return nil
	}
	gate := q.s.gates.reads
	if req.Follow {
		gate = q.s.gates.follows
	}
	leave, err := gate.enter()
	if err != nil {
		return err
	}
	defer leave()
	return newPump(q, c, req, sink).run()
}

func (q *request) changeSink(form string, by accepted, c *schema.Collection) (changeSink, error) {
	if form == typeArrowStream {
		code, err := negotiateCoding(by, q.r.Header)
		if err != nil {
			return nil, err
		}
		return newArrowSink(q.w, c, q.position, code)
	}
	encoding, err := negotiateEncoding(q.r.Header)
	if err != nil {
		return nil, err
	}
	return newTextSink(q.w, c, form, encoding)
}

// resume continues where an EventSource left off: its URL is what it was, and
// Last-Event-ID names the last change that it saw.
func (q *request) resume(req *logRequest) (bool, error) {
	text := q.r.Header.Get("Last-Event-ID")
	if text == "" {
		return false, nil
	}
	id, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return false, invalid("header Last-Event-ID: %q is not a seq", text)
	}
	if req.Descending {
		req.stop = min(req.stop, schema.Seq(id))
	} else {
		req.From, req.named = schema.Seq(id)+1, true
	}
	return true, req.settle()
}

// logView is what is known of a log without reading it. Changes and bytes are
// those that a read would have before it, before where and limits.
type logView struct {
	FirstSeq schema.Seq `json:"first_seq"` // the first change that is kept
	NextSeq  schema.Seq `json:"next_seq"`
	LastTime *string    `json:"last_time"` // null: there is no change
	Changes  schema.Seq `json:"changes"`   // exact
	Bytes    int64      `json:"bytes"`     // of keys and rows, about
	Position string     `json:"position"`
}

// logView measures what a request is about, as it is now: of what comes later to
// a follower nothing is known.
func (q *request) logView(c *schema.Collection, req *logRequest) (v logView, err error) {
	to := min(req.To, req.next)
	from := min(req.From, to)
	x, err := q.s.backend.Changes.Extent(q.ctx(), c, from, to)
	return logView{
		FirstSeq: req.first, NextSeq: req.next, LastTime: timeText(x.LastMicros), Changes: to - from, Bytes: x.Bytes, Position: q.position.String(),
	}, err
}

// estimate tells how much log there is to be read in the header.
func (q *request) estimate(c *schema.Collection, req *logRequest) error {
	v, err := q.logView(c, req)
	if err != nil {
		return err
	}
	h := q.w.Header()
	h.Set(HeaderNextSeq, strconv.FormatUint(uint64(v.NextSeq), 10))
	h.Set(HeaderEstimate, fmt.Sprintf("changes=%d, bytes=%d", v.Changes, v.Bytes))
	return nil
}

// getLogTail answers GET C/log/tail: where the log ends, since when, and how
// much of it lies in the stretch that is named.
func getLogTail(q *request) error {
	c, err := q.collection()
	if err != nil {
		return err
	}
	req, err := q.logRequest(c)
	if err != nil {
		return err
	}
	v, err := q.logView(c, &req)
	if err != nil {
		return err
	}
	return q.object(http.StatusOK, v)
}

// timeText is a commit time as answers tell it; nil for none.
func timeText(micros int64) *string {
	if micros == 0 {
		return nil
	}
	text := time.UnixMicro(micros).UTC().Format(time.RFC3339Nano)
	return &text
}
