package arrowhttp

import (
	"encoding/json"
	"net/http"

	"github.com/trinedb/trine/schema"
)

// trimBody is the body of a POST C/trim.
type trimBody struct {
	BeforeSeq *schema.Seq `json:"before_seq"`
}

// trimAnswer is what it is answered.
type trimAnswer struct {
	FirstSeq schema.Seq `json:"first_seq"` // the first change that is kept
	Position string     `json:"position"`
}

const (
	// maxTrimBytes bounds the body.
	maxTrimBytes = 4096
	wantTrim     = `want {"before_seq":n}, the first seq to be kept`
)

// trimLog answers POST C/trim: it forgets the changes below a seq.
func trimLog(q *request) error {
	c, err := q.collection()
	if err != nil {
		return err
	}
	body := q.body(maxTrimBytes)
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	var in trimBody
	if err := dec.Decode(&in); err != nil {
		return body.cause(invalid("body: %v; %s", err, wantTrim))
	}
	if in.BeforeSeq == nil || dec.More() {
		return invalid("body: %s", wantTrim)
	}
	done, err := q.s.backend.Trimmer.Trim(q.ctx(), c, *in.BeforeSeq)
	if err != nil {
		return err
	}
	q.setPosition(done.Position)
	return q.object(http.StatusOK, trimAnswer{FirstSeq: done.First, Position: done.Position.String()})
}
