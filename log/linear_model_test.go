package log_test

import (
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// The questions that clients ask, as S2 models them for its own log: append,
// read and check the tail; and what they are told.
const (
	appends = "append"
	reads   = "read"
	tails   = "tail"
)

type question struct {
	kind  string
	ids   []schema.Instance
	row   string // appends: the same in each collection, and in no other batch
	keyed bool   // appends: with an idempotency key, which is the row
	ifSeq *log.IfSeq
	from  schema.Seq // reads
	least schema.Seq // reads: the answer must tell what is below
}

type reply struct {
	outcome outcome
	seqs    []schema.Seq // appends: by collection
	next    schema.Seq   // reads, tails, refused conditions
	rows    []string     // reads: from from on
	current bool         // not appends that were done: told by who certainly was the owner
}

// streams is the state of the model: the rows of each collection.
type streams map[schema.Instance][]string

func (s streams) find(id schema.Instance, row string) int { return slices.Index(s[id], row) }

// with is s and a batch.
func (s streams) with(q question) streams {
	next := make(streams, len(s)+len(q.ids))
	for id, rows := range s {
		next[id] = rows
	}
	for _, id := range q.ids {
		next[id] = append(slices.Clip(next[id]), q.row)
	}
	return next
}

// step is the sequential log: it tells what s becomes by a question that was
// answered like this, and whether it can have been.
func (s streams) step(q question, a reply) (streams, bool) {
	switch q.kind {
	case appends:
		return s.append(q, a)
	case tails:
		n := schema.Seq(len(s[q.ids[0]]))
		return s, a.next == n || !a.current && a.next < n
	default:
		// Who was replaced without knowing it tells of a moment that has passed.
		rows := s[q.ids[0]]
		if int(a.next) > len(rows) || a.next < q.least || a.current && int(a.next) < len(rows) {
			return s, false
		}
		return s, slices.Equal(rows[q.from:a.next], a.rows)
	}
}

func (s streams) append(q question, a reply) (streams, bool) {
	before := s.find(q.ids[0], q.row) >= 0 // an earlier try
	holds := q.ifSeq == nil || int(q.ifSeq.Seq) == len(s[q.ifSeq.Instance])
	switch a.outcome {
	case failed:
		// Who was replaced without knowing it refuses by what it knows.
		n := schema.Seq(len(s[q.ifSeq.Instance]))
		return s, a.next == n && !before && !holds || !a.current && a.next <= n && a.next != q.ifSeq.Seq
	case unknown:
		if before || !holds {
			return s, true
		}
		return s.with(q), true
	default:
		if before && !q.keyed || !before && !holds {
			return s, false
		}
	}
	then := s
	if !before {
		then = s.with(q)
	}
	for i, id := range q.ids {
		if then.find(id, q.row) != int(a.seqs[i]) {
			return s, false
		}
	}
	return then, true
}

// leadsTo reports whether s may become last by appending.
func (s streams) leadsTo(last streams) bool {
	for id, rows := range s {
		if n := len(rows); n > len(last[id]) || !slices.Equal(rows, last[id][:n]) {
			return false
		}
	}
	return true
}

func (s streams) String() string {
	var b strings.Builder
	for id := schema.Instance(16); id < 21; id++ {
		fmt.Fprintf(&b, "%d:%s ", id, strings.Join(s[id], ","))
	}
	return b.String()
}

var hashSeed = maphash.MakeSeed()

// linear is the model for porcupine of histories that end with a read of
// everything, which gave last: all that was appended before has to lead there.
// That is no demand of its own, it cuts the search short.
func linear(last streams) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return streams{} },
		Step: func(state, in, out any) (bool, any) {
			q, a := in.(question), out.(reply)
			if q.kind == appends && a.outcome == unknown && last.find(q.ids[0], q.row) < 0 {
				return true, state // it never came
			}
			next, ok := state.(streams).step(q, a)
			return ok && next.leadsTo(last), next
		},
		Equal:         func(a, b any) bool { return a.(streams).String() == b.(streams).String() },
		Hash:          func(s any) uint64 { return maphash.String(hashSeed, s.(streams).String()) },
		DescribeState: func(s any) string { return s.(streams).String() },
		DescribeOperation: func(in, out any) string {
			return fmt.Sprintf("%+v → %+v", in, out)
		},
	}
}

// operations are what porcupine checks. An append whose outcome is not known may
// take effect at any time after it was sent, or never.
func (r *recorder) operations() []porcupine.Operation {
	var ops []porcupine.Operation
	for _, o := range r.done {
		end := int64(o.end)
		if o.asked.kind == appends && o.told.outcome == unknown {
			end = math.MaxInt64
		}
		ops = append(ops, porcupine.Operation{ClientId: o.client, Input: o.asked, Output: o.told, Call: int64(o.call), Return: end})
	}
	return ops
}
