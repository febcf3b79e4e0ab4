package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// DefaultServer is where `trine serve` listens unless told otherwise.
const DefaultServer = "http://127.0.0.1:7744"

// Options configure a Client. The zero value talks to DefaultServer.
type Options struct {
	Server string       // base URL; default DefaultServer
	Token  string       // bearer token; default none
	HTTP   *http.Client // default: no overall timeout, as scans may be long
	// Retry is how long a request that may be repeated is repeated. Default
	// one minute; negative: never.
	Retry time.Duration
}

// Client talks to one server. It is safe for concurrent use.
type Client struct {
	base    string
	token   string
	http    *http.Client
	retry   time.Duration
	reached atomic.Bool // the server has answered once
}

// New makes a client; it does not connect yet.
func New(o Options) (*Client, error) {
	if o.Server == "" {
		o.Server = DefaultServer
	}
	u, err := url.Parse(o.Server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("server %q: want a URL like %s", o.Server, DefaultServer)
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     time.Minute,
			DisableCompression:  true,
		}}
	}
	if o.Retry == 0 {
		o.Retry = time.Minute
	}
	return &Client{base: strings.TrimRight(o.Server, "/"), token: o.Token, http: o.HTTP, retry: o.Retry}, nil
}

// Ref names a collection.
type Ref struct{ Tenant, Collection string }

// ParseRef reads "tenant/collection".
func ParseRef(s string) (Ref, error) {
	tenant, name, ok := strings.Cut(s, "/")
	if !ok || tenant == "" || name == "" || strings.Contains(name, "/") {
		return Ref{}, fmt.Errorf("collection %q: write it tenant/collection, as in acme/airports", s)
	}
	return Ref{tenant, name}, nil
}

// String is the collection as the command line writes it.
func (r Ref) String() string { return r.Tenant + "/" + r.Collection }

func (r Ref) path(rest ...string) string {
	p := "/v1/tenants/" + url.PathEscape(r.Tenant) + "/collections/" + url.PathEscape(r.Collection)
	for _, part := range rest {
		p += "/" + url.PathEscape(part)
	}
	return p
}

// request is one HTTP exchange.
type request struct {
	method string
	path   string
	query  url.Values
	header http.Header
	body   []byte
	again  bool // may be repeated: it has no effect, or the same
}

// send makes the exchange; an answer of 400 or more is a *Problem. The caller
// closes the body.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	return again(ctx, c, r, func() (*http.Response, error) { return c.sendOnce(ctx, r) })
}

func (c *Client) sendOnce(ctx context.Context, r request) (*http.Response, error) {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("server %s: %w", c.base, err)
	}
	c.reached.Store(true)
	if resp.StatusCode >= http.StatusBadRequest {
		defer resp.Body.Close()
		return nil, readProblem(resp)
	}
	return resp, nil
}

// object makes the exchange and decodes its JSON answer into out, if not nil.
// An answer that breaks off is one that did not come: the exchange is repeated
// if it may be.
func (c *Client) object(ctx context.Context, r request, out any) error {
	_, err := c.objectHeader(ctx, r, out)
	return err
}

// objectHeader is object, and tells the answer's header.
func (c *Client) objectHeader(ctx context.Context, r request, out any) (http.Header, error) {
	type answer struct {
		header http.Header
		body   []byte
	}
	got, err := again(ctx, c, r, func() (answer, error) {
		resp, err := c.sendOnce(ctx, r)
		if err != nil {
			return answer{}, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return answer{}, fmt.Errorf("%s %s: read answer: %w", r.method, r.path, err)
		}
		return answer{resp.Header, body}, nil
	})
	if err != nil || out == nil {
		return got.header, err
	}
	if err := json.Unmarshal(got.body, out); err != nil {
		return nil, fmt.Errorf("%s %s: answer is not what was expected: %w", r.method, r.path, err)
	}
	return got.header, nil
}
