package arrowhttp

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"

	"github.com/trinedb/trine/schema"
)

// route is one operation. The table of them is what the server routes by, what
// its metrics are labelled with, and what openapi.json must list.
//
// Routing is on the escaped path, segment by segment, so that a key part may
// hold a "/" as %2F and nothing is cleaned or redirected behind a client's
// back: net/http's ServeMux would answer a ".." or "//" with a redirect.
type route struct {
	method  string
	pattern string   // as OpenAPI writes it; a last {key} marked rest takes all that is left
	rest    bool     // the last segment takes one or more
	query   []string // the parameters it knows; any other is refused
	open    bool     // served without a token
	lenient bool     // probes and scrapers may send what parameters they like
	handle  func(*request) error

	segments []string
}

// request is one request on its way through a handler.
type request struct {
	s     *Server
	w     *response
	r     *http.Request
	route *route
	path  map[string]string // path parameters, unescaped
	rest  []string          // the rest parameter's segments, unescaped
	query url.Values

	leaveScan func()          // gives the place of a scan back; see openScan
	position  schema.Position // that the answer is good for; see setPosition
	resumed   *resumePoint    // where a scan goes on, or nil
	exhausted bool            // a scan that goes on has given as many rows as were asked for
}

// router finds routes by path.
type router struct{ routes []*route }

func newRouter(routes []*route) *router {
	for _, rt := range routes {
		rt.segments = strings.Split(rt.pattern[1:], "/")
	}
	return &router{routes}
}

// find gives the route of a method and an escaped path, with its parameters
// still escaped. GET serves HEAD. The error is errNoRoute, or errMethod with
// the methods that the path has.
func (rt *router) find(method, path string) (*route, []string, []string, error) {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	var allow []string
	for _, route := range rt.routes {
		params, ok := route.match(segments)
		if !ok {
			continue
		}
		if route.method == method || route.method == http.MethodGet && method == http.MethodHead {
			return route, params, nil, nil
		}
		allow = append(allow, route.method)
		if route.method == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	if allow != nil {
		sort.Strings(allow)
		return nil, nil, allow, fmt.Errorf("%s %s: %w, only %s", method, path, errMethod, strings.Join(allow, ", "))
	}
	return nil, nil, nil, fmt.Errorf("%s: %w; /openapi.json lists them", path, errNoRoute)
}

// match compares segments and gives those that stand for parameters.
func (rt *route) match(segments []string) ([]string, bool) {
	if len(segments) < len(rt.segments) || len(segments) > len(rt.segments) && !rt.rest {
		return nil, false
	}
	for i, want := range rt.segments {
		if want[:1] != "{" && segments[i] != want {
			return nil, false
		}
	}
	params := make([]string, 0, len(segments))
	for i, want := range rt.segments {
		if want[:1] == "{" {
			params = append(params, segments[i])
		}
	}
	return append(params, segments[len(rt.segments):]...), true
}

// bind unescapes a route's parameters into the request.
func (q *request) bind(params []string) error {
	q.path = make(map[string]string, len(params))
	i := 0
	for n, name := range q.route.segments {
		if !strings.HasPrefix(name, "{") {
			continue
		}
		if q.route.rest && n == len(q.route.segments)-1 {
			break
		}
		v, err := unescape(params[i])
		if err != nil {
			return err
		}
		q.path[strings.Trim(name, "{}")] = v
		i++
	}
	for ; i < len(params); i++ {
		v, err := unescape(params[i])
		if err != nil {
			return err
		}
		q.rest = append(q.rest, v)
	}
	return nil
}

func unescape(segment string) (string, error) {
	v, err := url.PathUnescape(segment)
	if err != nil {
		return "", invalid("path segment %q: %v; percent-encode it as UTF-8", segment, err)
	}
	return v, nil
}

// Routes lists the operations that are served, each as "METHOD /path params",
// the query parameters sorted and separated by commas. The Iceberg catalog is
// not among them.
func (s *Server) Routes() []string {
	var out []string
	for _, rt := range s.router.routes {
		names := slices.Sorted(slices.Values(rt.query))
		out = append(out, rt.method+" "+rt.pattern+" "+strings.Join(names, ","))
	}
	return out
}
