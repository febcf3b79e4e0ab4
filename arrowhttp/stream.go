package arrowhttp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// stream is the body of an answer of unknown length: buffered, perhaps
// compressed by HTTP, with the trailer that tells how it ended. Nothing is
// sent before its first flush, so a failure until then is a problem.
type stream struct {
	w    *response
	comp interface {
		io.WriteCloser
		Flush() error
	} // nil when it is sent plain
	buf *bufio.Writer
}

// Of a stream's buffer. What Arrow writes is large, and goes around it: all that is
// copied is what does not fill it.
const (
	textBufferBytes  = 64 << 10
	arrowBufferBytes = 4 << 10
)

// newStream sets the header of an answer that streams.
func newStream(w *response, contentType, encoding string) (*stream, error) {
	return newStreamSize(w, contentType, encoding, textBufferBytes)
}

func newStreamSize(w *response, contentType, encoding string, bufferBytes int) (*stream, error) {
	s := &stream{w: w}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept, Accept-Encoding")
	h.Set("Trailer", HeaderStatus)
	h.Set("X-Accel-Buffering", "no") // proxies that know it pass bytes on as they come
	var below io.Writer = w
	var err error
	switch encoding {
	case "gzip":
		s.comp, err = gzip.NewWriterLevel(w, gzip.BestSpeed)
	case "zstd":
		s.comp, err = zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20)) // one goroutine less, little memory
	}
	if err != nil {
		return nil, fmt.Errorf("compress answer: %w", err)
	}
	if s.comp != nil {
		h.Set("Content-Encoding", encoding)
		below = s.comp
	}
	s.buf = bufio.NewWriterSize(below, bufferBytes)
	return s, nil
}

// Write buffers. An error means that the client is gone.
func (s *stream) Write(p []byte) (int, error) {
	n, err := s.buf.Write(p)
	return n, gone(err)
}

// flush sends all that was written.
func (s *stream) flush() error {
	if err := s.buf.Flush(); err != nil {
		return gone(err)
	}
	if s.comp != nil {
		if err := s.comp.Flush(); err != nil {
			return gone(err)
		}
	}
	return gone(s.w.flush())
}

// end ends the body as whole or failed, and says so in the trailer.
func (s *stream) end(status string) error {
	err := s.buf.Flush()
	if s.comp != nil {
		if cerr := s.comp.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		return gone(err)
	}
	if s.w.status == 0 {
		s.w.WriteHeader(http.StatusOK)
	}
	s.w.Header().Set(HeaderStatus, status)
	return nil
}

// The values of the trailer Trine-Status.
const (
	statusComplete = "complete"
	statusError    = "error"
)

// gone makes a failure to write the client's absence, which nobody need hear of.
func gone(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %v", context.Canceled, err)
}
