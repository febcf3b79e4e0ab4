package arrowhttp

import (
	"context"
	"iter"
	"strings"

	"github.com/trinedb/trine/schema"
)

// Verifier compares the stores of collections.
type Verifier interface {
	// Verify yields a report for the collection called only ("tenant/name"), or
	// for each if that is "". It yields at most one error, last.
	Verify(ctx context.Context, only string) iter.Seq2[VerifyReport, error]
}

// VerifyReport is what the comparison of a collection's stores found.
type VerifyReport struct {
	Collection  string             `json:"collection"`
	OK          bool               `json:"ok"`
	Changes     schema.Seq         `json:"changes"`   // of the log, folded
	Rows        int64              `json:"rows"`      // that they leave
	LakeRows    int64              `json:"lake_rows"` // of the table
	LakeSeq     schema.Seq         `json:"lake_seq"`  // that the table was compared at
	Differences []VerifyDifference `json:"differences,omitempty"`
	More        int                `json:"more,omitempty"` // differences beyond those told
}

// VerifyDifference is one place where a store is not what the log says.
type VerifyDifference struct {
	Store string `json:"store"`
	Row   string `json:"row"`
	Want  string `json:"want"`
	Got   string `json:"got"`
}

// verify answers POST /v1/verify: a line of NDJSON for each collection, as it
// is compared. It reads every row of every store.
func verify(q *request) error {
	only := q.query.Get("collection")
	if only != "" && strings.Count(only, "/") != 1 {
		return invalid("parameter collection: %q; want tenant/collection", only)
	}
	leave, err := q.s.gates.verifies.enter()
	if err != nil {
		return err
	}
	defer leave()
	return reports(q, q.s.backend.Verifier.Verify(q.ctx(), only))
}
