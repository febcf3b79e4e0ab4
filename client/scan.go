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

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// ErrIncomplete: a scan's stream ended before it was whole.
var ErrIncomplete = errors.New("the stream was cut before its end")

// ScanOptions say what of a collection is read. The zero value reads all.
type ScanOptions struct {
	Columns  []string
	Where    string
	Limit    int64
	AtSeq    *uint64
	Snapshot int64
}

// Scan is a stream of record batches. It is used by one goroutine.
type Scan struct {
	Position string
	body     io.ReadCloser
	reader   *ipc.Reader
	rows     int64
	complete bool
}

// Scan reads a collection as of now.
func (c *Client) Scan(ctx context.Context, ref Ref, o ScanOptions) (*Scan, error) {
	resp, err := c.openScan(ctx, ref, o, Arrow)
	if err != nil {
		return nil, err
	}
	reader, err := ipc.NewReader(resp.Body)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("scan %s: %w: %w", ref, ErrIncomplete, err), resp.Body.Close())
	}
	return &Scan{Position: resp.Header.Get("Trine-Position"), body: resp.Body, reader: reader}, nil
}

// ScanText copies a scan to w as the server writes it: mediaType is NDJSON or
// CSV. ErrIncomplete if it was cut.
func (c *Client) ScanText(ctx context.Context, ref Ref, o ScanOptions, mediaType string, w io.Writer) error {
	resp, err := c.openScan(ctx, ref, o, mediaType)
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

func (c *Client) openScan(ctx context.Context, ref Ref, o ScanOptions, accept string) (*http.Response, error) {
	return c.send(ctx, request{
		method: http.MethodGet, path: ref.path("scan"), query: o.values(), again: true,
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
	return q
}

// Schema is the schema of the batches.
func (s *Scan) Schema() *arrow.Schema { return s.reader.Schema() }

// Next is the next batch, valid until the one after; io.EOF after the last
// batch of a whole stream.
func (s *Scan) Next() (arrow.RecordBatch, error) {
	for s.reader.Next() {
		batch := s.reader.RecordBatch()
		if batch.NumRows() > 0 {
			if s.complete {
				return nil, fmt.Errorf("%w: rows follow its last batch", ErrIncomplete)
			}
			s.rows += batch.NumRows()
			return batch, nil
		}
		if err := s.check(batch); err != nil {
			return nil, err
		}
	}
	if err := s.reader.Err(); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", ErrIncomplete, err)
	}
	if !s.complete {
		return nil, fmt.Errorf("%w, after %d rows", ErrIncomplete, s.rows)
	}
	return nil, io.EOF
}

// check looks whether an empty batch is the one that says how many rows there
// were.
func (s *Scan) check(batch arrow.RecordBatch) error {
	meta, ok := batch.(arrow.RecordBatchWithMetadata)
	if !ok {
		return nil
	}
	md := meta.Metadata()
	if v, ok := md.GetValue("trine.complete"); !ok || v != "true" {
		return nil
	}
	if want, _ := md.GetValue("trine.rows"); want != strconv.FormatInt(s.rows, 10) {
		return fmt.Errorf("%w: it has %d rows and says %s", ErrIncomplete, s.rows, want)
	}
	s.complete = true
	return nil
}

// Close ends the scan.
func (s *Scan) Close() error {
	s.reader.Release()
	return s.body.Close()
}
