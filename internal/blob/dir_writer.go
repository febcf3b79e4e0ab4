package blob

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/trinedb/trine/schema"
)

// dirWriter is an object of a Dir in the making.
type dirWriter struct {
	d    *Dir
	name string
	tmp  TempFile
	buf  *bufio.Writer
	done bool
	err  error // of Commit
}

func (d *Dir) create(ctx context.Context, name string) (*dirWriter, error) {
	if err := ready(ctx, name); err != nil {
		return nil, err
	}
	tmp, err := d.fs.Temp()
	if err != nil {
		return nil, kind(err)
	}
	return &dirWriter{d: d, name: name, tmp: tmp}, nil
}

// Write appends to the object.
func (w *dirWriter) Write(p []byte) (int, error) {
	if w.done {
		return 0, fmt.Errorf("write %s: %w", w.name, schema.ErrClosed)
	}
	n, err := w.buf.Write(p)
	if err != nil {
		return n, fmt.Errorf("write %s: %w", w.name, kind(err))
	}
	return n, nil
}

// Commit makes the object visible and durable.
func (w *dirWriter) Commit() error {
	if w.done {
		return w.err
	}
	w.done = true
	defer w.tmp.Close()
	if err := w.buf.Flush(); err != nil {
		w.err = fmt.Errorf("commit %s: %w", w.name, kind(err))
	} else if err := w.publish(); err != nil {
		w.err = fmt.Errorf("commit %s: %w", w.name, err)
	}
	return w.err
}

// Abort drops what was written.
func (w *dirWriter) Abort() error {
	if w.done {
		return nil
	}
	w.done, w.err = true, fmt.Errorf("commit %s: was aborted: %w", w.name, schema.ErrClosed)
	return w.tmp.Close()
}

// publish makes what was written durable and gives it its name.
func (w *dirWriter) publish() error {
	if err := w.tmp.Sync(); err != nil {
		return kind(err)
	}
	return w.finish(w.tmp.Link)
}

// finish gives the file its name and makes that durable.
func (w *dirWriter) finish(name func(string) error) error {
	folder := path.Dir(w.name)
	if err := w.d.ensure(folder); err != nil {
		if err := kind(err); !errors.Is(err, ErrExists) && !errors.Is(err, ErrNotFound) {
			return err
		}
		return fmt.Errorf("%s is not a folder: %v: %w", folder, err, schema.ErrInvalid)
	}
	named := name(w.name)
	if named != nil && !errors.Is(named, fs.ErrExist) {
		return kind(named)
	}
	// Also when the name is taken: perhaps by an earlier try of the caller's, who
	// takes ErrExists for an answer and did not come to sync it.
	if err := w.d.fs.SyncDir(folder); err != nil {
		// The name is there and may or may not last: none of the kinds that
		// promise no effect may be found in this error.
		return fmt.Errorf("sync folder %s: %v", folder, err)
	}
	if named != nil {
		return kind(named)
	}
	return nil
}
