package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// recordPath is where both servers have a record.
const recordPath = "/v1/tenants/" + tenant + "/collections/flights/records/"

// httpGetter asks a server for records over connections that stay open.
type httpGetter struct {
	url    string
	client *http.Client
}

func newHTTPGetter(url string, clients int) *httpGetter {
	return &httpGetter{url: url + recordPath, client: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: clients, DisableCompression: true,
	}}}
}

func (g *httpGetter) close() { g.client.CloseIdleConnections() }

func (g *httpGetter) get(ctx context.Context, id int) error {
	_, err := g.copy(ctx, id, io.Discard)
	return err
}

func (g *httpGetter) copy(ctx context.Context, id int, w io.Writer) (contentType string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+strconv.Itoa(id), nil)
	if err != nil {
		return "", fmt.Errorf("get record %d: %w", id, err)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("get record %d: %w", id, err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return "", fmt.Errorf("get record %d: %w", id, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("get record %d: %s", id, resp.Status)
	}
	return resp.Header.Get("Content-Type"), nil
}

// bareServer answers records by looking them up in a map: the least that a Go
// program can do to answer them.
type bareServer struct {
	url    string
	bytes  int // of a mean answer
	server *http.Server
	served chan error
}

// serveBare serves what our server answers for the keys that are looked up.
func (b *getBench) serveBare(ctx context.Context) (*bareServer, error) {
	g := newHTTPGetter(b.rig.url, 1)
	defer g.close()
	answers, kind, total := make(map[string][]byte, len(b.ids)), "", 0
	for n, id := range b.ids {
		if n%100 == 0 {
			b.o.Progress("read answers", int64(n), int64(len(b.ids)))
		}
		var body limitedBuffer
		var err error
		if kind, err = g.copy(ctx, id, &body); err != nil {
			return nil, err
		}
		answers[strconv.Itoa(id)] = body
		total += len(body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/tenants/{tenant}/collections/{collection}/records/{key}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(answers[r.PathValue("key")])
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &bareServer{
		url: "http://" + ln.Addr().String(), bytes: total / max(len(b.ids), 1),
		server: &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}, served: make(chan error, 1),
	}
	go func() { s.served <- s.server.Serve(ln) }()
	return s, nil
}

func (s *bareServer) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// limitedBuffer keeps one answer.
type limitedBuffer []byte

const maxAnswerBytes = 1 << 20

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(*b)+len(p) > maxAnswerBytes {
		return 0, fmt.Errorf("an answer is longer than %d bytes", maxAnswerBytes)
	}
	*b = append(*b, p...)
	return len(p), nil
}
