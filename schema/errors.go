package schema

import "errors"

// The kinds of failure that cross package borders. A package wraps one of them
// with what it was doing and to what; arrowhttp maps each to a status, a code
// and whether a retry makes sense.
var (
	// What the user handed in.
	ErrInvalid      = errors.New("invalid")             // breaks a rule; names field, value and way out
	ErrIncompatible = errors.New("incompatible change") // an evolution that would break readers
	ErrTooLarge     = errors.New("too large")           // over a documented limit
	ErrUnsupported  = errors.New("not supported")       // understood, but not offered
	ErrNotFound     = errors.New("not found")           // no such tenant, collection, record, snapshot
	ErrConflict     = errors.New("conflict")            // insert of a key that exists; key reused with another body
	ErrPrecondition = errors.New("precondition failed") // a stated condition (next seq, fence) does not hold
	ErrTrimmed      = errors.New("no longer kept")      // asked for what retention removed

	// What happened to Trine. A write that failed with any of these but
	// ErrUnknownOutcome had no effect and never will.
	ErrOverloaded     = errors.New("overloaded")      // a queue is full: back off and retry
	ErrNoSpace        = errors.New("no space left")   // the disk is full or below its watermark
	ErrUnavailable    = errors.New("unavailable")     // a store cannot be reached, or not yet caught up
	ErrUnknownOutcome = errors.New("outcome unknown") // the write may have landed: retry with its idempotency key
	ErrFenced         = errors.New("fenced")          // another writer owns the channel
	ErrClosed         = errors.New("closed")          // shutting down
	ErrCorrupt        = errors.New("corrupt")         // bytes are not what their format says
)

// FieldError is one thing that is wrong with a record.
type FieldError struct {
	Line  int    `json:"line,omitempty"`  // 1-based line or record of the batch; 0: not known
	Field string `json:"field,omitempty"` // dotted path
	Value string `json:"value,omitempty"` // as it was sent, cut to 64 bytes
	Rule  string `json:"rule"`            // what it breaks, and the way out
}

// Error tells the field, the value and the rule.
func (e *FieldError) Error() string {
	s := e.Rule
	if e.Value != "" {
		s = e.Value + ": " + s
	}
	if e.Field != "" {
		s = "field " + e.Field + ": " + s
	}
	return s
}

// Is makes a FieldError an ErrInvalid.
func (e *FieldError) Is(target error) bool { return target == ErrInvalid }

// FieldErrors are what is wrong with the records of one batch, at most
// MaxFieldErrors of them.
type FieldErrors []*FieldError

// MaxFieldErrors is how many errors of one batch are told.
const MaxFieldErrors = 100

// Error tells the first and counts the rest.
func (e FieldErrors) Error() string {
	if len(e) == 0 {
		return "no errors"
	}
	s := e[0].Error()
	if len(e) > 1 {
		s += " (and more)"
	}
	return s
}

// Is makes FieldErrors an ErrInvalid.
func (e FieldErrors) Is(target error) bool { return target == ErrInvalid }
