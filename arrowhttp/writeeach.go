package arrowhttp

import (
	"math"
	"net/http"

	"github.com/trinedb/trine/schema"
)

// maxStreamBytes is no limit, with room to count one byte more.
const maxStreamBytes = math.MaxInt64 / 2

// eachAnswer is the answer to a write of an Arrow stream in batches.
type eachAnswer struct {
	Batches  int                `json:"batches"` // that are durable
	FirstSeq *schema.Seq        `json:"first_seq"`
	LastSeq  *schema.Seq        `json:"last_seq"`
	Count    int                `json:"count"`
	Position string             `json:"position"`
	Skipped  schema.FieldErrors `json:"skipped,omitempty"`
}

// partlyWritten is a failure that some batches of a stream came before.
type partlyWritten struct {
	error
	written eachAnswer
}

func (e *partlyWritten) Unwrap() error { return e.error }

// writeEach answers a POST C/records with atomic=batch. The body has no limit: what
// is held of it is a batch.
func (q *request) writeEach(req WriteRequest) error {
	body := q.body(maxStreamBytes)
	req.Body = body
	res, err := q.s.backend.Writer.WriteEach(q.ctx(), req)
	a := eachAnswer{Batches: res.Batches, Count: res.Count, Position: res.Position.String(), Skipped: res.Skipped}
	if res.Count > 0 {
		a.FirstSeq, a.LastSeq = &res.FirstSeq, &res.LastSeq
	}
	switch {
	case err != nil && res.Batches > 0:
		return &partlyWritten{body.cause(err), a}
	case err != nil:
		return body.cause(err)
	}
	q.setPosition(res.Position)
	q.setReplayed(res.Replayed)
	return q.object(http.StatusOK, a)
}

// match reads how columns of Arrow find their fields.
func (q *request) match() (schema.ArrowMatch, error) {
	v, err := q.choice("match", "name", "id")
	if v == "id" {
		return schema.MatchIDs, err
	}
	return schema.MatchNames, err
}
