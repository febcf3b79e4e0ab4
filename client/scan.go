package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
)

// ErrIncomplete: a scan's stream ended before it was whole.
var ErrIncomplete = errors.New("the stream was cut before its end")

// ScanOptions say what of a collection is read. The zero value reads all.
type ScanOptions struct {
	Columns  []string
	Where    string
	Limit    int64
	AtSeq    *uint64
	Snapshot int64  // of the lake, without the tail; 0: none in particular
	Tag      string // the same by the name of a tag
}

// Scan is a stream of record batches. It is used by one goroutine. A stream that is
// cut is taken up after its last batch, while the client may repeat a request.
type Scan struct {
	Position string
	part     *scanPart
	rows     int64
	token    string // of the last batch
	done     bool
	again    func(token string, since time.Time, tries int) (*scanPart, error) // nil: never
}

// Scan reads a collection as of now.
func (c *Client) Scan(ctx context.Context, ref Ref, o ScanOptions) (*Scan, error) {
	part, err := c.openPart(ctx, ref, o, "")
	if err != nil {
		return nil, err
	}
	s := &Scan{Position: part.position, part: part}
	if c.retry > 0 {
		s.again = func(token string, since time.Time, tries int) (*scanPart, error) {
			if err := c.pause(ctx, since, tries); err != nil {
				return nil, err
			}
			return c.openPart(ctx, ref, o, token)
		}
	}
	return s, nil
}

// ScanText copies a scan to w as the server writes it: mediaType is NDJSON or
// CSV. ErrIncomplete if it was cut.
func (c *Client) ScanText(ctx context.Context, ref Ref, o ScanOptions, mediaType string, w io.Writer) error {
	resp, err := c.openScan(ctx, ref, o, mediaType, "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, wholeBody{resp}); err != nil {
		return fmt.Errorf("scan %s: %w", ref, err)
	}
	return nil
}

// wholeBody is a body of text, which has no end that could be seen in it: its
// EOF is ErrIncomplete unless the trailer says that it is whole.
type wholeBody struct{ resp *http.Response }

func (b wholeBody) Read(p []byte) (int, error) {
	n, err := b.resp.Body.Read(p)
	switch {
	case err == nil:
	case !errors.Is(err, io.EOF):
		err = fmt.Errorf("%w: %w", ErrIncomplete, err)
	case b.resp.Trailer.Get("Trine-Status") != "complete":
		err = ErrIncomplete
	}
	return n, err
}

func (b wholeBody) Close() error { return b.resp.Body.Close() }

func (c *Client) openScan(ctx context.Context, ref Ref, o ScanOptions, accept, token string) (*http.Response, error) {
	q := o.values()
	if token != "" {
		q.Set("resume", token)
	}
	return c.send(ctx, request{
		method: http.MethodGet, path: ref.path("scan"), query: q, again: true,
		header: http.Header{"Accept": {accept}},
	})
}

func (o ScanOptions) values() url.Values {
	q := url.Values{}
	if len(o.Columns) > 0 {
		q.Set("columns", strings.Join(o.Columns, ","))
	}
	if o.Where != "" {
		q.Set("where", o.Where)
	}
	if o.Limit > 0 {
		q.Set("limit", strconv.FormatInt(o.Limit, 10))
	}
	if o.AtSeq != nil {
		q.Set("at_seq", strconv.FormatUint(*o.AtSeq, 10))
	}
	if o.Snapshot != 0 {
		q.Set("snapshot", strconv.FormatInt(o.Snapshot, 10))
	}
	if o.Tag != "" {
		q.Set("snapshot", o.Tag)
	}
	return q
}

// Schema is the schema of the batches.
func (s *Scan) Schema() *arrow.Schema { return s.part.reader.Schema() }

// Next is the next batch; io.EOF after the last batch of a whole stream. It is valid
// until the one after, which may come to lie where it lay: Retain it to keep it.
func (s *Scan) Next() (arrow.RecordBatch, error) {
	if s.done {
		return nil, io.EOF
	}
	since := time.Now()
	for tries := 0; ; tries++ {
		batch, token, err := s.part.next()
		switch {
		case err == nil:
			s.rows, s.token = s.rows+batch.NumRows(), token
			return batch, nil
		case errors.Is(err, io.EOF) && !errors.Is(err, ErrIncomplete):
			s.done = true
			return nil, io.EOF
		case s.again == nil || s.token == "":
			return nil, fmt.Errorf("%w, after %d rows", err, s.rows)
		}
		if err := s.resume(err, since, tries); err != nil {
			return nil, err
		}
	}
}

// resume goes on in a new stream after the last batch, which was cut by cause.
func (s *Scan) resume(cause error, since time.Time, tries int) error {
	part, err := s.again(s.token, since, tries)
	if errors.Is(err, ErrIncomplete) {
		return nil // cut before its schema: the part at hand ends as it did, and there is another try
	}
	if err != nil {
		return fmt.Errorf("%w, after %d rows; to go on there: %w", cause, s.rows, err)
	}
	after, _ := part.reader.Schema().Metadata().GetValue("trine.resumed")
	if after != s.token || !part.reader.Schema().Equal(s.Schema()) {
		return errors.Join(fmt.Errorf("%w, after %d rows; the server does not go on there", cause, s.rows), part.close())
	}
	old := s.part
	s.part = part
	_ = old.close() // it was cut
	return nil
}

// Close ends the scan.
func (s *Scan) Close() error { return s.part.close() }
