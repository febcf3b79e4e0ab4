package arrowhttp

import (
	"net/http"
	"strconv"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/rowjson"
)

// textSink writes changes as NDJSON or as server-sent events.
type textSink struct {
	out    *stream
	schema *schema.Schema
	sse    bool
	keys   *rowWriter // what a delete shows
	buf    []byte     // pending
	spare  []byte     // being sent
	rows   int64      // in buf
}

func newTextSink(w *response, c *schema.Collection, form, encoding string) (*textSink, error) {
	out, err := newStream(w, form, encoding)
	if err != nil {
		return nil, err
	}
	return &textSink{out: out, schema: c.Schema, sse: form == typeSSE, keys: projectRows(c.Schema, c.Schema.Key)}, nil
}

var timestamptz = schema.Type{Kind: schema.KindTimestamptz}

// add appends {"seq":…,"time":…,"op":…,"record":{…},"before":{…}}. The record of a
// delete is its key; before is left out if there is none.
func (s *textSink) add(ch schema.Change, row, before []schema.Value) {
	b := s.buf
	if s.sse {
		b = append(b, "id: "...)
		b = strconv.AppendUint(b, uint64(ch.Seq), 10)
		b = append(b, "\ndata: "...)
	}
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, uint64(ch.Seq), 10)
	b = append(b, `,"time":`...)
	b = rowjson.AppendValue(b, timestamptz, schema.Int(ch.TimeMicros))
	b = append(b, `,"op":"`...)
	b = append(b, ch.Op.String()...)
	b = append(b, `","record":`...)
	if ch.Op == schema.OpDelete {
		b = s.keys.append(b, row)
	} else {
		b = rowjson.AppendRow(b, s.schema, row)
	}
	if before != nil {
		b = append(b, `,"before":`...)
		b = rowjson.AppendRow(b, s.schema, before)
	}
	b = append(b, "}\n"...)
	if s.sse {
		b = append(b, '\n')
	}
	s.buf = b
	s.rows++
}

// evolve goes on in the new shape: each line stands for itself.
func (s *textSink) evolve(c *schema.Collection) bool {
	s.schema, s.keys = c.Schema, projectRows(c.Schema, c.Schema.Key)
	return true
}

func (s *textSink) pending() (int, bool) { return len(s.buf), len(s.buf) >= pendingTextBytes }

func (s *textSink) take() func() error {
	text, rows := s.buf, s.rows
	s.buf, s.rows = s.spare[:0], 0
	return func() error {
		s.out.w.rows += rows
		_, err := s.out.Write(text)
		if err == nil {
			err = s.out.flush()
		}
		s.spare = text // the next take comes after this
		return err
	}
}

// begin sends the header, so that a follower knows that it is connected.
func (s *textSink) begin() error {
	s.out.w.WriteHeader(http.StatusOK)
	return s.out.flush()
}

// heartbeat keeps proxies from closing an idle stream, and finds clients that
// are gone. NDJSON has no comment to do it with, only empty lines, which not
// every reader passes over.
func (s *textSink) heartbeat(asked bool) error {
	text := ": still here\n\n"
	if !s.sse {
		if text = "\n"; !asked {
			return nil
		}
	}
	if _, err := s.out.Write([]byte(text)); err != nil {
		return err
	}
	return s.out.flush()
}

func (s *textSink) finish() error { return s.out.end(statusComplete) }

// abort tells the problem and cuts the connection: text has no frame that
// could be seen to be incomplete, HTTP's has.
func (s *textSink) abort(p Problem) error {
	text := append([]byte(`{"problem":`), p.json()...)
	if s.sse {
		text = append([]byte("event: problem\ndata: "), p.json()...)
	} else {
		text = append(text, '}')
	}
	_, _ = s.out.Write(append(text, "\n\n"...)) // as far as it goes
	_ = s.out.flush()
	panic(http.ErrAbortHandler)
}
