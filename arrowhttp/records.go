package arrowhttp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// getRecord answers GET C/records/{key}: the record itself.
func getRecord(q *request) error {
	if err := q.noIndex(); err != nil {
		return err
	}
	c, err := q.collection()
	if err != nil {
		return err
	}
	if err := keyed(c); err != nil {
		return err
	}
	key, err := keyFromPath(c.Schema, q.rest)
	if err != nil {
		return err
	}
	columns, err := q.columns()
	if err != nil {
		return err
	}
	out, err := newRowWriter(c.Schema, columns)
	if err != nil {
		return err
	}
	encoded, ok, err := q.s.backend.Reader.Get(q.ctx(), c, key)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%s has no record with key %q: %w", c, q.rest, schema.ErrNotFound)
	}
	row, err := newRowReader(q.s.backend.Schemas, c.Schema).decode(q.ctx(), encoded)
	if err != nil {
		return q.raced(c, fmt.Errorf("read record of %s: %w", c, err))
	}
	q.w.rows = 1
	return q.json(http.StatusOK, out.append(nil, row))
}

// lookup answers POST C/lookup: records in the order of their keys. The answer
// is gathered before it is sent, so that it is from one state and a failure is
// a problem; MaxAnswerBytes bounds it.
func lookup(q *request) error {
	if err := q.noIndex(); err != nil {
		return err
	}
	c, err := q.collection()
	if err != nil {
		return err
	}
	if err := keyed(c); err != nil {
		return err
	}
	keys, err := q.lookupKeys(c.Schema)
	if err != nil {
		return err
	}
	in := newRowReader(q.s.backend.Schemas, c.Schema)
	out, err := newRowWriter(c.Schema, nil)
	if err != nil {
		return err
	}
	var text []byte // of the records, in the order that they come in
	at := make([][2]int, len(keys))
	err = q.s.backend.Reader.Lookup(q.ctx(), c, keys, func(i int, encoded []byte) error {
		row, err := in.decode(q.ctx(), encoded)
		if err != nil {
			return fmt.Errorf("read record of %s: %w", c, err)
		}
		start := len(text)
		text = out.append(text, row)
		at[i] = [2]int{start, len(text)}
		q.w.rows++
		if len(text) > MaxAnswerBytes {
			return fmt.Errorf("answer to %d keys: %w, at most %d bytes; ask for fewer", len(keys), schema.ErrTooLarge, MaxAnswerBytes)
		}
		return nil
	})
	if err != nil {
		return q.raced(c, err)
	}
	body := make([]byte, 0, len(text)+5*len(keys)+len(`{"records":[]}`))
	body = append(body, `{"records":[`...)
	for i, span := range at {
		if i > 0 {
			body = append(body, ',')
		}
		if span[1] == 0 {
			body = append(body, "null"...)
		} else {
			body = append(body, text[span[0]:span[1]]...)
		}
	}
	return q.json(http.StatusOK, append(body, "]}"...))
}

// lookupKeys reads the body {"keys":[[…],…]}.
func (q *request) lookupKeys(s *schema.Schema) ([][]byte, error) {
	if err := q.wantType(typeJSON); err != nil {
		return nil, err
	}
	body := q.body(MaxLookupBytes)
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	var in struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := dec.Decode(&in); err != nil {
		return nil, body.cause(invalid(`body: %v; want {"keys":[[…],…]}`, err))
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, body.cause(invalid("body: more than one JSON value"))
	}
	if in.Keys == nil {
		return nil, invalid(`body: no "keys"; want {"keys":[[…],…]}`)
	}
	if len(in.Keys) > MaxLookupKeys {
		return nil, fmt.Errorf("%d keys: %w, at most %d", len(in.Keys), schema.ErrTooLarge, MaxLookupKeys)
	}
	keys := make([][]byte, len(in.Keys))
	for i, raw := range in.Keys {
		key, err := keyFromJSON(s, raw, false)
		if err != nil {
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		keys[i] = key
	}
	return keys, nil
}

// rangeRequest is GET C/records, read.
type rangeRequest struct {
	keys  KeyRange
	limit int64
	where *query.Predicate
	out   *rowWriter
}

// rangeRecords answers GET C/records: {"records":[…],"after":token or null}.
// A page ends at its limit or at MaxPageBytes, so it fits in memory and a
// failure is a problem.
func rangeRecords(q *request) error {
	if err := q.noIndex(); err != nil {
		return err
	}
	c, err := q.collection()
	if err != nil {
		return err
	}
	req, err := q.rangeRequest(c)
	if err != nil {
		return err
	}
	in := newRowReader(q.s.backend.Schemas, c.Schema)
	body := []byte(`{"records":[`)
	var last []byte
	more := false
	visit := func(key, encoded []byte) (bool, error) {
		if q.w.rows == req.limit || len(body) >= MaxPageBytes {
			more = true
			return false, nil
		}
		if err := q.ctx().Err(); err != nil {
			return false, err
		}
		row, err := in.decode(q.ctx(), encoded)
		if err != nil {
			return false, fmt.Errorf("read record of %s: %w", c, err)
		}
		if req.where != nil && !req.where.Match(row, 0, 0) {
			return true, nil
		}
		if q.w.rows > 0 {
			body = append(body, ',')
		}
		body = req.out.append(body, row)
		last = append(last[:0], key...)
		q.w.rows++
		return true, nil
	}
	if !req.keys.empty() {
		if err := q.s.backend.Reader.Range(q.ctx(), c, req.keys, visit); err != nil {
			return q.raced(c, err)
		}
	}
	body = append(body, `],"after":`...)
	if more {
		body = strconv.AppendQuote(body, pageToken(c, req.keys.Reverse, last))
	} else {
		body = append(body, "null"...)
	}
	return q.json(http.StatusOK, append(body, '}'))
}

// rangeRequest reads the parameters of a range.
func (q *request) rangeRequest(c *schema.Collection) (req rangeRequest, err error) {
	if err = keyed(c); err != nil {
		return req, err
	}
	if req.keys, err = q.keyRange(c); err != nil {
		return req, err
	}
	if req.limit, err = q.number("limit", DefaultRangeLimit, 1, MaxRangeLimit); err != nil {
		return req, err
	}
	if req.where, err = query.ParseWhere(q.query.Get("where"), c.Schema); err != nil {
		return req, fmt.Errorf("parameter where: %w", err)
	}
	if req.where.UsesSystem() {
		return req, invalid("parameter where: a range does not know _seq and _time; ask the log or a scan")
	}
	columns, err := q.columns()
	if err != nil {
		return req, err
	}
	req.out, err = newRowWriter(c.Schema, columns)
	return req, err
}

// keyRange joins prefix, from, to and after into one stretch of keys.
func (q *request) keyRange(c *schema.Collection) (r KeyRange, err error) {
	if r.Reverse, err = q.flag("reverse"); err != nil {
		return r, err
	}
	for _, name := range []string{"prefix", "from", "to"} {
		text := q.query.Get(name)
		if text == "" {
			continue
		}
		key, err := keyFromJSON(c.Schema, []byte(text), true)
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
	if text := q.query.Get("after"); text != "" {
		key, err := parsePageToken(c, r.Reverse, text)
		if err != nil {
			return r, err
		}
		if r.Reverse {
			r.lower(key)
		} else {
			r.raise(append(key, 0)) // the next key there can be
		}
	}
	return r, nil
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
