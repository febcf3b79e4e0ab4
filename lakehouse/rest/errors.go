package rest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/trinedb/trine/schema"
)

// apiError is Iceberg's error model.
type apiError struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Code    int    `json:"code"`
}

func (e *apiError) Error() string { return e.Message }

func failure(code int, kind, message string) error {
	return &apiError{Message: message, Type: kind, Code: code}
}

// These are worded as Iceberg's own catalogs do, which its tests look at.

func noSuchNamespace(name string) error {
	return failure(http.StatusNotFound, "NoSuchNamespaceException", "Namespace does not exist: "+shortened(name))
}

func noSuchTable(namespace, table string) error {
	return failure(http.StatusNotFound, "NoSuchTableException", "Table does not exist: "+shortened(namespace+"."+table))
}

func namespaceExists(name string) error {
	return failure(http.StatusConflict, "AlreadyExistsException", "Namespace already exists: "+shortened(name))
}

func tableExists(namespace, table string) error {
	return failure(http.StatusConflict, "AlreadyExistsException", "Table already exists: "+shortened(namespace+"."+table))
}

func (q *call) noSuchRoute() error {
	return failure(http.StatusNotFound, "NoSuchEndpointException", "the catalog does not serve "+q.r.Method+" "+quote(q.r.URL.Path))
}

func (q *call) unsupported() error {
	return failure(http.StatusNotAcceptable, "UnsupportedOperationException",
		"tables are read only here: write records, and change collections, through Trine's own API (/v1/tenants/…)")
}

// quote shortens and quotes what a client sent.
func quote(s string) string { return strconv.Quote(shortened(s)) }

func shortened(s string) string {
	const longest = 128
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	return s
}

// kinds maps the kinds of package schema, first match first.
var kinds = []struct {
	is   error
	code int
	kind string
}{
	{schema.ErrNotFound, http.StatusNotFound, "NotFoundException"},
	{schema.ErrInvalid, http.StatusBadRequest, "BadRequestException"},
	{schema.ErrTooLarge, http.StatusBadRequest, "BadRequestException"},
	{schema.ErrUnsupported, http.StatusNotAcceptable, "UnsupportedOperationException"},
	{schema.ErrConflict, http.StatusServiceUnavailable, "ServiceUnavailableException"}, // a flush that lost a race: try again
	{schema.ErrOverloaded, http.StatusServiceUnavailable, "ServiceUnavailableException"},
	{schema.ErrNoSpace, http.StatusServiceUnavailable, "ServiceUnavailableException"},
	{schema.ErrUnavailable, http.StatusServiceUnavailable, "ServiceUnavailableException"},
	{schema.ErrUnknownOutcome, http.StatusServiceUnavailable, "ServiceUnavailableException"},
	{schema.ErrFenced, http.StatusServiceUnavailable, "ServiceUnavailableException"},
	{schema.ErrClosed, http.StatusServiceUnavailable, "ServiceUnavailableException"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "ServiceUnavailableException"},
}

// fail answers with the error model. The message of a failure of ours is
// logged and not told: it may name files of another tenant.
func (q *call) fail(err error) {
	if q.r.Context().Err() != nil {
		return // nobody is there
	}
	e := &apiError{Message: "internal error", Type: "InternalServerError", Code: http.StatusInternalServerError}
	if !errors.As(err, &e) {
		for _, k := range kinds {
			if errors.Is(err, k.is) {
				e = &apiError{Message: err.Error(), Type: k.kind, Code: k.code}
				break
			}
		}
	}
	if e.Code >= http.StatusInternalServerError {
		q.opts.Logger.Error("catalog request failed", "method", q.r.Method, "path", q.r.URL.Path, "err", err)
		if e.Code == http.StatusServiceUnavailable {
			e.Message = "the catalog cannot serve this now; try again"
			q.w.Header().Set("Retry-After", "1")
		}
	}
	q.w.Header().Set("Content-Type", "application/json")
	q.w.WriteHeader(e.Code)
	if q.r.Method != http.MethodHead {
		_ = json.NewEncoder(q.w).Encode(map[string]*apiError{"error": e})
	}
}

func (q *call) json(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	q.w.Header().Set("Content-Type", "application/json")
	if q.r.Method == http.MethodHead {
		return nil
	}
	_, _ = q.w.Write(body) // an error means that the client is gone
	return nil
}
