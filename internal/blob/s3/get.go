package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// Get reads a whole object of at most MaxGetBytes. Its checksum is verified if
// the object was made by one request.
func (s *Store) Get(ctx context.Context, name string) ([]byte, error) {
	data, _, err := s.Read(ctx, name)
	return data, err
}

// Read reads a whole object and its Version, together.
func (s *Store) Read(ctx context.Context, name string) ([]byte, blob.Version, error) {
	if err := s.ready(ctx, name); err != nil {
		return nil, blob.Absent, fmt.Errorf("get %s: %w", name, err)
	}
	p, err := s.get(ctx, name, span{whole: true})
	if err != nil {
		return nil, blob.Absent, fmt.Errorf("get %s: %w", name, err)
	}
	return p.data, blob.Version(p.etag), nil
}

// GetRange reads n bytes from off, or from the end if off is negative; fewer
// when the object ends before. It is one request; from the end it reads -off
// bytes and leaves those after n.
func (s *Store) GetRange(ctx context.Context, name string, off, n int64) ([]byte, error) {
	if err := s.ready(ctx, name); err != nil {
		return nil, fmt.Errorf("get %s: %w", name, err)
	}
	n = max(n, 0)
	p, err := s.get(ctx, name, span{off: off, n: max(n, 1)}) // S3 has no empty range
	if err != nil {
		return nil, fmt.Errorf("get %s at %d: %w", name, off, err)
	}
	return p.data[:min(n, int64(len(p.data)))], nil
}

// span is what a GET asks for.
type span struct {
	whole  bool
	off, n int64  // off below 0: from the end
	etag   string // demand this one; empty: any
}

// header is the span as HTTP writes it.
func (x span) header() string {
	if x.off < 0 {
		return fmt.Sprintf("bytes=%d", x.off)
	}
	last := x.off + x.n - 1
	if last < x.off { // it overflowed
		return fmt.Sprintf("bytes=%d-", x.off)
	}
	return fmt.Sprintf("bytes=%d-%d", x.off, last)
}

// piece is what a GET gave.
type piece struct {
	data []byte
	size int64 // of the whole object; -1: beyond the object's end, not known
	etag string
}

// get reads a part of an object or all of it. Beyond the end there is nothing.
func (s *Store) get(ctx context.Context, name string, x span) (p piece, err error) {
	f := s.do(ctx, request{
		verb: VerbGet, idempotent: true, size: x.n, refusal: blob.ErrChanged,
		send: func(ctx context.Context, t *try) (err error) {
			p, err = s.getOnce(ctx, t, name, x)
			return err
		},
	})
	switch {
	case f == nil:
		return p, nil
	case errors.Is(f.err, errBeyond):
		return piece{size: -1}, nil
	case ours(f.err):
		return piece{}, f.err
	}
	if x.etag != "" && errors.Is(f.kind, blob.ErrNotFound) {
		f.err = fmt.Errorf("deleted since it was opened: %w", f.err)
	}
	return piece{}, readError(f)
}

// errBeyond is an answer of its own: the object exists and ends before.
var errBeyond = errors.New("range begins beyond the end")

func (s *Store) getOnce(ctx context.Context, t *try, name string, x span) (piece, error) {
	in := &awss3.GetObjectInput{}
	in.Bucket, in.Key = s.ref(name)
	if x.whole {
		in.ChecksumMode = types.ChecksumModeEnabled
	} else {
		in.Range = aws.String(x.header())
	}
	if x.etag != "" {
		in.IfMatch = aws.String(x.etag)
	}
	out, err := s.client.GetObject(ctx, in)
	if err != nil {
		var response *smithyhttp.ResponseError
		if errors.As(err, &response) && response.HTTPStatusCode() == http.StatusRequestedRangeNotSatisfiable {
			return piece{}, fmt.Errorf("%w: %w", errBeyond, err)
		}
		return piece{}, err
	}
	defer out.Body.Close()
	p := piece{etag: aws.ToString(out.ETag), size: aws.ToInt64(out.ContentLength)}
	want := p.size
	if !x.whole {
		var first int64
		if first, p.size, err = parseContentRange(aws.ToString(out.ContentRange)); err != nil {
			return piece{}, err
		}
		if begin := x.begin(p.size); first != begin {
			return piece{}, fmt.Errorf("store gave bytes from %d on, not from %d", first, begin)
		}
		want = min(x.n, p.size-first)
	}
	if want > MaxGetBytes {
		return piece{}, fmt.Errorf("%d bytes: at most %d are read at once: %w", want, MaxGetBytes, schema.ErrTooLarge)
	}
	t.extend(want)
	p.data, err = readAll(out.Body, want, x.whole)
	return p, err
}

// begin is where the span begins in an object of that size.
func (x span) begin(size int64) int64 {
	if x.off < 0 {
		return max(0, size+x.off)
	}
	return x.off
}

// firstGrant bounds what is allocated because a header says so.
const firstGrant = 16 << 20

// readAll reads n bytes. If these are all, it reads on to the end, where the SDK
// compares the checksum.
func readAll(r io.Reader, n int64, all bool) ([]byte, error) {
	data := make([]byte, min(n, firstGrant))
	got := 0
	for {
		k, err := io.ReadFull(r, data[got:])
		if got += k; err != nil {
			return nil, fmt.Errorf("answer of %d bytes ended after %d: %w", n, got, noEOF(err))
		}
		if int64(got) == n {
			break
		}
		data = append(data, make([]byte, min(n-int64(got), int64(got)))...)
	}
	if all {
		switch k, err := io.CopyN(io.Discard, r, 1); {
		case k != 0:
			return nil, fmt.Errorf("answer is longer than the %d bytes that it was to have", n)
		case err != io.EOF:
			return nil, fmt.Errorf("answer of %d bytes: %w", n, err)
		}
	}
	return data, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseContentRange reads the first byte's place and the object's size.
func parseContentRange(header string) (first, size int64, err error) {
	var last int64
	if _, err := fmt.Sscanf(header, "bytes %d-%d/%d", &first, &last, &size); err != nil ||
		first < 0 || last < first || size <= last {
		return 0, 0, fmt.Errorf("the store gave Content-Range %q for a range: %w", header, schema.ErrUnsupported)
	}
	return first, size, nil
}
