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

	params []string // names in the pattern, in order; a rest's is the last
}

// request is one request on its way through a handler.
type request struct {
	s     *Server
	w     *response
	r     *http.Request
	route *route
	path  []string // path parameters, unescaped: the route's, in order
	rest  []string // the rest parameter's segments, unescaped
	query url.Values

	leaveScan func()          // gives the place of a scan back; see openScan
	position  schema.Position // that the answer is good for; see setPosition
	resumed   *resumePoint    // where a scan goes on, or nil
	exhausted bool            // a scan that goes on has given as many rows as were asked for
}

// param is the path's parameter of that name.
func (q *request) param(name string) string {
	return q.path[slices.Index(q.route.params, name)]
}

// router finds routes by path, segment by segment.
type router struct {
	routes []*route
	root   place
}

// place is where paths with the same beginning stand: either certain segments
// lead on, or any one does, as a parameter.
type place struct {
	next  map[string]*place
	param *place
	here  []*route // one for each method
	rest  []*route // that take what is left, one or more segments
}

func newRouter(routes []*route) *router {
	r := &router{routes: routes}
	for _, rt := range routes {
		at := &r.root
		segments := strings.Split(rt.pattern[1:], "/")
		for i, segment := range segments {
			name, isParam := strings.CutPrefix(segment, "{")
			if isParam {
				rt.params = append(rt.params, strings.TrimSuffix(name, "}"))
			}
			if rt.rest && i == len(segments)-1 {
				at.rest = append(at.rest, rt)
				break
			}
			at = at.lead(segment, isParam)
		}
		if !rt.rest {
			at.here = append(at.here, rt)
		}
	}
	return r
}

// lead makes the way on by a segment.
func (p *place) lead(segment string, isParam bool) *place {
	if isParam {
		if p.param == nil {
			p.param = new(place)
		}
	} else if p.next[segment] == nil {
		if p.next == nil {
			p.next = make(map[string]*place)
		}
		p.next[segment] = new(place)
	}
	if p.param != nil && p.next != nil {
		panic("routes: " + segment + " stands where another has a parameter") // which of them would be meant?
	}
	if isParam {
		return p.param
	}
	return p.next[segment]
}

// find gives the route of a method and an escaped path, with its parameters
// still escaped. GET serves HEAD. The error is errNoRoute, or errMethod with
// the methods that the path has.
func (r *router) find(method, path string) (*route, []string, []string, error) {
	at, params := &r.root, make([]string, 0, maxParams)
	for rest, more := strings.TrimPrefix(path, "/"), true; more; {
		if at.rest != nil {
			return choose(at.rest, method, path, append(params, strings.Split(rest, "/")...))
		}
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if at.param != nil {
			at, params = at.param, append(params, segment)
		} else if at = at.next[segment]; at == nil {
			break
		}
	}
	if at == nil || at.here == nil {
		return nil, nil, nil, fmt.Errorf("%s: %w; /openapi.json lists them", path, errNoRoute)
	}
	return choose(at.here, method, path, params)
}

// maxParams is room for the parameters of most paths.
const maxParams = 4

// choose takes a path's route by the method.
func choose(routes []*route, method, path string, params []string) (*route, []string, []string, error) {
	var allow []string
	for _, rt := range routes {
		if rt.method == method || rt.method == http.MethodGet && method == http.MethodHead {
			return rt, params, nil, nil
		}
		allow = append(allow, rt.method)
		if rt.method == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	sort.Strings(allow)
	return nil, nil, allow, fmt.Errorf("%s %s: %w, only %s", method, path, errMethod, strings.Join(allow, ", "))
}

// bind unescapes a route's parameters, in place, into the request.
func (q *request) bind(params []string) (err error) {
	for i := range params {
		if params[i], err = unescape(params[i]); err != nil {
			return err
		}
	}
	q.path = params
	if q.route.rest {
		single := len(q.route.params) - 1
		q.path, q.rest = params[:single], params[single:]
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
