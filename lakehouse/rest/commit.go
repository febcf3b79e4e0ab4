package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// maxCommitBytes bounds the body of a commit. Its size does not grow with the rows:
// these are in files that it names.
const maxCommitBytes = 4 << 20

// commit answers POST of a table: requirements and updates of an engine.
func (q *call) commit(namespace, table string) error {
	var body tableChange
	if err := q.body(maxCommitBytes, &body); err != nil {
		return err
	}
	if id := body.Identifier; id != nil && !id.names(namespace, table) {
		return badRequest("identifier: the body is for another table than the path, " + quote(namespace+"."+table))
	}
	ask, err := body.commit()
	if err != nil {
		return err
	}
	location, metadata, err := q.source.Commit(q.r.Context(), namespace, table, ask)
	if err != nil {
		return q.notCommitted(namespace, table, err)
	}
	return q.loaded(namespace, table, location, metadata)
}

// transaction answers POST of transactions/commit. Versions of several tables
// cannot be made in one atomic step, so that it takes one.
func (q *call) transaction() error {
	var body struct {
		Changes []tableChange `json:"table-changes"`
	}
	if err := q.body(maxCommitBytes, &body); err != nil {
		return err
	}
	switch {
	case len(body.Changes) != 1:
		return failure(http.StatusBadRequest, "UnsupportedOperationException",
			fmt.Sprintf("table-changes: %d tables; commit to one table at a time", len(body.Changes)))
	case body.Changes[0].Identifier == nil || len(body.Changes[0].Identifier.Namespace) != 1:
		return badRequest("table-changes: want an identifier with a namespace of one part and a name")
	}
	namespace, table := body.Changes[0].Identifier.Namespace[0], body.Changes[0].Identifier.Name
	if q.scope != "" && q.scope != namespace {
		return noSuchTable(namespace, table)
	}
	ask, err := body.Changes[0].commit()
	if err != nil {
		return err
	}
	if _, _, err := q.source.Commit(q.r.Context(), namespace, table, ask); err != nil {
		return q.notCommitted(namespace, table, err)
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// notCommitted gives a commit's failure the form that tells an engine whether to
// try again.
func (q *call) notCommitted(namespace, table string, err error) error {
	switch {
	case errors.Is(err, schema.ErrNotFound):
		return noSuchTable(namespace, table)
	case errors.Is(err, schema.ErrConflict):
		return failure(http.StatusConflict, "CommitFailedException", err.Error())
	case errors.Is(err, schema.ErrUnsupported):
		return failure(http.StatusBadRequest, "UnsupportedOperationException", err.Error())
	case errors.Is(err, schema.ErrUnknownOutcome):
		q.opts.Logger.Error("outcome of a commit is unknown", "path", q.r.URL.Path, "err", err)
		return failure(http.StatusInternalServerError, "CommitStateUnknownException",
			"the store did not say whether the commit happened: load the table to see")
	}
	return err
}

// body decodes a request's JSON body.
func (q *call) body(limit int64, into any) error {
	raw, err := io.ReadAll(http.MaxBytesReader(q.w, q.r.Body, limit))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return failure(http.StatusRequestEntityTooLarge, "BadRequestException", fmt.Sprintf("the body has more than %d bytes", limit))
	}
	if err != nil {
		return badRequest("the body cannot be read: " + err.Error())
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return badRequest("the body is not as Iceberg's specification has it: " + err.Error())
	}
	return nil
}

func badRequest(message string) error {
	return failure(http.StatusBadRequest, "BadRequestException", message)
}

// identifier is a table's name in a body.
type identifier struct {
	Namespace []string `json:"namespace"`
	Name      string   `json:"name"`
}

func (i *identifier) names(namespace, table string) bool {
	return len(i.Namespace) == 1 && i.Namespace[0] == namespace && i.Name == table
}

// tableChange is a commit as the protocol has it.
type tableChange struct {
	Identifier   *identifier       `json:"identifier"`
	Requirements json.RawMessage   `json:"requirements"`
	Updates      []json.RawMessage `json:"updates"`
}

// maxUpdates bounds the requirements and the updates of one commit.
const maxUpdates = 1000

func (c *tableChange) commit() (ask lakehouse.EngineCommit, err error) {
	if len(c.Updates) > maxUpdates {
		return ask, badRequest(fmt.Sprintf("%d updates in one commit, at most %d", len(c.Updates), maxUpdates))
	}
	if len(c.Requirements) > 0 {
		if err := json.Unmarshal(c.Requirements, &ask.Require); err != nil {
			return ask, badRequest("requirements: " + err.Error())
		}
	}
	if len(ask.Require) > maxUpdates {
		return ask, badRequest(fmt.Sprintf("%d requirements in one commit, at most %d", len(ask.Require), maxUpdates))
	}
	u := updates{ask: &ask}
	for i, raw := range c.Updates {
		if err := u.take(raw); err != nil {
			var known *apiError
			if errors.As(err, &known) {
				return ask, err
			}
			return ask, badRequest(fmt.Sprintf("updates: number %d: %v", i+1, err))
		}
	}
	return ask, u.finish()
}
