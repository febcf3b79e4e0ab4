package arrowhttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/trinedb/trine/schema"
)

// notReady is what /readyz answers, as a load balancer understands it.
func notReady(err error) error {
	if errors.Is(err, schema.ErrClosed) || errors.Is(err, schema.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %v", schema.ErrUnavailable, err)
}

// writeAnswer is the answer to a write. first_seq and last_seq are null when
// nothing was written.
type writeAnswer struct {
	FirstSeq *schema.Seq        `json:"first_seq"`
	LastSeq  *schema.Seq        `json:"last_seq"`
	Count    int                `json:"count"`
	Position string             `json:"position"`
	Skipped  schema.FieldErrors `json:"skipped,omitempty"`
}

func seqs(first schema.Seq, count int) (*schema.Seq, *schema.Seq) {
	if count == 0 {
		return nil, nil
	}
	last := first + schema.Seq(count) - 1
	return &first, &last
}

// writeRecords answers POST C/records.
func writeRecords(q *request) error {
	tenant, name, err := q.names()
	if err != nil {
		return err
	}
	req := WriteRequest{Tenant: tenant, Collection: name, Size: q.r.ContentLength}
	if req.Op, err = q.choice("op", "", "insert", "upsert", "delete", "patch"); err != nil {
		return err
	}
	if req.ContentType, err = q.writeType(typeNDJSON, typeJSON, typeCSV, typeArrowStream); err != nil {
		return err
	}
	if req.Encoding, err = q.contentEncoding(); err != nil {
		return err
	}
	if req.SkipBad, err = q.skipBad(); err != nil {
		return err
	}
	if req.IdempotencyKey, err = q.idempotencyKey(); err != nil {
		return err
	}
	if req.IfSeq, err = q.ifSeq(); err != nil {
		return err
	}
	if req.IfRow, err = q.ifRow(); err != nil {
		return err
	}
	if err := q.guards(&req); err != nil {
		return err
	}
	if req.Match, err = q.match(); err != nil {
		return err
	}
	atomic, err := q.choice("atomic", "all", "batch")
	switch {
	case err != nil:
		return err
	case atomic == "batch":
		return q.writeEach(req)
	}
	body := q.body(q.s.opts.MaxBodyBytes)
	req.Body = body
	res, err := q.s.backend.Writer.Write(q.ctx(), req)
	if err != nil {
		return body.cause(err)
	}
	a := writeAnswer{Count: res.Count, Position: res.Position.String(), Skipped: res.Skipped}
	a.FirstSeq, a.LastSeq = seqs(res.FirstSeq, res.Count)
	q.setPosition(res.Position)
	q.setReplayed(res.Replayed)
	return q.object(http.StatusOK, a)
}

// collectionAnswer is one collection's part of a writeManyAnswer.
type collectionAnswer struct {
	Collection string      `json:"collection"`
	FirstSeq   *schema.Seq `json:"first_seq"`
	LastSeq    *schema.Seq `json:"last_seq"`
	Count      int         `json:"count"`
}

// writeManyAnswer is the answer to a write over many collections.
type writeManyAnswer struct {
	Collections []collectionAnswer `json:"collections"`
	Count       int                `json:"count"`
	Position    string             `json:"position"`
	Skipped     schema.FieldErrors `json:"skipped,omitempty"`
}

// writeMany answers POST /v1/tenants/{tenant}/write.
func writeMany(q *request) error {
	tenant, err := q.tenant()
	if err != nil {
		return err
	}
	req := WriteManyRequest{Tenant: tenant, Size: q.r.ContentLength}
	if req.ContentType, err = q.writeType(typeNDJSON); err != nil {
		return err
	}
	if req.Encoding, err = q.contentEncoding(); err != nil {
		return err
	}
	if req.SkipBad, err = q.skipBad(); err != nil {
		return err
	}
	if req.IdempotencyKey, err = q.idempotencyKey(); err != nil {
		return err
	}
	if err := q.noGuards(); err != nil {
		return err
	}
	body := q.body(q.s.opts.MaxBodyBytes)
	req.Body = body
	res, err := q.s.backend.Writer.WriteMany(q.ctx(), req)
	if err != nil {
		return body.cause(err)
	}
	a := writeManyAnswer{Collections: []collectionAnswer{}, Position: res.Position.String(), Skipped: res.Skipped}
	for _, w := range res.Collections {
		part := collectionAnswer{Collection: w.Collection, Count: w.Count}
		part.FirstSeq, part.LastSeq = seqs(w.FirstSeq, w.Count)
		a.Collections = append(a.Collections, part)
		a.Count += w.Count
	}
	q.setPosition(res.Position)
	q.setReplayed(res.Replayed)
	return q.object(http.StatusOK, a)
}

// writeType reads the media type of a write, which has to be named: a guess
// could read one format as another.
func (q *request) writeType(types ...string) (string, error) {
	name, err := q.mediaType()
	if err != nil {
		return "", err
	}
	if slices.Contains(ndjsonNames, name) {
		name = typeNDJSON
	}
	if slices.Contains(types, name) {
		return name, nil
	}
	return "", fmt.Errorf("header Content-Type %q: %w; want %s", name, errMediaType, strings.Join(types, ", "))
}

func (q *request) skipBad() (bool, error) {
	v, err := q.choice("on_error", "fail", "skip")
	return v == "skip", err
}

// idempotencyKey reads Idempotency-Key: printable ASCII, of bounded length.
func (q *request) idempotencyKey() (string, error) {
	values := q.r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(values) > 1 || key == "" || len(key) > MaxIdempotencyKeyBytes {
		return "", invalid("header Idempotency-Key: want one, of 1 to %d bytes", MaxIdempotencyKeyBytes)
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return "", invalid("header Idempotency-Key: byte %d is not printable ASCII", i)
		}
	}
	return key, nil
}

func (q *request) ifSeq() (*schema.Seq, error) {
	text := q.r.Header.Get("Trine-If-Seq")
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return nil, invalid("header Trine-If-Seq: %q is not a seq: a whole number from 0", text)
	}
	seq := schema.Seq(n)
	return &seq, nil
}

func (q *request) ifRow() (*IfRow, error) {
	text := q.r.Header.Get(HeaderIfRowSeq)
	switch text {
	case "":
		return nil, nil
	case "none":
		return &IfRow{Absent: true}, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return nil, invalid("header %s: %q is neither a row's _seq nor none", HeaderIfRowSeq, text)
	}
	return &IfRow{Seq: schema.Seq(n)}, nil
}

// guards reads the headers that hold a writer to the collection's guard.
func (q *request) guards(req *WriteRequest) error {
	req.Fence, req.Producer = q.r.Header.Get("Trine-Fence"), q.r.Header.Get("Trine-Producer")
	text := q.r.Header.Get("Trine-Producer-Seq")
	if (req.Producer == "") != (text == "") {
		return invalid("headers Trine-Producer and Trine-Producer-Seq: want both or none")
	}
	if text == "" {
		return nil
	}
	var err error
	if req.ProducerSeq, err = strconv.ParseUint(text, 10, 63); err != nil {
		return invalid("header Trine-Producer-Seq: %q is not a whole number from 0", text)
	}
	return nil
}

// noGuards refuses those headers where they cannot be obeyed: a client that
// sends one counts on its effect.
func (q *request) noGuards() error {
	for _, name := range []string{"Trine-If-Seq", HeaderIfRowSeq, "Trine-Fence", "Trine-Producer", "Trine-Producer-Seq"} {
		if q.r.Header.Get(name) != "" {
			return invalid("header %s: it is about one collection; write to C/records", name)
		}
	}
	return nil
}

// fenceBody is the body of a POST C/fence.
type fenceBody struct {
	Token   *string `json:"token"`
	IfToken *string `json:"if_token"`
}

// fenceAnswer is the answer to it.
type fenceAnswer struct {
	Token    string `json:"token"`
	Position string `json:"position"`
}

// setFence answers POST C/fence.
func setFence(q *request) error {
	tenant, name, err := q.names()
	if err != nil {
		return err
	}
	body := q.body(maxFenceBytes)
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	var in fenceBody
	if err := dec.Decode(&in); err != nil {
		return body.cause(invalid("body: %v; want {\"token\":…} and perhaps \"if_token\"", err))
	}
	if in.Token == nil || dec.More() {
		return invalid("body: want {\"token\":…} and perhaps \"if_token\"")
	}
	pos, err := q.s.backend.Writer.Fence(q.ctx(), FenceRequest{Tenant: tenant, Collection: name, Token: *in.Token, IfToken: in.IfToken})
	if err != nil {
		return err
	}
	q.setPosition(pos)
	return q.object(http.StatusOK, fenceAnswer{Token: *in.Token, Position: pos.String()})
}

// maxFenceBytes bounds the body of a POST C/fence.
const maxFenceBytes = 4096
