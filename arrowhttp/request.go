package arrowhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// Trine's headers.
const (
	HeaderPosition = "Trine-Position"   // of every write and read answer
	HeaderAtLeast  = "Trine-At-Least"   // a read waits for this position …
	HeaderWait     = "Trine-Wait"       // … so long: "5s", or seconds
	HeaderStatus   = "Trine-Status"     // trailer of a stream: complete or error
	HeaderSnapshot = "Trine-Snapshot"   // of a scan: the lake's snapshot
	HeaderRowSeq   = "Trine-Row-Seq"    // of one record: the seq of the change that made it
	HeaderIfRowSeq = "Trine-If-Row-Seq" // of a write of one record: what that must be, or none
	HeaderReplayed = "Trine-Replayed"   // true: an earlier write's answer, given again
	HeaderNextSeq  = "Trine-Next-Seq"   // of a log: the seq that the next change gets
	// HeaderEstimate is how much log a read of it has before it: changes=N,
	// exact, bytes=N of keys and rows, about.
	HeaderEstimate = "Trine-Log-Estimate"
)

// invalid is an error that the client can mend.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", schema.ErrInvalid, fmt.Sprintf(format, args...))
}

func (q *request) ctx() context.Context { return q.r.Context() }

// parseQuery reads the query strictly: a parameter that is not known, or given
// twice, is an error rather than quietly without effect.
func (q *request) parseQuery() error {
	if len(q.r.URL.RawQuery) > MaxQueryBytes {
		return fmt.Errorf("query of %d bytes: %w, at most %d", len(q.r.URL.RawQuery), schema.ErrTooLarge, MaxQueryBytes)
	}
	if q.route.lenient || q.r.URL.RawQuery == "" {
		return nil
	}
	values, err := url.ParseQuery(q.r.URL.RawQuery)
	if err != nil {
		return invalid("query: %v", err)
	}
	for name, vs := range values {
		if !slices.Contains(q.route.query, name) {
			known := strings.Join(q.route.query, ", ")
			if known == "" {
				known = "none"
			}
			return invalid("parameter %q is not one of this path's: %s", name, known)
		}
		if len(vs) > 1 {
			return invalid("parameter %q is given %d times", name, len(vs))
		}
	}
	q.query = values
	return nil
}

// tenant is the path's tenant, its name checked.
func (q *request) tenant() (string, error) {
	name := q.param("tenant")
	return name, definition.CheckName("tenant", name)
}

// names are the path's tenant and collection, their names checked.
func (q *request) names() (tenant, name string, err error) {
	if tenant, err = q.tenant(); err != nil {
		return "", "", err
	}
	name = q.param("collection")
	return tenant, name, definition.CheckName("collection", name)
}

// collection finds the path's collection, after the wait that the request asks
// for, and notes the position that the answer is good for.
func (q *request) collection() (*schema.Collection, error) {
	tenant, name, err := q.names()
	if err != nil {
		return nil, err
	}
	if err := q.await(tenant); err != nil {
		return nil, err
	}
	return q.s.backend.Collections.Get(q.ctx(), tenant, name)
}

// await honours Trine-At-Least, and sets Trine-Position to what every read
// from here on sees.
func (q *request) await(tenant string) error {
	if token := q.r.Header.Get(HeaderAtLeast); token != "" {
		pos, err := schema.ParsePosition(token)
		if err != nil {
			return invalid("header %s: %v", HeaderAtLeast, err)
		}
		limit, err := waitTime(q.r.Header)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(q.ctx(), limit)
		defer cancel()
		if err := q.s.backend.Positions.Wait(ctx, tenant, pos); err != nil {
			if ctx.Err() != nil && q.ctx().Err() == nil && errors.Is(err, ctx.Err()) {
				return fmt.Errorf("position %s after %s: %w, readable is %s",
					pos, limit, errNotCaughtUp, q.s.backend.Positions.Current(tenant))
			}
			return err
		}
	}
	q.setPosition(q.s.backend.Positions.Current(tenant))
	return nil
}

// setPosition notes what the answer is good for, and tells it.
func (q *request) setPosition(p schema.Position) {
	q.position = p
	q.w.Header().Set(HeaderPosition, p.String())
}

// setReplayed tells that an answer is an earlier one's. It is in the header, as
// the body must be the same.
func (q *request) setReplayed(replayed bool) {
	if replayed {
		q.w.Header().Set(HeaderReplayed, "true")
	}
}

// raced explains why a row could not be read when the reason is that the
// collection evolved meanwhile: the row has a shape that its schema of before
// has no room for.
func (q *request) raced(c *schema.Collection, err error) error {
	switch {
	case errors.Is(err, schema.ErrIncompatible):
		err = fmt.Errorf("%w: %v", schema.ErrCorrupt, err) // not the client's doing
	case !errors.Is(err, schema.ErrCorrupt):
		return err
	}
	now, gerr := q.s.backend.Collections.Get(q.ctx(), c.Tenant, c.Name)
	if gerr == nil && now.Schema.ID == c.Schema.ID {
		return err
	}
	return fmt.Errorf("read %s: %w: its schema changed meanwhile; try again", c, schema.ErrUnavailable)
}

// waitTime reads Trine-Wait: a duration, or a number of seconds.
func waitTime(h http.Header) (time.Duration, error) {
	text := h.Get(HeaderWait)
	if text == "" {
		return DefaultWait, nil
	}
	d, ok := parseDuration(text)
	if !ok {
		return 0, invalid("header %s: %q is not a duration such as 5s or 200ms, or is negative", HeaderWait, text)
	}
	return min(d, MaxWait), nil
}

// parseDuration reads a duration that is not negative, or a number of seconds.
func parseDuration(text string) (time.Duration, bool) {
	if d, err := time.ParseDuration(text); err == nil {
		return d, d >= 0
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= 0 && seconds < 1e9) {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// flag reads a boolean parameter.
func (q *request) flag(name string) (bool, error) {
	switch v := q.query.Get(name); v {
	case "", "false", "0":
		return v == "" && q.query.Has(name), nil // "?follow" is "?follow=true"
	case "true", "1":
		return true, nil
	default:
		return false, invalid("parameter %s: %q is neither true nor false", name, v)
	}
}

// number reads a parameter that is a whole number from lo to hi.
func (q *request) number(name string, def, lo, hi int64) (int64, error) {
	text := q.query.Get(name)
	if text == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < lo || n > hi {
		return 0, invalid("parameter %s: %q is not a whole number from %d to %d", name, text, lo, hi)
	}
	return n, nil
}

// choice reads a parameter with a few values, the first being the default.
func (q *request) choice(name string, values ...string) (string, error) {
	v := q.query.Get(name)
	if v == "" {
		return values[0], nil
	}
	if !slices.Contains(values, v) {
		return "", invalid("parameter %s: %q is not one of %s", name, v, strings.Join(values, ", "))
	}
	return v, nil
}

// by is the secondary index that the parameter index names, or nil.
func (q *request) by(c *schema.Collection) (*schema.IndexSpec, error) {
	if !q.query.Has("index") {
		return nil, nil
	}
	name := q.query.Get("index")
	if x, ok := c.Index(name); ok {
		return &x, nil
	}
	names := make([]string, len(c.Indexes))
	for i, x := range c.Indexes {
		names[i] = x.Name
	}
	has := "it has none"
	if len(names) > 0 {
		has = "it has " + strings.Join(names, ", ")
	}
	return nil, fmt.Errorf("parameter index: collection %s has no index %q, %s: %w", c, name, has, schema.ErrNotFound)
}

// columns reads the parameter of that name: names, separated by commas; a name
// that holds a comma or a quote is written in double quotes, as in SQL.
func (q *request) columns() ([]string, error) {
	text := q.query.Get("columns")
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var names []string
	for rest := text; ; {
		name, tail, err := cutColumn(rest)
		if err != nil {
			return nil, err
		}
		if slices.Contains(names, name) {
			return nil, invalid("parameter columns: %q is there twice", name)
		}
		if names = append(names, name); tail == "" {
			return names, nil
		}
		rest = tail[1:]
	}
}

// cutColumn takes the first name; tail is empty or begins with the comma.
func cutColumn(text string) (name, tail string, err error) {
	text = strings.TrimLeft(text, " ")
	if !strings.HasPrefix(text, `"`) {
		i := strings.IndexByte(text, ',')
		if i < 0 {
			i = len(text)
		}
		if name = strings.TrimSpace(text[:i]); name == "" {
			return "", "", invalid("parameter columns: an empty name")
		}
		return name, text[i:], nil
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] != '"':
			b.WriteByte(text[i])
		case i+1 < len(text) && text[i+1] == '"':
			b.WriteByte('"')
			i++
		default:
			tail = strings.TrimLeft(text[i+1:], " ")
			if tail != "" && tail[0] != ',' {
				return "", "", invalid("parameter columns: %q after a quoted name", tail)
			}
			return b.String(), tail, nil
		}
	}
	return "", "", invalid("parameter columns: a quote is not closed")
}
