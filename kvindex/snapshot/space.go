package snapshot

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/trinedb/trine/schema"
)

// kindOfWrite gives a full disk its kind.
func kindOfWrite(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", schema.ErrNoSpace, err)
	}
	return err
}
