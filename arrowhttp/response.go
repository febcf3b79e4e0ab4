package arrowhttp

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/trinedb/trine/schema"
)

// response is the way to one client: it counts, and gives up on a client that
// takes no bytes for the stall timeout. It is not safe for concurrent use.
type response struct {
	http.ResponseWriter
	rc    http.ResponseController // of ResponseWriter
	stall time.Duration
	now   func() time.Time

	stalled bool      // the client took no byte for the stall timeout
	status  int       // 0 until the header is written
	first   time.Time // when it was
	bytes   int64
	rows    int64
}

func newResponse(w http.ResponseWriter, r *http.Request, stall time.Duration, now func() time.Time) *response {
	res := &response{ResponseWriter: w, rc: *http.NewResponseController(w), stall: stall, now: now}
	if r.Header.Get("Expect") != "" {
		res.extend() // for the "100 Continue" that net/http writes
	}
	return res
}

// extend moves the write deadline on. A deadline of the connection's last
// request may have passed since; whoever cannot set one has none.
func (w *response) extend() { _ = w.rc.SetWriteDeadline(time.Now().Add(w.stall)) }

// Unwrap lets http.ResponseController reach what lies below.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the status.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status, w.first = status, w.now()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes p in pieces, each of which the client has the stall timeout for.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	var n int
	for {
		piece := p[n:min(len(p), n+writePieceBytes)]
		w.extend()
		m, err := w.ResponseWriter.Write(piece)
		n += m
		w.bytes += int64(m)
		if err != nil || n == len(p) {
			w.note(err)
			return n, err
		}
	}
}

// Flush sends what is buffered. It serves handlers that look for http.Flusher.
func (w *response) Flush() { _ = w.flush() }

// flush sends what is buffered.
func (w *response) flush() error {
	w.extend()
	if err := w.rc.Flush(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		w.note(err)
		return err
	}
	return nil
}

func (w *response) note(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.stalled = true
	}
}

// body is the way from one client: limited in size, and given up when nothing
// comes for the stall timeout. It keeps its first failure, as a decoder above
// may turn it into one of its own.
type body struct {
	r     io.Reader
	rc    *http.ResponseController
	stall time.Duration
	limit int64
	read  int64
	err   error
}

func (q *request) body(limit int64) *body {
	return &body{r: q.r.Body, rc: &q.w.rc, stall: q.s.opts.StallTimeout, limit: limit}
}

// Read reads, and fails with schema.ErrTooLarge past the limit.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if int64(len(p)) > b.limit-b.read+1 {
		p = p[:b.limit-b.read+1] // one more than allowed, to see that there is more
	}
	_ = b.rc.SetReadDeadline(time.Now().Add(b.stall))
	n, err := b.r.Read(p)
	b.read += int64(n)
	if err != nil {
		// Past its body a connection is read only to see the client go, and
		// that must not time out.
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	switch {
	case b.read > b.limit:
		b.err = fmt.Errorf("body: %w, at most %d bytes", schema.ErrTooLarge, b.limit)
		return 0, b.err
	case err == nil || err == io.EOF:
		return n, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.err = fmt.Errorf("no byte of the body for %s: %w", b.stall, errBodyTimeout)
	default:
		b.err = invalid("body ends early: %v", err)
	}
	return n, b.err
}

// cause is the failure of reading the body where there was one, else err.
func (b *body) cause(err error) error {
	if err != nil && b.err != nil {
		return b.err
	}
	return err
}

func stack() string { return string(debug.Stack()) }
