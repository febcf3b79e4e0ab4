package arrowhttp

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// scan answers GET C/scan in the form that Accept asks for.
func scan(q *request) error {
	form, by, err := negotiate(q.r.Header, typeArrowStream, typeArrowFile, typeParquet, typeNDJSON, typeCSV)
	if err != nil {
		return err
	}
	if form != typeArrowStream && q.query.Has("resume") {
		return invalid("parameter resume: only a stream of Arrow has tokens to go on after, and goes on; Accept %s", typeArrowStream)
	}
	switch form {
	case typeArrowFile:
		return scanFile(q)
	case typeParquet:
		return scanParquet(q)
	case typeNDJSON, typeCSV:
		return scanText(q, form)
	}
	return scanAs(q, by)
}

// scanArrows answers GET C/scan.arrows: the path says the form, Accept only
// the compression.
func scanArrows(q *request) error {
	_, by, err := negotiate(q.r.Header, typeArrowStream)
	if err != nil {
		by = accepted{}
	}
	return scanAs(q, by)
}

// scanAs streams a scan as Arrow.
func scanAs(q *request, by accepted) error {
	code, err := negotiateCoding(by, q.r.Header)
	if err != nil {
		return err
	}
	c, sc, err := q.openScan()
	if err != nil {
		return err
	}
	defer q.closeScan(sc)
	q.scanHeader(sc)
	if q.notModified(q.tagOf(c, sc, typeArrowStream, code)) {
		return nil
	}
	shape := withMetadata(sc.Schema, c, sc.Position, sc.SnapshotID)
	if q.resumed != nil {
		shape = withToken(shape, q.query.Get("resume"))
	}
	out, err := newArrowStream(q.w, shape, code)
	if err != nil {
		return err
	}
	if sc.State != nil {
		out.token = func(rows, sent int64) string { return q.resumeToken(c, sc, rows, sent) }
	}
	if q.r.Method == http.MethodHead {
		q.w.WriteHeader(http.StatusOK)
		return nil
	}
	err = q.eachBatch(sc, out.write)
	if err == nil {
		return out.finish()
	}
	return q.abort(err, out)
}

// abort ends a stream as failed: as a problem where nothing was sent yet.
func (q *request) abort(err error, out interface{ abort(Problem) error }) error {
	if q.w.status == 0 {
		return err
	}
	if q.r.Context().Err() != nil && q.s.base.Err() == nil {
		return err // the client is gone, and so is whoever would read it
	}
	if cause := context.Cause(q.ctx()); cause != nil {
		err = cause
	}
	p := problemOf(err)
	q.s.logProblem(q.r, p, err)
	return out.abort(p)
}

// openScan reads a scan's parameters and pins it.
func (q *request) openScan() (*schema.Collection, *ScanStream, error) {
	c, err := q.collection()
	if err != nil {
		return nil, nil, err
	}
	req, err := q.scanRequest(c)
	if err != nil {
		return nil, nil, err
	}
	if q.leaveScan, err = q.s.gates.scans.enter(); err != nil {
		return nil, nil, err
	}
	sc, err := q.s.backend.Scanner.Scan(q.ctx(), c, req)
	if err != nil {
		q.leaveScan()
	}
	return c, sc, err
}

func (q *request) closeScan(sc *ScanStream) {
	defer q.leaveScan()
	if sc.Close == nil {
		return
	}
	if err := sc.Close(); err != nil {
		q.s.log.Warn("close scan", "path", q.r.URL.EscapedPath(), "error", err)
	}
}

// scanRequest reads the parameters of a scan, and checks them against the
// schema, so that what is wrong with them is a 400 before the first byte.
func (q *request) scanRequest(c *schema.Collection) (req query.Scan, err error) {
	if req.Columns, err = q.columns(); err != nil {
		return req, err
	}
	for _, name := range req.Columns {
		if c.Schema.Index(name) < 0 && name != schema.SeqColumn && name != schema.TimeColumn {
			return req, invalid("parameter columns: %q is not a field; the fields are %s, %s, %s",
				name, fieldNames(c.Schema), schema.SeqColumn, schema.TimeColumn)
		}
	}
	req.Where = q.query.Get("where")
	if _, err := query.ParseWhere(req.Where, c.Schema); err != nil {
		return req, fmt.Errorf("parameter where: %w", err)
	}
	if req.Limit, err = q.number("limit", 0, 0, most); err != nil {
		return req, err
	}
	// No tag is called by a number.
	if text := q.query.Get("snapshot"); strings.Trim(text, "-0123456789") != "" {
		req.Tag = text
	} else if req.Snapshot, err = q.number("snapshot", 0, 0, most); err != nil {
		return req, err
	}
	if req.AtSeq, err = q.atSeq(); err != nil {
		return req, err
	}
	if req.AtSeq != nil && (req.Snapshot != 0 || req.Tag != "") {
		return req, invalid("parameters at_seq and snapshot: each names a state of its own; give one")
	}
	return req, q.resumeScan(c, &req)
}

func (q *request) scanHeader(sc *ScanStream) {
	q.setPosition(sc.Position)
	if sc.SnapshotID != 0 {
		q.w.Header().Set(HeaderSnapshot, strconv.FormatInt(sc.SnapshotID, 10))
	}
}

// eachBatch hands out the batches of a scan until it ends, fails, or its
// client goes. One batch is held at a time here, and at most one below.
func (q *request) eachBatch(sc *ScanStream, fn func(arrow.RecordBatch) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			q.s.log.Error("scan panicked", "path", q.r.URL.EscapedPath(), "panic", p, "stack", stack())
			err = fmt.Errorf("scan panicked: %v", p)
		}
	}()
	if q.exhausted || q.query.Get("limit") == "0" { // only the schema is wanted; query.Scan has no word for it
		return nil
	}
	for batch, err := range sc.Batches {
		if err != nil {
			return err
		}
		if err := q.ctx().Err(); err != nil {
			return err
		}
		if err := fn(batch); err != nil {
			return err
		}
	}
	return q.ctx().Err() // a scan that took the end of ctx for its own end
}
