package lakehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// storeKinds are the kinds of package schema that a store's errors may bear.
var storeKinds = []error{
	schema.ErrNoSpace, schema.ErrInvalid, schema.ErrClosed, schema.ErrCorrupt, schema.ErrUnavailable,
	schema.ErrUnsupported, context.Canceled, context.DeadlineExceeded,
}

// missingIsCorrupt turns the absence of an object that a version names into
// what it is.
func missingIsCorrupt(err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("%w: a table version names it, but there is none", schema.ErrCorrupt)
	}
	return storeError(err)
}

// storeError gives an error of the store a kind of package schema, if it has
// none: what cannot be read or written now may be later.
func storeError(err error) error {
	if err == nil {
		return nil
	}
	for _, kind := range storeKinds {
		if errors.Is(err, kind) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", schema.ErrUnavailable, err)
}

// damage makes an error of a panic: the decoders of Parquet and Avro panic on
// some kinds of damaged bytes. It is deferred around them.
func damage(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: decoder: %v", schema.ErrCorrupt, p)
	}
}
