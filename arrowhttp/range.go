package arrowhttp

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// rangeRequest is GET C/records, read.
type rangeRequest struct {
	by    *schema.IndexSpec // nil: in order of the key
	keys  KeyRange
	limit int64
	where *query.Predicate
	most  int64 // rows that may be read; 0: all
	out   *rowWriter
}

// rangeRecords answers GET C/records: {"records":[…],"after":token or null}.
func rangeRecords(q *request) error {
	c, err := q.collection()
	if err != nil {
		return err
	}
	req, err := q.rangeRequest(c)
	if err != nil {
		return err
	}
	return q.page(c, req)
}

// page answers with a page of a range. It ends at its limit or at MaxPageBytes,
// so it fits in memory and a failure is a problem.
func (q *request) page(c *schema.Collection, req rangeRequest) error {
	in := newRowReader(q.s.rows, c.Schema)
	body := []byte(`{"records":[`)
	var last []byte
	more, read := false, int64(0)
	visit := func(at []byte, found Row) (bool, error) {
		if q.w.rows == req.limit || len(body) >= MaxPageBytes {
			more = true
			return false, nil
		}
		if read++; req.most > 0 && read > req.most {
			return false, fmt.Errorf("%w: of the first %d rows of %s, where is true of %d, and more are to be read: "+
				"narrow the range or use an index, scan with C/scan?where=, or send allow_scan=true", errLongScan, req.most, c, q.w.rows)
		}
		if err := q.ctx().Err(); err != nil {
			return false, err
		}
		row, err := in.decode(q.ctx(), found.Bytes)
		if err != nil {
			return false, fmt.Errorf("read record of %s: %w", c, err)
		}
		if req.where != nil && !req.where.Match(row, found.Seq, found.TimeMicros) {
			return true, nil
		}
		if q.w.rows > 0 {
			body = append(body, ',')
		}
		body = req.out.appendRow(body, row, found)
		last = append(last[:0], at...)
		q.w.rows++
		return true, nil
	}
	if !req.keys.empty() {
		if err := q.s.backend.Reader.Range(q.ctx(), c, req.by, req.keys, visit); err != nil {
			return q.raced(c, err)
		}
	}
	body = append(body, `],"after":`...)
	if more {
		body = strconv.AppendQuote(body, pageToken(c, req.by, req.keys.Reverse, last))
	} else {
		body = append(body, "null"...)
	}
	return q.json(http.StatusOK, append(body, '}'))
}

// rangeRequest reads the parameters of a range.
func (q *request) rangeRequest(c *schema.Collection) (req rangeRequest, err error) {
	if req.by, err = q.by(c); err != nil {
		return req, err
	}
	if req.keys, err = q.keyRange(c, req.by); err != nil {
		return req, err
	}
	if req.limit, err = q.number("limit", DefaultRangeLimit, 1, MaxRangeLimit); err != nil {
		return req, err
	}
	if req.where, err = query.ParseWhere(q.query.Get("where"), c.Schema); err != nil {
		return req, fmt.Errorf("parameter where: %w", err)
	}
	if allowed, err := q.flag("allow_scan"); err != nil {
		return req, err
	} else if req.where != nil && !allowed {
		req.most = MaxUnboundedRows
	}
	columns, err := q.columns()
	if err != nil {
		return req, err
	}
	req.out, err = newRowWriter(c.Schema, columns)
	return req, err
}

// keyRange joins prefix, from, to and after into one stretch of keys.
func (q *request) keyRange(c *schema.Collection, by *schema.IndexSpec) (r KeyRange, err error) {
	shape, err := shapeOf(c, by)
	if err != nil {
		return r, err
	}
	if r.Reverse, err = q.flag("reverse"); err != nil {
		return r, err
	}
	for _, name := range []string{"prefix", "from", "to"} {
		text := q.query.Get(name)
		if text == "" {
			continue
		}
		key, err := shape.fromJSON([]byte(text), true)
		if err != nil {
			return r, fmt.Errorf("parameter %s: %w", name, err)
		}
		switch name {
		case "prefix":
			if len(key) > 0 {
				r.From, r.To = key, schema.PrefixEnd(key)
			}
		case "from":
			r.raise(key)
		case "to":
			r.lower(key)
		}
	}
	return r, q.after(c, by, &r)
}

// after goes on where the page ended that gave the parameter's token.
func (q *request) after(c *schema.Collection, by *schema.IndexSpec, r *KeyRange) error {
	text := q.query.Get("after")
	if text == "" {
		return nil
	}
	key, err := parsePageToken(c, by, r.Reverse, text)
	if err != nil {
		return err
	}
	if r.Reverse {
		r.lower(key)
	} else {
		r.raise(append(key, 0)) // the next key there can be
	}
	return nil
}

// raise makes key the lower bound unless there is a higher.
func (r *KeyRange) raise(key []byte) {
	if r.From == nil || bytes.Compare(key, r.From) > 0 {
		r.From = key
	}
}

// lower makes key the upper bound unless there is a lower.
func (r *KeyRange) lower(key []byte) {
	if len(key) > 0 && (r.To == nil || bytes.Compare(key, r.To) < 0) {
		r.To = key
	}
}

// empty reports whether no key can lie in r.
func (r KeyRange) empty() bool { return r.To != nil && bytes.Compare(r.From, r.To) >= 0 }
