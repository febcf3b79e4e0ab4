package kvindex

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"
	"time"

	"github.com/trinedb/trine/schema"
)

// FormatVersion is the version of the keys and values that tables hold.
const FormatVersion = 3

// TableSet is the index as of one moment, as files that do not change while it
// is open; docs/format/index-snapshot.md says why they fit together. Files that
// compaction has done with stay on the disk, and memtables in memory, until
// Close. It is used by one goroutine.
type TableSet struct {
	x       *Index
	view    *view
	pin     tablePin
	applied schema.Position
	held    time.Duration
	once    sync.Once
}

// TableFile is a table on the disk. Its bytes never change, and within the life
// of an index directory its ID always means this table.
type TableFile struct {
	ID    uint64
	Level uint8
	Bytes int64
	path  string
}

// Open opens the file for reading.
func (f TableFile) Open() (io.ReadCloser, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, fmt.Errorf("open table %d: %w", f.ID, err)
	}
	return file, nil
}

// tablePin keeps an engine's tables as they were at one moment.
type tablePin interface {
	// files are by level, and within a level from the oldest on.
	files() []TableFile
	// recent yields what is in none of the files, as tables of level 0 that are
	// newer than all files; their bytes are the caller's. It can be repeated.
	recent(ctx context.Context) iter.Seq2[[]byte, error]
	release()
}

// errMoving says that tables came or went while they were being pinned.
var errMoving = errors.New("tables are moving")

// Tries to pin the tables: a flush or a compaction is in the way for as long as
// an fsync takes, a flush that waits for compactions for longer.
const (
	pinTries     = 200
	pinRetryMost = 200 * time.Millisecond
)

// Tables takes the index as of Applied. Commits wait while it tries, some
// milliseconds; they do not wait for what is done with the set. It must be
// closed. Close of the index waits for it: ask Closing.
func (x *Index) Tables(ctx context.Context) (*TableSet, error) {
	if err := x.gate.enter(); err != nil {
		return nil, err
	}
	s := &TableSet{x: x}
	wait := time.Millisecond
	for try := 1; ; try++ {
		err := s.take()
		if err == nil {
			return s, nil
		}
		if errors.Is(err, errMoving) && try < pinTries {
			if err = x.gate.alive(ctx); err == nil {
				err = sleep(ctx, wait)
			}
			wait = min(2*wait, pinRetryMost)
			if err == nil {
				continue
			}
		}
		x.gate.leave()
		if errors.Is(err, errMoving) {
			err = fmt.Errorf("%w: %w", schema.ErrUnavailable, err)
		}
		return nil, fmt.Errorf("take the tables of index %s: %w", x.opts.Dir, err)
	}
}

func (s *TableSet) take() error {
	x := s.x
	x.writing.Lock()
	defer x.writing.Unlock()
	if x.failed != nil {
		return x.failed
	}
	start := time.Now()
	s.view = x.pin()
	pin, err := x.eng.pinTables(s.view.ts)
	if err != nil {
		x.unpin(s.view)
		return err
	}
	s.pin, s.applied, s.held = pin, x.progress.applied, time.Since(start)
	return nil
}

// Applied is the position that the tables hold.
func (s *TableSet) Applied() schema.Position { return s.applied }

// Held is for how long commits had to wait.
func (s *TableSet) Held() time.Duration { return s.held }

// Files are the tables on the disk, by level, and within a level from the
// oldest on.
func (s *TableSet) Files() []TableFile { return s.pin.files() }

// Recent yields what is in none of the files, as whole tables of level 0 that
// are newer than all files. It can be repeated, with the same bytes.
func (s *TableSet) Recent(ctx context.Context) iter.Seq2[[]byte, error] { return s.pin.recent(ctx) }

// Closing is closed when the index is to close: who has the set must close it.
func (s *TableSet) Closing() <-chan struct{} { return s.x.gate.closing }

// Close lets the files go. It may be called twice.
func (s *TableSet) Close() {
	s.once.Do(func() {
		s.pin.release()
		s.x.unpin(s.view)
		s.x.gate.leave()
	})
}
