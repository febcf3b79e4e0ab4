package sync

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// scanCursor follows a scan through its rows: file by file, then the tail. Of one
// that goes on it leaves out what came before.
type scanCursor struct {
	part  query.ScanPlace // that is being read; Rows are those that came of it
	place query.ScanPlace // where the batch that was yielded last begins
	skip  int64           // rows of the part that the scan before yielded
	again bool
}

func newScanCursor(from *query.ScanPoint) *scanCursor {
	if from == nil {
		return &scanCursor{}
	}
	part := from.Place
	part.Rows = 0
	return &scanCursor{part: part, skip: from.Place.Rows, again: true}
}

// firstFile is the data file that the scan goes on with, nil for all of them.
func (s *scanCursor) firstFile() *uint32 {
	if !s.again {
		return nil
	}
	return &s.part.File
}

// enter says of which part the next batches are.
func (s *scanCursor) enter(part query.ScanPlace) {
	if part.Tail == s.part.Tail && (part.Tail || part.File == s.part.File) {
		return
	}
	s.part, s.skip = part, 0
}

// through passes batches on.
func (s *scanCursor) through(yield func(arrow.RecordBatch, error) bool) func(arrow.RecordBatch, error) bool {
	return func(batch arrow.RecordBatch, err error) bool {
		if err != nil {
			return yield(nil, err)
		}
		n := batch.NumRows()
		skip := min(s.skip, n)
		s.skip -= skip
		s.place = s.part
		s.place.Rows += skip
		s.part.Rows += n
		if skip == n {
			return true
		}
		if skip > 0 {
			batch = batch.NewSlice(skip, n)
		}
		return yield(batch, nil)
	}
}

// state is what the pin reads, nil if that cannot be pinned again.
func (p *scanPin) state() *query.ScanState {
	if p.passing {
		return nil
	}
	s := &query.ScanState{LakeTo: p.lakeTo, From: p.from, To: p.to, Position: p.position}
	if p.snap != nil {
		s.Snapshot = p.snap.ID()
	}
	return s
}

// pinAgain pins a state that an earlier scan read; schema.ErrTrimmed once the table
// or the log no longer has it.
func (e *Engine) pinAgain(ctx context.Context, c *schema.Collection, s *query.ScanState) (*scanPin, error) {
	next, err := e.log.NextSeq(ctx, c.Instance)
	if err != nil {
		return nil, err
	}
	if s.From > s.To || s.To > next {
		return nil, fmt.Errorf("%w: the scan to go on with ends at seq %d, and %s at seq %d", schema.ErrInvalid, s.To, c, next)
	}
	first, err := e.firstSeq(ctx, c.Instance)
	if err != nil {
		return nil, err
	}
	if s.From < s.To && s.From < first {
		return nil, &TrimmedError{From: s.From, First: first}
	}
	p := &scanPin{position: s.Position, lakeTo: s.LakeTo, from: s.From, to: s.To}
	p.hold()
	if c.Schema.Keyed() {
		limit := noLakeFold * e.opts.FoldBytes
		if p.tail, err = e.foldChanges(ctx, c.Instance, s.From, s.To, limit); err != nil {
			return nil, err
		}
		if p.tail.next < p.to && len(p.tail.rows) > 0 {
			return nil, fmt.Errorf("rows to fold from the log hold more than %d bytes: %w", limit, schema.ErrTooLarge)
		}
	}
	if s.Snapshot == 0 {
		return p, nil
	}
	if err := e.pinSnapshotAgain(ctx, c, s.Snapshot, p); err != nil {
		p.unpin()
		return nil, err
	}
	return p, nil
}

// pinSnapshotAgain adds the snapshot to a pin, and the rows of it that the tail
// supersedes. While it is the newest the index knows these; of an earlier one the
// keys are read.
func (e *Engine) pinSnapshotAgain(ctx context.Context, c *schema.Collection, id int64, p *scanPin) error {
	lock := e.tables.acquire(c.Instance)
	defer e.tables.release(c.Instance)
	current, unlock, err := e.lockPinned(ctx, c, lock)
	if err != nil {
		return err
	}
	defer func() { unlock() }()
	if current == nil {
		return fmt.Errorf("snapshot %d of the scan to go on with: the table is gone: %w", id, schema.ErrTrimmed)
	}
	if p.snap, err = current.At(ctx, id); err != nil {
		if errors.Is(err, schema.ErrNotFound) {
			err = fmt.Errorf("%w, snapshot %d has expired", schema.ErrTrimmed, id)
		}
		return fmt.Errorf("scan to go on with: %w", err)
	}
	p.hold()
	if p.tail == nil || len(p.tail.rows) == 0 {
		return nil
	}
	if current.ID() == id {
		p.hide, err = e.locate(ctx, c, p.snap, p.tail.keys(), lock.forward)
		return err
	}
	unlock() // the snapshot is held, and what comes now may take long
	unlock = func() {}
	p.hide, err = supersededRows(ctx, c, p.snap, p.tail)
	return err
}

// supersededRows finds the rows of a snapshot whose keys a fold has by reading all of
// the snapshot's keys.
func supersededRows(ctx context.Context, c *schema.Collection, snap *lakehouse.Snapshot, tail *fold) (map[uint32][]uint32, error) {
	var files []uint32
	for _, f := range snap.Files() {
		files = append(files, f.Ordinal)
	}
	var failed error
	hide := map[uint32][]uint32{}
	for key, place := range placesIn(ctx, c, snap, files, &failed) {
		if tail.has(key) {
			hide[place.File] = append(hide[place.File], place.Row)
		}
	}
	return hide, failed
}
