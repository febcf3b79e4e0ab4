package arrowhttp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	stdsync "sync"
	"time"

	"github.com/trinedb/trine/schema"
)

// Server answers HTTP requests. Use its Handler in a server of one's own, with its
// BaseContext, or Serve, which also sets the timeouts and limits that belong to
// connections.
type Server struct {
	opts    Options
	backend Backend
	log     *slog.Logger
	router  *router
	rows    *rowDecoders
	auth    *authenticator
	metrics *metrics
	gates   gates
	spool   *spool
	openapi []byte
	http    *http.Server

	// closing ends follow streams; base, from which the contexts of requests
	// derive, ends every request.
	closing  chan struct{}
	base     context.Context
	stop     context.CancelCauseFunc
	mu       stdsync.Mutex // guards closed, and inFlight.Add against Wait
	closed   bool
	inFlight stdsync.WaitGroup
}

// New makes a server. It starts nothing.
func New(opts Options) (*Server, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	m, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts: opts, backend: opts.Backend, log: opts.Logger,
		auth: newAuthenticator(opts.Tokens), metrics: m, gates: newGates(opts, m),
		spool:   newSpool(opts.SpoolDir, opts.MaxSpoolBytes, opts.Now),
		closing: make(chan struct{}),
	}
	if s.rows, err = newRowDecoders(opts.Backend.Schemas); err != nil {
		return nil, err
	}
	s.base, s.stop = context.WithCancelCause(context.Background())
	s.router = newRouter(s.routes())
	if s.openapi, err = openAPI(opts.Version); err != nil {
		return nil, err
	}
	s.http = &http.Server{
		Handler:           s.Handler(),
		BaseContext:       s.BaseContext,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    2 * MaxHeaderBytes, // what lies between gets a proper problem
		ErrorLog:          slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Handler is the whole surface.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

// BaseContext is for the http.Server that Handler is used in: by it Shutdown can cut
// requests off that outlast its context.
func (s *Server) BaseContext(net.Listener) context.Context { return s.base }

// Serve answers connections of ln until Shutdown, and then returns nil.
func (s *Server) Serve(ln net.Listener) error {
	if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	return nil
}

// Shutdown takes no more requests, ends follow streams cleanly where they
// stand, and waits for the others. When ctx ends first it cuts them off, so
// that each ends as a failed one does, and returns ctx's error. It may be
// called twice.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	s.mu.Unlock()

	err := s.http.Shutdown(ctx) // closes listeners, waits for idle connections
	if werr := s.drain(ctx); err == nil {
		err = werr
	}
	s.stop(fmt.Errorf("%w: the server is shutting down", schema.ErrClosed))
	if err != nil {
		// Cut off, each request still has to write its truncated frame.
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = s.drain(grace)
		_ = s.http.Close()
	}
	return errors.Join(err, s.spool.close())
}

// drain waits until no request is being handled.
func (s *Server) drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		s.inFlight.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter counts a request in, unless the server is closing.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.inFlight.Add(1)
	return true
}

// serveHTTP wraps one request in what all have: limits, routing, access,
// metrics, the log, and an answer whatever happens.
func (s *Server) serveHTTP(rw http.ResponseWriter, r *http.Request) {
	start := s.opts.Now()
	w := newResponse(rw, r, s.opts.StallTimeout, s.opts.Now)
	path := r.URL.EscapedPath()
	if !s.enter() {
		w.Header().Set("Connection", "close")
		s.fail(w, r, fmt.Errorf("%w: the server is shutting down", schema.ErrClosed))
		return
	}
	defer s.inFlight.Done()

	ctx := r.Context()
	route, params, allow, err := s.find(r.Method, path)
	label := "other"
	if route != nil {
		label = route.pattern
	}
	counted := s.metrics.begin(label)
	defer func() {
		now := s.opts.Now()
		s.metrics.end(counted, r.Method, w, start, now)
		if s.log.Enabled(ctx, slog.LevelDebug) {
			s.log.LogAttrs(ctx, slog.LevelDebug, "request",
				slog.String("method", r.Method), slog.String("path", path), slog.Int("status", w.status),
				slog.Int64("bytes", w.bytes), slog.Int64("rows", w.rows), slog.Duration("took", now.Sub(start)))
		}
	}()
	defer s.recover(w, r)

	switch {
	case headerBytes(r) > MaxHeaderBytes:
		err = fmt.Errorf("header of %d bytes: %w, at most %d", headerBytes(r), errHeaderSize, MaxHeaderBytes)
	case route == nil || !route.open:
		if aerr := s.auth.check(r); aerr != nil {
			err = aerr // before telling which paths exist
		}
	}
	if err == nil {
		err = s.handle(route, params, w, r)
	} else if allow != nil && errors.Is(err, errMethod) {
		w.Header().Set("Allow", strings.Join(allow, ", "))
	}
	if err == nil {
		return
	}
	if cause := context.Cause(ctx); errors.Is(err, context.Canceled) && errors.Is(cause, schema.ErrClosed) {
		err = cause
	}
	if w.status != 0 {
		// A handler that streams tells its failures itself; this is one it
		// could not, so no client may take the answer for whole.
		s.logProblem(r, problemOf(err), err)
		panic(http.ErrAbortHandler)
	}
	s.fail(w, r, err)
}

// find is router.find, and the mount of the Iceberg catalog.
func (s *Server) find(method, path string) (*route, []string, []string, error) {
	if s.opts.Iceberg != nil && strings.HasPrefix(path, "/iceberg/") {
		return icebergRoute, nil, nil, nil
	}
	return s.router.find(method, path)
}

// icebergRoute stands for everything under /iceberg/: the catalog has its own
// OpenAPI document, from Apache Iceberg.
var icebergRoute = &route{pattern: "/iceberg/"}

func (s *Server) handle(rt *route, params []string, w *response, r *http.Request) error {
	if rt == icebergRoute {
		http.StripPrefix("/iceberg", s.opts.Iceberg).ServeHTTP(w, r)
		return nil
	}
	q := &request{s: s, w: w, r: r, route: rt}
	if err := q.bind(params); err != nil {
		return err
	}
	if err := q.parseQuery(); err != nil {
		return err
	}
	return rt.handle(q)
}

// recover turns a panic into a problem, or, once there are bytes on the way,
// into a connection that is visibly cut.
func (s *Server) recover(w *response, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	s.log.LogAttrs(r.Context(), slog.LevelError, "request panicked",
		slog.String("method", r.Method), slog.String("path", r.URL.EscapedPath()),
		slog.Any("panic", p), slog.String("stack", stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	s.fail(w, r, fmt.Errorf("panic: %v", p))
}

// headerBytes is about what a request's header took.
func headerBytes(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}
