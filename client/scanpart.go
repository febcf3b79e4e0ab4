package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// scanPart is one answer of a scan.
type scanPart struct {
	position string
	body     io.ReadCloser
	reader   *ipc.Reader
	rows     int64
	complete bool
}

// openPart begins a scan, or goes on with one after a token.
func (c *Client) openPart(ctx context.Context, ref Ref, o ScanOptions, token string) (*scanPart, error) {
	resp, err := c.openScan(ctx, ref, o, Arrow, token)
	if err != nil {
		return nil, err
	}
	reader, err := ipc.NewReader(resp.Body, ipc.WithAllocator(&bodies{}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("scan %s: %w: %w", ref, ErrIncomplete, err), resp.Body.Close())
	}
	return &scanPart{position: resp.Header.Get("Trine-Position"), body: resp.Body, reader: reader}, nil
}

// pause waits before another try, longer with each. It fails once tries have gone on
// for as long as the client repeats requests.
func (c *Client) pause(ctx context.Context, since time.Time, tries int) error {
	wait := min(5*time.Second, 50*time.Millisecond<<min(tries, 10))
	wait = wait/2 + rand.N(wait/2) // so that many clients do not come back together
	if time.Since(since)+wait > c.retry {
		return fmt.Errorf("tried for %s", c.retry)
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next is the next batch that has rows, and its token if it has one; io.EOF after
// the last of a whole stream.
func (p *scanPart) next() (arrow.RecordBatch, string, error) {
	for p.reader.Next() {
		batch := p.reader.RecordBatch()
		if batch.NumRows() > 0 {
			if p.complete {
				return nil, "", fmt.Errorf("%w: rows follow its last batch", ErrIncomplete)
			}
			p.rows += batch.NumRows()
			return batch, said(batch, "trine.resume"), nil
		}
		if err := p.check(batch); err != nil {
			return nil, "", err
		}
	}
	if err := p.reader.Err(); err != nil && !errors.Is(err, io.EOF) {
		return nil, "", fmt.Errorf("%w: %w", ErrIncomplete, err)
	}
	if !p.complete {
		return nil, "", ErrIncomplete
	}
	return nil, "", io.EOF
}

// said is what a batch's metadata says of key; "": nothing.
func said(batch arrow.RecordBatch, key string) string {
	meta, ok := batch.(arrow.RecordBatchWithMetadata)
	if !ok {
		return ""
	}
	value, _ := meta.Metadata().GetValue(key)
	return value
}

// check looks whether an empty batch is the one that says how many rows there
// were.
func (p *scanPart) check(batch arrow.RecordBatch) error {
	if said(batch, "trine.complete") != "true" {
		return nil
	}
	if want := said(batch, "trine.rows"); want != strconv.FormatInt(p.rows, 10) {
		return fmt.Errorf("%w: it has %d rows and says %s", ErrIncomplete, p.rows, want)
	}
	p.complete = true
	return nil
}

func (p *scanPart) close() error {
	p.reader.Release()
	return p.body.Close()
}
