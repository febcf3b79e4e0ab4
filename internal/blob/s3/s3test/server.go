// Package s3test is a fake of S3, Standard or Express One Zone, for tests: one
// bucket in memory that keeps conditions as S3 does, has the oddities of each,
// and fails where a test says. It also starts versitygw, a server that others
// wrote, as the judge of whether the fake is right.
//
// What it has of Express: requests need a session, which ends; ETags are random;
// LIST has no order and no StartAfter, and prefixes end with a slash.
//
// Caveats: signatures are not verified, only whose key and token they name.
// Bodies in chunks with trailers, which the SDK sends unless told otherwise,
// are refused.
package s3test

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Options say what the fake is like.
type Options struct {
	Bucket  string // default: bucket, or base--zone--x-s3
	Express bool
	Seed    uint64 // of ETags, the order of LIST, latencies
	// SessionTime is how long a session lasts; default 5 minutes.
	SessionTime time.Duration
	// PageKeys is how many keys LIST gives at once; default 1,000.
	PageKeys int
	// IgnoreConditions makes it a server that must not be used.
	IgnoreConditions bool
	// IgnoreRanges makes GET give whole objects.
	IgnoreRanges bool
}

// Server is the fake, an http.Handler. It is safe for concurrent use.
type Server struct {
	o   Options
	URL string // once started

	mu       sync.Mutex
	idle     *sync.Cond // of mu: active is 0
	active   int        // requests under way
	rng      *rand.Rand
	hook     Hook
	latency  Latency
	count    int
	counts   map[Op]int
	objects  map[string]object
	uploads  map[string]*upload
	sessions map[string]time.Time // token → end
	token    string               // of the long-lived credentials; empty: none needed
	tokens   int
}

// AccessKey is what the fake knows its user by.
const AccessKey = "AKIDTEST"

// New makes a fake that is reached by Transport, or by giving it to a server.
func New(o Options) *Server {
	if o.Bucket == "" {
		o.Bucket = "bucket"
		if o.Express {
			o.Bucket = "base--zone--x-s3"
		}
	}
	if o.SessionTime == 0 {
		o.SessionTime = 5 * time.Minute
	}
	if o.PageKeys == 0 {
		o.PageKeys = 1000
	}
	s := &Server{
		o: o, URL: "http://127.0.0.1", rng: rand.New(rand.NewPCG(o.Seed, 1)), counts: map[Op]int{},
		objects: map[string]object{}, uploads: map[string]*upload{}, sessions: map[string]time.Time{},
	}
	s.idle = sync.NewCond(&s.mu)
	return s
}

// Start makes a fake that listens on the loopback interface until the test ends.
func Start(t testing.TB, o Options) *Server {
	s := New(o)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Bucket is the name of the bucket.
func (s *Server) Bucket() string { return s.o.Bucket }

// Retrieve gives credentials that are good now: the Server is an
// aws.CredentialsProvider.
func (s *Server) Retrieve(context.Context) (aws.Credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return aws.Credentials{AccessKeyID: AccessKey, SecretAccessKey: "secret", SessionToken: s.token}, nil
}

// Expire ends all sessions and credentials that were given so far.
func (s *Server) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
	s.tokens++
	s.token = fmt.Sprintf("token-%d", s.tokens)
}

// Counts tells how many requests of each kind came in, also those that failed.
func (s *Server) Counts() map[Op]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[Op]int{}
	for op, n := range s.counts {
		counts[op] = n
	}
	return counts
}

// Uploads is how many multipart uploads are open.
func (s *Server) Uploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uploads)
}

// Keys is how many objects there are.
func (s *Server) Keys() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.objects)
}

// Peek gives the bytes of an object, past all faults.
func (s *Server) Peek(key string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[key]
	return bytes.Clone(o.data), ok
}

// Wait waits for requests that the client has given up and that land late.
func (s *Server) Wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.active > 0 {
		s.idle.Wait()
	}
}

func (s *Server) enter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active++
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active--; s.active == 0 {
		s.idle.Broadcast()
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.enter()
	defer s.leave()
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	req := &Request{Op: opOf(r, key), Key: key, http: r}
	s.mu.Lock()
	s.count++
	s.counts[req.Op]++
	req.N, req.OpN = s.count, s.counts[req.Op]
	hook := s.hook
	s.mu.Unlock()
	var fault Fault
	if hook != nil {
		fault = hook(req)
	}
	var err error
	if req.body, err = io.ReadAll(r.Body); err != nil {
		panic(http.ErrAbortHandler) // the client broke off: nothing was done
	}
	if bucket != s.o.Bucket {
		s.answer(w, failed(http.StatusNotFound, "NoSuchBucket"), Fault{})
		return
	}
	s.delay(req, fault)
	if fault.Status != 0 {
		s.answer(w, failed(fault.Status, fault.Code), fault)
		return
	}
	result := s.authorize(req)
	if result == nil {
		result = s.act(req)
	}
	if fault.Answer != nil {
		<-fault.Answer
	}
	if fault.Lose {
		panic(http.ErrAbortHandler)
	}
	s.answer(w, result, fault)
}

// act does what a request says, at once for all who look.
func (s *Server) act(req *Request) *result {
	if result := req.verify(); result != nil {
		return result
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch req.Op {
	case Put:
		return s.putLocked(req)
	case Get:
		return s.getLocked(req)
	case Delete:
		delete(s.objects, req.Key)
		return &result{status: http.StatusNoContent}
	case List:
		return s.listLocked(req)
	case Begin:
		return s.beginLocked(req)
	case Part:
		return s.partLocked(req)
	case Complete:
		return s.completeLocked(req)
	case Abort:
		return s.abortLocked(req)
	case Session:
		return s.sessionLocked()
	default:
		return failed(http.StatusNotImplemented, "NotImplemented")
	}
}

// result is an answer in the making.
type result struct {
	status int
	header map[string]string
	body   []byte
}

func failed(status int, code string) *result {
	type Error struct{ Code, Message string }
	body, err := xml.Marshal(Error{code, "of the fake"})
	if err != nil {
		panic(err)
	}
	return &result{status: status, body: body, header: map[string]string{"Content-Type": "application/xml"}}
}

func document(v any) *result {
	body, err := xml.Marshal(v)
	if err != nil {
		panic(err)
	}
	return &result{status: http.StatusOK, body: body, header: map[string]string{"Content-Type": "application/xml"}}
}

func (s *Server) answer(w http.ResponseWriter, r *result, f Fault) {
	for k, v := range r.header {
		w.Header().Set(k, v)
	}
	body := r.body
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.Header().Set("x-amz-request-id", "fake")
	if f.Flip && len(body) > 0 && r.status < 300 {
		body = bytes.Clone(body)
		body[len(body)/2] ^= 4
	}
	if f.Truncate && len(body) > 0 && r.status < 300 {
		body = body[:len(body)/2]
	}
	w.WriteHeader(r.status)
	_, err := w.Write(body)
	if err != nil || f.Truncate {
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		panic(http.ErrAbortHandler)
	}
}
