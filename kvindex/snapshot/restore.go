package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// restoringSuffix is added to the name of an index directory in the making.
const restoringSuffix = ".restoring"

const (
	// restoreWorkers is how many tables are fetched at the same time: one alone
	// waits for the store's answers.
	restoreWorkers = 4
	// restoreLooks bounds how often the list is read again because a file was
	// gone: each time a newer snapshot had come.
	restoreLooks = 5
)

// Discard removes what a restore into dir left that did not come to its end.
func Discard(dir string) error { return os.RemoveAll(dir + restoringSuffix) }

// Restore makes the index directory o.Dir, which must not exist, of the newest
// snapshot that can be used, and tells which. Those that usable fails for are
// passed over, and so are damaged ones, each with a warning. It fails with
// schema.ErrNotFound when none is left.
func (s *Snapshots) Restore(ctx context.Context, o kvindex.Options, usable func(Info) error) (Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range restoreLooks {
		numbers, err := s.numbers(ctx)
		if err != nil {
			return Info{}, err
		}
		info, again, err := s.restoreFirst(ctx, o, numbers, usable)
		if err != nil || !again {
			return info, errors.Join(err, Discard(o.Dir))
		}
	}
	return Info{}, fmt.Errorf("restore index: snapshots go as fast as they are read: %w", schema.ErrUnavailable)
}

// restoreFirst restores the first that it can. again: one was gone, and there is a newer.
func (s *Snapshots) restoreFirst(ctx context.Context, o kvindex.Options, numbers []uint64, usable func(Info) error) (_ Info, again bool, _ error) {
	for _, n := range numbers {
		m, err := s.read(ctx, n)
		if err == nil {
			if err = usable(m.info()); err == nil {
				err = s.restore(ctx, o, m)
			} else {
				err = fmt.Errorf("%w: %w", errRefused, err)
			}
		}
		switch {
		case err == nil:
			return m.info(), false, nil
		case ctx.Err() != nil:
			return Info{}, false, context.Cause(ctx)
		case errors.Is(err, schema.ErrNoSpace):
			return Info{}, false, err
		case errors.Is(err, schema.ErrNotFound):
			if now, lerr := s.numbers(ctx); lerr == nil && len(now) > 0 && now[0] > numbers[0] {
				return Info{}, true, nil
			}
		}
		s.distrust = s.distrust || !errors.Is(err, errRefused)
		s.o.Logger.Error("index snapshot cannot be used", "snapshot", n, "error", err)
	}
	return Info{}, false, fmt.Errorf("restore index: no snapshot that can be used, of %d: %w", len(numbers), schema.ErrNotFound)
}

// errRefused says that a snapshot is whole, and not for this log.
var errRefused = errors.New("refused")

func (s *Snapshots) restore(ctx context.Context, o kvindex.Options, m *manifest) error {
	if err := Discard(o.Dir); err != nil {
		return err
	}
	making := o
	making.Dir += restoringSuffix
	if err := s.fetch(ctx, making.Dir, m); err != nil {
		return err
	}
	if err := checkIndex(ctx, making, m.position); err != nil {
		return err
	}
	if err := os.Rename(making.Dir, o.Dir); err != nil {
		return fmt.Errorf("name restored index: %w", err)
	}
	parent, err := os.Open(filepath.Dir(o.Dir))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// checkIndex opens what was fetched, and demands that it is at the position.
func checkIndex(ctx context.Context, o kvindex.Options, want schema.Position) error {
	o.Catalog = nil // it may read by the index that is being made
	x, err := kvindex.Open(o)
	if err != nil {
		return err
	}
	got := x.Applied()
	if err := x.Close(ctx); err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("index is at %s, its manifest says %s: %w", got, want, schema.ErrCorrupt)
	}
	return nil
}

// fetch makes an index directory of a snapshot's tables.
func (s *Snapshots) fetch(ctx context.Context, dir string, m *manifest) error {
	a, err := kvindex.Assemble(dir)
	if err != nil {
		return err
	}
	f := &fetcher{s: s, progress: Progress{TotalBytes: m.totalBytes()}}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(restoreWorkers)
	for _, t := range m.tables {
		if gctx.Err() != nil {
			break
		}
		file, err := a.Create(t.level)
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		g.Go(func() error { return f.table(gctx, t, file) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return a.Finish()
}

type fetcher struct {
	s        *Snapshots
	mu       sync.Mutex
	progress Progress
}

// table fetches one table into a file, and closes that.
func (f *fetcher) table(ctx context.Context, t tableEntry, file *os.File) (err error) {
	defer func() { err = errors.Join(err, file.Close()) }()
	name := tableName(f.s.o.Channel, t.tableID)
	r, err := f.s.o.Store.Get(ctx, name)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", name, err)
	}
	defer func() { _ = r.Close() }()
	if _, err := io.CopyBuffer(file, newExactReader(r, t.bytes, t.hash, f.moved), make([]byte, partBytes)); err != nil {
		return fmt.Errorf("fetch %s: %w", name, kindOfWrite(err))
	}
	return kindOfWrite(file.Sync())
}

func (f *fetcher) moved(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.progress.Bytes += int64(n)
	f.s.o.Progress(f.progress)
}
