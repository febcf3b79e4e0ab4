package arrowhttp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/trinedb/trine/schema"
)

// getRecord answers GET C/records/{key}: the record itself. By an index that is
// not unique it is a page of those that there are.
func getRecord(q *request) error {
	c, err := q.collection()
	if err != nil {
		return err
	}
	by, err := q.by(c)
	if err != nil {
		return err
	}
	shape, err := shapeOf(c, by)
	if err != nil {
		return err
	}
	key, err := shape.fromPath(q.rest)
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
	if by != nil && !by.Unique {
		req := rangeRequest{by: by, out: out, keys: KeyRange{From: key, To: schema.PrefixEnd(key)}}
		if err := q.after(c, by, &req.keys); err != nil {
			return err
		}
		if req.limit, err = q.number("limit", DefaultRangeLimit, 1, MaxRangeLimit); err != nil {
			return err
		}
		return q.page(c, req)
	}
	if q.query.Has("limit") || q.query.Has("after") {
		return invalid("parameters limit and after: the key has one record at most")
	}
	found, ok, err := q.find(c, by, key)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%s has no record with key %q: %w", c, q.rest, schema.ErrNotFound)
	}
	row, err := newRowReader(q.s.rows, c.Schema).decode(q.ctx(), found.Bytes)
	if err != nil {
		return q.raced(c, fmt.Errorf("read record of %s: %w", c, err))
	}
	q.w.rows = 1
	q.w.Header().Set(HeaderRowSeq, strconv.FormatUint(uint64(found.Seq), 10))
	return q.json(http.StatusOK, out.appendRow(make([]byte, 0, recordRoom), row, found))
}

// recordRoom is room for the JSON of most records.
const recordRoom = 1 << 10

// find reads one row by its key or a unique index.
func (q *request) find(c *schema.Collection, by *schema.IndexSpec, key []byte) (found Row, ok bool, err error) {
	if by == nil {
		return q.s.backend.Reader.Get(q.ctx(), c, key)
	}
	err = q.s.backend.Reader.Lookup(q.ctx(), c, by, [][]byte{key}, func(_ int, row Row) error {
		found, ok = row, true
		found.Bytes = bytes.Clone(row.Bytes)
		return nil
	})
	return found, ok, err
}

// lookup answers POST C/lookup: records in the order of their keys. The answer
// is gathered before it is sent, so that it is from one state and a failure is
// a problem; MaxAnswerBytes bounds it.
func lookup(q *request) error {
	c, err := q.collection()
	if err != nil {
		return err
	}
	by, err := q.by(c)
	if err != nil {
		return err
	}
	if by != nil && !by.Unique {
		return invalid("parameter index: %s is not unique, so that a key may have many records: read them as a range", by.Name)
	}
	shape, err := shapeOf(c, by)
	if err != nil {
		return err
	}
	keys, err := q.lookupKeys(shape)
	if err != nil {
		return err
	}
	columns, err := q.columns()
	if err != nil {
		return err
	}
	in := newRowReader(q.s.rows, c.Schema)
	out, err := newRowWriter(c.Schema, columns)
	if err != nil {
		return err
	}
	var text []byte // of the records, in the order that they come in
	at := make([][2]int, len(keys))
	err = q.s.backend.Reader.Lookup(q.ctx(), c, by, keys, func(i int, found Row) error {
		row, err := in.decode(q.ctx(), found.Bytes)
		if err != nil {
			return fmt.Errorf("read record of %s: %w", c, err)
		}
		start := len(text)
		text = out.appendRow(text, row, found)
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
	return q.json(http.StatusOK, lookupAnswer(text, at))
}

// lookupAnswer puts records in the order asked; a span of nothing is an absent one.
func lookupAnswer(text []byte, at [][2]int) []byte {
	body := make([]byte, 0, len(text)+5*len(at)+len(`{"records":[]}`))
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
	return append(body, "]}"...)
}

// lookupKeys reads the body {"keys":[[…],…]}.
func (q *request) lookupKeys(shape *keyShape) ([][]byte, error) {
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
		key, err := shape.fromJSON(raw, false)
		if err != nil {
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		keys[i] = key
	}
	return keys, nil
}
