package s3test

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
)

// Transport sends requests to the fake in memory, without a socket, so that
// tests under testing/synctest turn its clock. It is an aws.HTTPClient.
type Transport struct{ s *Server }

// Transport reaches the fake whatever a request's host says.
func (s *Server) Transport() Transport { return Transport{s} }

// Do is for the SDK what http.Client's is. Like over a socket, a request goes on
// at the server once the client has given up.
func (t Transport) Do(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	incoming := req.Clone(req.Context())
	incoming.Body = io.NopCloser(bytes.NewReader(body))
	incoming.RequestURI = req.URL.RequestURI()
	rec := &recorder{header: http.Header{}, status: http.StatusOK}
	done := make(chan struct{})
	t.s.enter() // before anyone can wait for it
	go func() {
		defer t.s.leave()
		defer close(done)
		defer func() {
			if r := recover(); r != nil {
				if r != http.ErrAbortHandler {
					panic(r)
				}
				rec.broken = true
			}
		}()
		t.s.ServeHTTP(rec, incoming)
	}()
	select {
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case <-done:
	}
	if rec.broken && !rec.wrote {
		return nil, io.ErrUnexpectedEOF
	}
	resp := &http.Response{
		StatusCode: rec.status, Status: http.StatusText(rec.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: rec.header, ContentLength: -1, Request: req,
	}
	if n, err := strconv.ParseInt(rec.header.Get("Content-Length"), 10, 64); err == nil {
		resp.ContentLength = n
	}
	var content io.Reader = bytes.NewReader(rec.body)
	if rec.broken {
		content = io.MultiReader(content, brokenReader{})
	}
	resp.Body = io.NopCloser(content)
	return resp, nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// recorder is the http.ResponseWriter of a request in memory.
type recorder struct {
	header http.Header
	status int
	body   []byte
	wrote  bool
	broken bool
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) { r.status, r.wrote = status, true }

func (r *recorder) Write(p []byte) (int, error) {
	r.wrote = true
	r.body = append(r.body, p...)
	return len(p), nil
}
