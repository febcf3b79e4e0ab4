package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/trinedb/trine/schema"
)

// Media types of records.
const (
	NDJSON = "application/x-ndjson"
	JSON   = "application/json"
	CSV    = "text/csv"
	Arrow  = "application/vnd.apache.arrow.stream"
)

// WriteOptions say how a batch is written. The zero value writes NDJSON with
// the collection's default operation.
type WriteOptions struct {
	Op             string // insert, upsert, delete or patch
	ContentType    string // NDJSON, JSON, CSV or Arrow
	IdempotencyKey string // default: a new one, so that retries land once; none with Producer
	SkipBad        bool   // write the good records, tell the bad
	IfRowSeq       string // of one record: the _seq of the row that it replaces, or none

	// IfSeq, when set, has the batch refused unless its first change gets this
	// seq; the *Problem tells the NextSeq. It excludes Producer.
	IfSeq *uint64
	// Fence, when set, has the batch refused unless it is the collection's
	// fencing token; the *Problem tells the FenceToken.
	Fence string
	// Producer, when set, names who writes, and ProducerSeq how far it is: a
	// batch at or below what was written for it is acknowledged, Replayed, and
	// not written again.
	Producer    string
	ProducerSeq uint64
}

// header is what the options are in a request.
func (o WriteOptions) header() http.Header {
	h := http.Header{"Content-Type": {o.ContentType}}
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	set("Idempotency-Key", o.IdempotencyKey)
	set("Trine-If-Row-Seq", o.IfRowSeq)
	set("Trine-Fence", o.Fence)
	set("Trine-Producer", o.Producer)
	if o.Producer != "" {
		set("Trine-Producer-Seq", strconv.FormatUint(o.ProducerSeq, 10))
	}
	if o.IfSeq != nil {
		set("Trine-If-Seq", strconv.FormatUint(*o.IfSeq, 10))
	}
	return h
}

// Written is what a durable batch was given.
type Written struct {
	FirstSeq *uint64            `json:"first_seq"`
	LastSeq  *uint64            `json:"last_seq"`
	Count    int                `json:"count"`
	Position string             `json:"position"`
	Replayed bool               `json:"replayed"` // nothing was written: an earlier batch of this key or producer was
	Skipped  schema.FieldErrors `json:"skipped"`
}

// Write writes one atomic batch and returns when it is durable.
func (c *Client) Write(ctx context.Context, ref Ref, body []byte, o WriteOptions) (Written, error) {
	var out Written
	if o.ContentType == "" {
		o.ContentType = NDJSON
	}
	if o.IdempotencyKey == "" && o.Producer == "" {
		o.IdempotencyKey = uuid.NewString()
	}
	q := url.Values{}
	if o.Op != "" {
		q.Set("op", o.Op)
	}
	if o.SkipBad {
		q.Set("on_error", "skip")
	}
	header, err := c.objectHeader(ctx, request{
		method: http.MethodPost, path: ref.path("records"), query: q, body: body, again: true,
		header: o.header(),
	}, &out)
	out.Replayed = header.Get("Trine-Replayed") == "true"
	return out, err
}

// Fence sets a collection's fencing token, "" for none, in order with the
// writes to it. With ifToken it is refused unless that is the token until now;
// the *Problem tells the FenceToken. It returns the position when the token is
// durable.
func (c *Client) Fence(ctx context.Context, ref Ref, token string, ifToken *string) (position string, err error) {
	body, err := json.Marshal(struct {
		Token   string  `json:"token"`
		IfToken *string `json:"if_token,omitempty"`
	}{token, ifToken})
	if err != nil {
		return "", fmt.Errorf("encode fence: %w", err)
	}
	var out struct {
		Position string `json:"position"`
	}
	err = c.object(ctx, request{
		method: http.MethodPost, path: ref.path("fence"), body: body, header: http.Header{"Content-Type": {JSON}},
		// A second try of a swap that was made would find its own token.
		again: ifToken == nil,
	}, &out)
	return out.Position, err
}

// Get reads one record by its whole key.
func (c *Client) Get(ctx context.Context, ref Ref, key ...string) (json.RawMessage, error) {
	var out json.RawMessage
	path := ref.path(append([]string{"records"}, key...)...)
	err := c.object(ctx, request{method: http.MethodGet, path: path, again: true}, &out)
	return out, err
}

// GetBy reads the records that have all of an index's fields: one if the index
// is unique, else as many as there are, in key order.
func (c *Client) GetBy(ctx context.Context, ref Ref, index string, fields ...string) iter.Seq2[json.RawMessage, error] {
	path := ref.path(append([]string{"records"}, fields...)...)
	return c.pages(ctx, path, url.Values{"index": {index}}, 0, 0)
}

// RangeOptions say which keyed records are read, and how. Prefix, From and To
// are keys as JSON arrays, of the fields of Index if there is one.
type RangeOptions struct {
	Index            string // order and keys are of this secondary index
	Prefix, From, To string
	Reverse          bool
	Where            string
	AllowScan        bool // read as many rows as Where needs
	Columns          []string
	Limit            int64 // most records; 0: all
}

func (o RangeOptions) values() url.Values {
	q := url.Values{}
	for name, v := range map[string]string{
		"index": o.Index, "prefix": o.Prefix, "from": o.From, "to": o.To, "where": o.Where, "columns": strings.Join(o.Columns, ","),
	} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if o.Reverse {
		q.Set("reverse", "true")
	}
	if o.AllowScan {
		q.Set("allow_scan", "true")
	}
	return q
}

// rangePage is how many records are asked for at a time.
const rangePage = 1000

// Range yields records in key order, page by page.
func (c *Client) Range(ctx context.Context, ref Ref, o RangeOptions) iter.Seq2[json.RawMessage, error] {
	return c.pages(ctx, ref.path("records"), o.values(), rangePage, o.Limit)
}

// pages yields the records of a path, so many a page and up to limit, if those
// are not 0. A path that answers one record yields that.
func (c *Client) pages(ctx context.Context, path string, q url.Values, size, limit int64) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		left := limit
		for {
			if limit > 0 {
				size = min(size, left)
			}
			if size > 0 {
				q.Set("limit", strconv.FormatInt(size, 10))
			}
			records, after, err := c.page(ctx, path, q)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, rec := range records {
				if !yield(rec, nil) {
					return
				}
			}
			left -= int64(len(records))
			if after == nil || limit > 0 && left <= 0 {
				return
			}
			q.Set("after", *after)
		}
	}
}

// page reads one page, or the one record that a unique index has.
func (c *Client) page(ctx context.Context, path string, q url.Values) ([]json.RawMessage, *string, error) {
	var body json.RawMessage
	header, err := c.objectHeader(ctx, request{method: http.MethodGet, path: path, query: q, again: true}, &body)
	if err != nil {
		return nil, nil, err
	}
	if header.Get("Trine-Row-Seq") != "" {
		return []json.RawMessage{body}, nil, nil
	}
	var page struct {
		Records []json.RawMessage `json:"records"`
		After   *string           `json:"after"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, nil, fmt.Errorf("read page of %s: %w", path, err)
	}
	return page.Records, page.After, nil
}

// WrittenMany is what a durable batch over many collections was given.
type WrittenMany struct {
	Collections []struct {
		Collection string  `json:"collection"`
		FirstSeq   *uint64 `json:"first_seq"`
		LastSeq    *uint64 `json:"last_seq"`
		Count      int     `json:"count"`
	} `json:"collections"`
	Count    int    `json:"count"`
	Position string `json:"position"`
	Replayed bool   `json:"-"` // an earlier try with the same key was answered this
}

// WriteMany writes one atomic batch over many collections of a tenant: NDJSON
// lines {"collection","op","record"}. Of o, IdempotencyKey counts.
func (c *Client) WriteMany(ctx context.Context, tenant string, body []byte, o WriteOptions) (WrittenMany, error) {
	var out WrittenMany
	if o.IdempotencyKey == "" {
		o.IdempotencyKey = uuid.NewString()
	}
	header, err := c.objectHeader(ctx, request{
		method: http.MethodPost, path: "/v1/tenants/" + url.PathEscape(tenant) + "/write", body: body, again: true,
		header: http.Header{"Content-Type": {NDJSON}, "Idempotency-Key": {o.IdempotencyKey}},
	}, &out)
	out.Replayed = header.Get("Trine-Replayed") == "true"
	return out, err
}
