package ingest

import (
	"errors"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// ErrMediaType is a body in a form that is not read: HTTP's 415. It is an
// schema.ErrUnsupported.
var ErrMediaType = fmt.Errorf("media type %w", schema.ErrUnsupported)

// BatchError is a batch that was refused for its records, but not because they
// are schema.ErrInvalid by themselves (that is schema.FieldErrors): a record
// is too large, a key is there already, a row to patch is not. errors.Is finds
// Kind alone, errors.As also finds schema.FieldErrors.
type BatchError struct {
	Kind    error // schema.ErrTooLarge, ErrConflict or ErrNotFound
	Records schema.FieldErrors
}

// Error tells the kind and the first record's line and rule.
func (e *BatchError) Error() string { return fmt.Sprintf("%v: %s", e.Kind, describe(e.Records)) }

// Is reports whether target is the kind.
func (e *BatchError) Is(target error) bool { return target == e.Kind }

// As gives the records as schema.FieldErrors.
func (e *BatchError) As(target any) bool {
	if p, ok := target.(*schema.FieldErrors); ok {
		*p = e.Records
		return true
	}
	return false
}

func describe(errs schema.FieldErrors) string {
	if len(errs) > 0 && errs[0].Line > 0 {
		return fmt.Sprintf("line %d: %s", errs[0].Line, errs.Error())
	}
	return errs.Error()
}

// errStop ends decoding early: enough is known to refuse the batch.
var errStop = errors.New("stop")

// findings gathers what is wrong with the records of a batch.
type findings struct {
	skip    bool // go on without the bad records
	errs    schema.FieldErrors
	kind    error // schema.ErrTooLarge if a record is; else they are invalid
	skipped int
}

// tell notes what is wrong with a record, which refused then counts.
func (f *findings) tell(e *schema.FieldError) {
	if len(f.errs) < schema.MaxFieldErrors {
		f.errs = append(f.errs, e)
	}
}

// tooLarge is tell for a record over a limit.
func (f *findings) tooLarge(line int, rule string) {
	f.tell(&schema.FieldError{Line: line, Rule: rule})
	if !f.skip {
		f.kind = schema.ErrTooLarge
	}
}

// refused counts a record about which something was told. The error, if any,
// ends the batch.
func (f *findings) refused() error {
	f.skipped++
	if !f.skip && len(f.errs) >= schema.MaxFieldErrors {
		return errStop
	}
	return nil
}

// fatal is an error of the body's form: what follows cannot be read, skipping
// or not.
func (f *findings) fatal(line int, value, rule string) error {
	f.skip = false
	f.tell(&schema.FieldError{Line: line, Value: value, Rule: rule})
	return errStop
}

// err is the error of a batch that is refused, or nil.
func (f *findings) err() error {
	switch {
	case f.skip || len(f.errs) == 0:
		return nil
	case f.kind != nil:
		return &BatchError{Kind: f.kind, Records: f.errs}
	default:
		return f.errs
	}
}
