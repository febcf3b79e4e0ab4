package arrowhttp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// Retry says what a client may do about a problem.
type Retry string

// The answers to "does it help to try again?".
const (
	RetryNever       Retry = "never"        // no request like this will succeed
	RetrySame        Retry = "same_request" // the same request, later
	RetryAfterChange Retry = "after_change" // once the request, or what it is about, was changed
)

// Problem is an error answer: RFC 9457, with Trine's members.
type Problem struct {
	Type   string               `json:"type"`  // urn:trine:problem:<code>
	Title  string               `json:"title"` // what the code means
	Status int                  `json:"status"`
	Code   string               `json:"code"`   // stable
	Detail string               `json:"detail"` // what happened this time
	Retry  Retry                `json:"retry"`
	Field  string               `json:"field,omitempty"` // the first thing at fault
	Line   int                  `json:"line,omitempty"`
	Value  string               `json:"value,omitempty"`
	Rule   string               `json:"rule,omitempty"`
	Errors []*schema.FieldError `json:"errors,omitempty"` // all of them, up to schema.MaxFieldErrors
	// What a condition of the request was compared with; the member that is
	// there tells which condition does not hold.
	NextSeq    *schema.Seq `json:"next_seq,omitempty"`    // of the collection
	FirstSeq   *schema.Seq `json:"first_seq,omitempty"`   // of what the log keeps
	FenceToken *string     `json:"fence_token,omitempty"` // "": it has none
	// Written is what is durable of a stream whose batches are atomic each.
	Written *eachAnswer `json:"written,omitempty"`
}

// seqMismatch is an error about a seq that is not the collection's next.
type seqMismatch interface {
	error
	NextSeq() schema.Seq
}

// trimmedLog is an error about a seq that the log no longer keeps.
type trimmedLog interface {
	error
	FirstSeq() schema.Seq
}

// fenceMismatch is an error about a token that is not the collection's.
type fenceMismatch interface {
	error
	FenceToken() string
}

// kind is a row of the table of problems.
type kind struct {
	err    error // errors.Is selects the row; nil: chosen by the code below
	status int
	code   string
	retry  Retry
	title  string
}

// kinds is the one table that maps errors to statuses and codes. The first row
// that matches counts, so an unknown outcome comes before what caused it.
var kinds = []kind{
	{schema.ErrUnknownOutcome, 500, "unknown_outcome", RetrySame, "The write may or may not have landed"},
	{schema.ErrInvalid, 400, "invalid", RetryAfterChange, "The request breaks a rule"},
	{schema.ErrIncompatible, 409, "incompatible", RetryAfterChange, "The change would break readers"},
	{schema.ErrTooLarge, 413, "too_large", RetryAfterChange, "Over a documented limit"},
	{schema.ErrUnsupported, 501, "not_supported", RetryNever, "Not offered"},
	{schema.ErrNotFound, 404, "not_found", RetryAfterChange, "No such thing"},
	{schema.ErrConflict, 409, "conflict", RetryAfterChange, "In conflict with what is stored"},
	{schema.ErrPrecondition, 412, "precondition_failed", RetryAfterChange, "A stated condition does not hold"},
	{schema.ErrTrimmed, 410, "trimmed", RetryAfterChange, "No longer kept"},
	{schema.ErrOverloaded, 503, "overloaded", RetrySame, "Too much at once"},
	{schema.ErrNoSpace, 507, "no_space", RetrySame, "The disk is full"},
	{schema.ErrUnavailable, 503, "unavailable", RetrySame, "A store cannot be reached"},
	{schema.ErrFenced, 503, "fenced", RetrySame, "Another writer took over"},
	{schema.ErrClosed, 503, "closing", RetrySame, "The server is shutting down"},
	{schema.ErrCorrupt, 500, "corrupt", RetryNever, "Stored bytes are not what their format says"},

	{errUnauthorized, 401, "unauthorized", RetryAfterChange, "A valid bearer token is needed"},
	{errNoRoute, 404, "no_such_route", RetryNever, "No such path"},
	{errMethod, 405, "method_not_allowed", RetryNever, "Not a method of this path"},
	{errNotAcceptable, 406, "not_acceptable", RetryAfterChange, "Nothing on offer fits Accept"},
	{errBodyTimeout, 408, "request_timeout", RetrySame, "The body came too slowly"},
	{errMediaType, 415, "unsupported_media_type", RetryAfterChange, "Not a media type of this path"},
	{errBeyondTail, 416, "beyond_tail", RetryAfterChange, "The log has not come so far"},
	{errHeaderSize, 431, "header_too_large", RetryAfterChange, "The request's header is too large"},
	{errLongScan, 422, "scan_too_long", RetryAfterChange, "Too many rows would be read for what is asked"},
	{errNotCaughtUp, 503, "not_caught_up", RetrySame, "The position asked for was not reached in time"},

	{os.ErrDeadlineExceeded, 408, "request_timeout", RetrySame, "The body came too slowly"},
	{context.DeadlineExceeded, 504, "timeout", RetrySame, "It took too long"},
	{context.Canceled, 499, "cancelled", RetrySame, "The client went away"},
}

// internalKind is what an error that the table does not know becomes. Its
// detail is logged and not told, as it may name paths or other tenants.
var internalKind = kind{nil, 500, "internal", RetrySame, "Something broke in Trine"}

// Kinds of failure that only HTTP has.
var (
	errUnauthorized  = errors.New("unauthorized")
	errNoRoute       = errors.New("no such path")
	errMethod        = errors.New("method not allowed")
	errNotAcceptable = errors.New("not acceptable")
	errBodyTimeout   = errors.New("request timeout")
	errMediaType     = errors.New("unsupported media type")
	errBeyondTail    = errors.New("beyond the tail of the log")
	errHeaderSize    = errors.New("header too large")
	errLongScan      = errors.New("scan too long")
	errNotCaughtUp   = errors.New("not caught up")
)

// problemOf finds an error's row in the table and tells its details.
func problemOf(err error) Problem {
	k := internalKind
	for _, row := range kinds {
		if errors.Is(err, row.err) {
			k = row
			break
		}
	}
	p := Problem{
		Type: "urn:trine:problem:" + k.code, Title: k.title, Status: k.status,
		Code: k.code, Retry: k.retry, Detail: err.Error(),
	}
	if k.code == internalKind.code {
		p.Detail = "an internal error; the server's log has more"
	}
	var many schema.FieldErrors
	var one *schema.FieldError
	var broken *definition.Incompatible
	switch {
	case errors.As(err, &broken):
		p.Errors = broken.Problems
	case errors.As(err, &many):
		p.Errors = many[:min(len(many), schema.MaxFieldErrors)]
	case errors.As(err, &one):
		p.Errors = []*schema.FieldError{one}
	}
	var seq seqMismatch
	if errors.As(err, &seq) {
		next := seq.NextSeq()
		p.NextSeq = &next
	}
	var trimmed trimmedLog
	if errors.As(err, &trimmed) {
		first := trimmed.FirstSeq()
		p.FirstSeq = &first
	}
	var fence fenceMismatch
	if errors.As(err, &fence) {
		token := fence.FenceToken()
		p.FenceToken = &token
	}
	var partly *partlyWritten
	if errors.As(err, &partly) {
		p.Written = &partly.written
	}
	if len(p.Errors) > 0 {
		first := p.Errors[0]
		p.Field, p.Line, p.Value, p.Rule = first.Field, first.Line, first.Value, first.Rule
	}
	return p
}

// json is the problem as it is sent.
func (p Problem) json() []byte {
	b, err := json.Marshal(p)
	if err != nil {
		panic("problem: " + err.Error()) // strings and ints only
	}
	return b
}

// fail answers with err's problem. Nothing may have been written yet.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Code == "unknown_outcome" && r.Header.Get("Idempotency-Key") == "" && r.Header.Get("Trine-Producer") == "" {
		p.Retry = RetryNever // nothing would tell the second from the first
		p.Detail += "; without an Idempotency-Key or a Trine-Producer a second try may write it twice: read before trying again"
	}
	s.logProblem(r, p, err)
	h := w.Header()
	for _, name := range []string{"Content-Encoding", "Content-Length", "Content-Disposition", "ETag", "Trailer", "Vary"} {
		h.Del(name)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="trine"`)
	case http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		h.Set("Retry-After", "1")
	case http.StatusRequestTimeout, http.StatusRequestEntityTooLarge:
		h.Set("Connection", "close") // what is left of the body is not read
	}
	body := p.json()
	if s.opts.Iceberg != nil && strings.HasPrefix(r.URL.Path, "/iceberg/") {
		h.Set("Content-Type", "application/json")
		body = p.iceberg()
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

// iceberg is the problem in the form that clients of the Iceberg catalog read.
func (p Problem) iceberg() []byte {
	kinds := map[int]string{
		http.StatusUnauthorized: "NotAuthorizedException", http.StatusForbidden: "ForbiddenException",
		http.StatusServiceUnavailable: "ServiceUnavailableException",
	}
	kind := kinds[p.Status]
	switch {
	case kind != "":
	case p.Status >= http.StatusInternalServerError:
		kind = "InternalServerError"
	default:
		kind = "BadRequestException"
	}
	body, err := json.Marshal(map[string]any{"error": map[string]any{"message": p.Title + ": " + p.Detail, "type": kind, "code": p.Status}})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return body
}

// logProblem tells the operator of what is the server's fault.
func (s *Server) logProblem(r *http.Request, p Problem, err error) {
	if p.Status < 500 || p.Code == "not_supported" {
		return
	}
	level := slog.LevelWarn
	if p.Code == internalKind.code || p.Code == "corrupt" {
		level = slog.LevelError
	}
	s.log.LogAttrs(r.Context(), level, "request failed",
		slog.String("method", r.Method), slog.String("path", r.URL.EscapedPath()),
		slog.String("code", p.Code), slog.Any("error", err))
}
