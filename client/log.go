package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// LogOptions say which changes are read. FromSeq, FromTime and Tail exclude
// each other; with none the log is read from its beginning.
type LogOptions struct {
	FromSeq    *uint64
	FromTime   string
	Tail       int64
	Clamp      bool    // take what there is if FromSeq lies beyond the tail or before what is kept, rather than fail
	ToSeq      *uint64 // below it
	UntilTime  string  // before the first change committed at or after it
	Limit      int64
	LimitBytes int64 // of keys, rows and rows before; one change is read however large
	Desc       bool
	Where      string
	Follow     bool
}

func (o LogOptions) values() url.Values {
	q := url.Values{}
	set := func(name, value string, given bool) {
		if given {
			q.Set(name, value)
		}
	}
	seq := func(name string, n *uint64) {
		if n != nil {
			q.Set(name, strconv.FormatUint(*n, 10))
		}
	}
	seq("from_seq", o.FromSeq)
	seq("to_seq", o.ToSeq)
	set("from_time", o.FromTime, o.FromTime != "")
	set("until_time", o.UntilTime, o.UntilTime != "")
	set("tail", strconv.FormatInt(o.Tail, 10), o.Tail > 0)
	set("clamp", "true", o.Clamp)
	set("limit", strconv.FormatInt(o.Limit, 10), o.Limit > 0)
	set("limit_bytes", strconv.FormatInt(o.LimitBytes, 10), o.LimitBytes > 0)
	set("order", "desc", o.Desc)
	set("where", o.Where, o.Where != "")
	set("follow", "true", o.Follow)
	return q
}

// Change is a line of what Log gives.
type Change struct {
	Seq    uint64          `json:"seq"`
	Time   time.Time       `json:"time"` // of the commit
	Op     string          `json:"op"`   // insert, upsert, update or delete
	Record json.RawMessage `json:"record"`
	// Before is the row that an update or a delete put an end to, if the
	// collection kept before images then; else nil.
	Before json.RawMessage `json:"before,omitempty"`
}

// Log reads changes as NDJSON, a Change in each line; the caller closes it. It ends with io.EOF only
// when all that was asked for came, and with ErrIncomplete when it was cut.
func (c *Client) Log(ctx context.Context, ref Ref, o LogOptions) (io.ReadCloser, error) {
	resp, err := c.send(ctx, request{
		method: http.MethodGet, path: ref.path("log"), query: o.values(),
		header: http.Header{"Accept": {NDJSON}},
	})
	if err != nil {
		return nil, fmt.Errorf("read log of %s: %w", ref, err)
	}
	return wholeBody{resp}, nil
}

// LogTail is where a log ends, and how much of it a stretch has.
type LogTail struct {
	FirstSeq uint64  `json:"first_seq"` // the first change that is kept
	NextSeq  uint64  `json:"next_seq"`
	LastTime *string `json:"last_time"` // commit time of the newest change; nil: there is none
	Changes  uint64  `json:"changes"`   // of the stretch, exact
	Bytes    int64   `json:"bytes"`     // of their keys and rows, about
	Position string  `json:"position"`
}

// LogTail tells where a log ends, and how long the stretch is that o's seqs,
// times and Tail name. The log is not read for it.
func (c *Client) LogTail(ctx context.Context, ref Ref, o LogOptions) (LogTail, error) {
	q := o.values()
	for _, name := range []string{"limit", "limit_bytes", "order", "where", "follow"} {
		q.Del(name)
	}
	var out LogTail
	err := c.object(ctx, request{method: http.MethodGet, path: ref.path("log", "tail"), query: q, again: true}, &out)
	return out, err
}

// Trimmed is what a trim came to.
type Trimmed struct {
	FirstSeq uint64 `json:"first_seq"` // the first change that the log keeps
	Position string `json:"position"`
}

// Trim forgets the changes of a log below a seq; index and lake keep their rows.
// It returns when that is durable.
func (c *Client) Trim(ctx context.Context, ref Ref, beforeSeq uint64) (Trimmed, error) {
	body, err := json.Marshal(struct {
		BeforeSeq uint64 `json:"before_seq"`
	}{beforeSeq})
	if err != nil {
		return Trimmed{}, fmt.Errorf("encode trim: %w", err)
	}
	var out Trimmed
	err = c.object(ctx, request{
		method: http.MethodPost, path: ref.path("trim"), body: body, header: http.Header{"Content-Type": {JSON}}, again: true,
	}, &out)
	return out, err
}
