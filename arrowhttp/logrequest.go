package arrowhttp

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// logRequest is GET C/log, read. The changes that it selects are those from
// From on, below stop and before until, that match where; order says which of
// them come first, and limit and limitBytes take the first of those.
type logRequest struct {
	ChangesRequest
	first      schema.Seq // that the log keeps, when the request came
	next       schema.Seq // of the log then
	stop       schema.Seq // noSeq: none
	until      int64      // commit time, micros; noTime: none
	untilSeq   schema.Seq // the first change at or after it, or next
	limit      int64      // 0: none
	limitBytes int64      // 0: none
	where      *query.Predicate
	heartbeat  time.Duration // 0: as the form has it
	clamp      bool
	named      bool // From is a seq that the client named
}

// What stands for no bound.
const (
	noSeq  = schema.Seq(math.MaxUint64)
	noTime = int64(math.MaxInt64)
	most   = int64(math.MaxInt64) // of a number in a request
)

// beyondTail refuses to read from where the log has not come.
type beyondTail struct{ from, next schema.Seq }

// Error tells the ways out.
func (b *beyondTail) Error() string {
	return fmt.Sprintf("parameter from_seq: %d is %v, where seq %d comes next; follow=true waits for it, clamp=true reads from the tail", b.from, errBeyondTail, b.next)
}

// Unwrap is the kind.
func (b *beyondTail) Unwrap() error { return errBeyondTail }

// NextSeq is the tail.
func (b *beyondTail) NextSeq() schema.Seq { return b.next }

// logRequest reads the parameters of a log.
func (q *request) logRequest(c *schema.Collection) (req logRequest, err error) {
	order, err := q.choice("order", "asc", "desc")
	if err != nil {
		return req, err
	}
	req.Descending = order == "desc"
	if req.Follow, err = q.flag("follow"); err != nil {
		return req, err
	}
	if req.Follow && req.Descending {
		return req, invalid("parameters follow and order=desc: the future has no newest change to begin with")
	}
	if req.clamp, err = q.flag("clamp"); err != nil {
		return req, err
	}
	if req.limit, err = q.number("limit", 0, 1, most); err != nil {
		return req, err
	}
	if req.limitBytes, err = q.number("limit_bytes", 0, 1, most); err != nil {
		return req, err
	}
	if err := q.heartbeat(&req); err != nil {
		return req, err
	}
	if req.where, err = query.ParseWhere(q.query.Get("where"), c.Schema); err != nil {
		return req, fmt.Errorf("parameter where: %w", err)
	}
	if req.next, err = q.s.backend.Changes.NextSeq(q.ctx(), c); err != nil {
		return req, err
	}
	if req.first, err = q.s.backend.Trimmer.FirstSeq(q.ctx(), c); err != nil {
		return req, err
	}
	if err := q.logStart(c, &req); err != nil {
		return req, err
	}
	if err := q.logEnd(c, &req); err != nil {
		return req, err
	}
	return req, req.settle()
}

// heartbeat reads how often an idle follower hears of the server.
func (q *request) heartbeat(req *logRequest) error {
	text := q.query.Get("heartbeat")
	if text == "" {
		return nil
	}
	if !req.Follow {
		return invalid("parameter heartbeat: only a log that is followed is ever idle; give follow=true")
	}
	d, ok := parseDuration(text)
	if !ok || d < minHeartbeat || d > maxHeartbeat {
		return invalid("parameter heartbeat: %q is not a duration from %s to %s", text, minHeartbeat, maxHeartbeat)
	}
	req.heartbeat = d
	return nil
}

// oneOf is the parameter of those that is given, or "": they exclude each other.
func (q *request) oneOf(what string, names ...string) (string, error) {
	var given []string
	for _, name := range names {
		if q.query.Get(name) != "" {
			given = append(given, name)
		}
	}
	if len(given) > 1 {
		return "", invalid("parameters %s: each says where to %s; give one", strings.Join(given, " and "), what)
	}
	return strings.Join(given, ""), nil
}

// tooEarly refuses to read what a trim has let go.
type tooEarly struct{ from, first schema.Seq }

// Error tells the ways out.
func (t *tooEarly) Error() string {
	return fmt.Sprintf("seq %d is %v: the log begins at seq %d, and clamp=true reads from there", t.from, schema.ErrTrimmed, t.first)
}

// Unwrap is the kind.
func (t *tooEarly) Unwrap() error { return schema.ErrTrimmed }

// FirstSeq is where the log begins.
func (t *tooEarly) FirstSeq() schema.Seq { return t.first }

// logStart reads where a log begins: at its beginning without a parameter. Only a
// seq that is named can lie before what is kept: other bounds take what there is.
func (q *request) logStart(c *schema.Collection, req *logRequest) error {
	given, err := q.oneOf("begin", "from_seq", "from_time", "tail")
	if err != nil {
		return err
	}
	switch given {
	case "from_seq":
		n, err := q.number("from_seq", 0, 0, most)
		req.From, req.named = schema.Seq(n), true
		return err
	case "tail":
		n, err := q.number("tail", 0, 0, most)
		req.From = req.next - min(req.next, schema.Seq(n))
		return err
	case "from_time":
		micros, err := q.time("from_time")
		if err != nil {
			return err
		}
		req.From, err = q.s.backend.Changes.SeqAt(q.ctx(), c, micros)
		return err
	}
	return nil
}

// logEnd reads where a log ends.
func (q *request) logEnd(c *schema.Collection, req *logRequest) error {
	req.stop, req.until, req.untilSeq = noSeq, noTime, noSeq
	if q.query.Get("to_seq") != "" {
		n, err := q.number("to_seq", 0, 0, most)
		if err != nil {
			return err
		}
		if req.stop = schema.Seq(n); q.query.Get("from_seq") != "" && req.stop < req.From {
			return invalid("parameter to_seq: %d lies before from_seq %d", req.stop, req.From)
		}
	}
	if q.query.Get("until_time") == "" {
		return nil
	}
	var err error
	if req.until, err = q.time("until_time"); err != nil {
		return err
	}
	if from := q.query.Get("from_time"); from != "" {
		if at, _ := q.time("from_time"); req.until < at {
			return invalid("parameter until_time: %s lies before from_time %s", q.query.Get("until_time"), from)
		}
	}
	req.untilSeq, err = q.s.backend.Changes.SeqAt(q.ctx(), c, req.until)
	return err
}

// time reads a parameter that is a time, as microseconds.
func (q *request) time(name string) (int64, error) {
	text := q.query.Get(name)
	// A "+" of a zone that was not escaped arrives as a blank.
	v, err := schema.ParseText(timestamptz, strings.ReplaceAll(text, " ", "+"))
	if err != nil || v.IsNull() {
		return 0, invalid("parameter %s: %q is not a time such as 2006-01-02T15:04:05Z", name, text)
	}
	return v.Int(), nil
}

// settle joins where the log begins and ends with what there is of it. A
// follower whose end is there already need not follow.
func (r *logRequest) settle() error {
	if r.From < r.first {
		if r.named && !r.clamp && !r.Descending {
			return &tooEarly{r.From, r.first}
		}
		r.From = r.first
	}
	if r.From > r.next {
		switch {
		case r.clamp:
			r.From = r.next
		case !r.Follow:
			return &beyondTail{r.From, r.next}
		}
	}
	if r.stop <= max(r.From, r.next) || r.untilSeq < r.next {
		r.Follow = false
	}
	r.To = min(r.next, r.stop, r.untilSeq)
	if !r.Follow {
		r.To = max(r.From, r.To) // nothing, where it ends before it begins
	}
	return nil
}

// over reports whether a change lies behind the end of what is asked for.
func (r *logRequest) over(ch schema.Change) bool {
	return !r.Descending && (ch.Seq >= r.stop || ch.TimeMicros >= r.until)
}

// last reports whether nothing that is asked for can come after a change.
func (r *logRequest) last(seq schema.Seq) bool { return !r.Descending && seq+1 >= r.stop }
