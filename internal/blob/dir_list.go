package blob

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// List tells the names that begin with prefix and lie after the given one, in
// order of their bytes. It sees what exists throughout, and may or may not see
// what comes or goes meanwhile.
func (d *Dir) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		l := lister{d: d, prefix: prefix, after: after, yield: yield}
		folder := "."
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
			folder = prefix[:i]
			if err := CheckName(folder); err != nil {
				yield("", fmt.Errorf("list %s: %w", prefix, err))
				return
			}
		}
		l.walk(ctx, folder)
	}
}

type lister struct {
	d             *Dir
	prefix, after string
	yield         func(string, error) bool
}

// walk yields what is in and below a folder, and reports whether to go on.
func (l *lister) walk(ctx context.Context, folder string) bool {
	if err := ctx.Err(); err != nil {
		return l.fail(err)
	}
	entries, err := l.d.fs.ReadDir(folder)
	if err != nil {
		if err = kind(err); errors.Is(err, ErrNotFound) { // or a file
			return true
		}
		return l.fail(err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		name := e.Name()
		if name[0] == '.' {
			continue
		}
		if folder != "." {
			name = folder + "/" + name
		}
		if e.IsDir() {
			name += "/" // so that the order is that of whole names
		}
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if sub, isDir := strings.CutSuffix(name, "/"); isDir {
			under := strings.HasPrefix(name, l.prefix) || strings.HasPrefix(l.prefix, name)
			done := name < l.after && !strings.HasPrefix(l.after, name)
			if under && !done && !l.walk(ctx, sub) {
				return false
			}
		} else if name > l.after && strings.HasPrefix(name, l.prefix) && !l.yield(name, nil) {
			return false
		}
	}
	return true
}

func (l *lister) fail(err error) bool {
	l.yield("", fmt.Errorf("list %s: %w", l.prefix, err))
	return false
}
