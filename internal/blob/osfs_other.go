//go:build unix && !linux

package blob

import "errors"

// anonymousTemp makes the probe fall back to files with a name.
func (f *osFS) anonymousTemp() (TempFile, error) { return nil, errors.ErrUnsupported }
