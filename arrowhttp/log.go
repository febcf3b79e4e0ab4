package arrowhttp

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// logRequest is GET C/log, read. The changes that it selects are those of
// [from, to) that match where; order says which of them come first, and limit
// takes the first of those.
type logRequest struct {
	ChangesRequest
	limit int64 // 0: none
	where *query.Predicate
}

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
		if resumed && !req.Follow && req.From >= req.To {
			q.w.WriteHeader(http.StatusNoContent) // tells an EventSource to stop asking
			return nil
		}
	}
	sink, err := q.changeSink(form, by, c)
	if err != nil {
		return err
	}
	if q.r.Method == http.MethodHead {
		q.w.WriteHeader(http.StatusOK)
		return nil
	}
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

// logRequest reads the parameters of a log.
func (q *request) logRequest(c *schema.Collection) (req logRequest, err error) {
	order, err := q.choice("order", "asc", "desc")
	if err != nil {
		return req, err
	}
	req.Descending = order == "desc"
	if req.Follow, err = q.flag("follow"); err != nil {
		return req, err
	}
	if req.Follow && req.Descending {
		return req, invalid("parameters follow and order=desc: the future has no newest change to begin with")
	}
	const most = 1<<63 - 1
	if req.limit, err = q.number("limit", 0, 1, most); err != nil {
		return req, err
	}
	if req.where, err = query.ParseWhere(q.query.Get("where"), c.Schema); err != nil {
		return req, fmt.Errorf("parameter where: %w", err)
	}
	if req.To, err = q.s.backend.Changes.NextSeq(q.ctx(), c); err != nil {
		return req, err
	}
	req.From, err = q.logStart(c, req.To)
	return req, err
}

// logStart reads where a log begins: at most one of from_seq, from_time and
// tail; at its beginning without.
func (q *request) logStart(c *schema.Collection, next schema.Seq) (schema.Seq, error) {
	var given []string
	for _, name := range []string{"from_seq", "from_time", "tail"} {
		if q.query.Get(name) != "" {
			given = append(given, name)
		}
	}
	if len(given) > 1 {
		return 0, invalid("parameters %s: each says where to begin; give one", strings.Join(given, " and "))
	}
	if given == nil {
		return 0, nil
	}
	const most = 1<<63 - 1
	switch given[0] {
	case "from_seq":
		n, err := q.number("from_seq", 0, 0, most)
		return schema.Seq(n), err
	case "tail":
		n, err := q.number("tail", 0, 0, most)
		return next - min(next, schema.Seq(n)), err
	}
	text := q.query.Get("from_time")
	// A "+" of a zone that was not escaped arrives as a blank.
	v, err := schema.ParseText(schema.Type{Kind: schema.KindTimestamptz}, strings.ReplaceAll(text, " ", "+"))
	if err != nil || v.IsNull() {
		return 0, invalid("parameter from_time: %q is not a time such as 2006-01-02T15:04:05Z", text)
	}
	return q.s.backend.Changes.SeqAt(q.ctx(), c, v.Int())
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
		req.To = min(req.To, schema.Seq(id))
	} else {
		req.From = schema.Seq(id) + 1
	}
	return true, nil
}
