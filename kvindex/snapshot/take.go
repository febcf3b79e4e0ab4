package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// takeTries bounds how often a snapshot is begun anew because another took its
// number.
const takeTries = 8

// Take makes a snapshot of an open index for the owner of its channel in that
// epoch. When it returns, the snapshot is durable and the highest. If the newest
// one is of that epoch and at the index's position already, that is the answer.
//
// It fails with schema.ErrFenced if there is a snapshot of a higher epoch, and
// with schema.ErrClosed when the index is to close. Cancelled or failed, it
// leaves tables that Collect deletes after the next one.
func (s *Snapshots) Take(ctx context.Context, x *kvindex.Index, epoch schema.Epoch) (Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set, err := x.Tables(ctx)
	if err != nil {
		return Info{}, fmt.Errorf("take index snapshot: %w", err)
	}
	defer set.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	joined := make(chan struct{})
	go func() {
		defer close(joined)
		select {
		case <-set.Closing():
			cancel(schema.ErrClosed)
		case <-ctx.Done():
		}
	}()
	defer func() { cancel(nil); <-joined }()
	s.sums.begin(x, set.Files())
	for range takeTries {
		t := &take{s: s, set: set, epoch: epoch}
		var info Info
		info, err = t.run(ctx)
		if err == nil {
			return info, nil
		}
		if !errors.Is(err, errOutrun) {
			break
		}
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return Info{}, fmt.Errorf("take index snapshot at %s: %w", set.Applied(), err)
}

// errOutrun says that another snapshot got the number, or a higher one.
var errOutrun = fmt.Errorf("another snapshot was written meanwhile: %w", schema.ErrUnavailable)

// take is one try.
type take struct {
	s        *Snapshots
	set      *kvindex.TableSet
	epoch    schema.Epoch
	m        manifest
	reuse    map[[sha256.Size]byte]tableEntry // of the newest snapshot
	progress Progress
	uploaded int
	bytes    int64 // uploaded
}

func (t *take) run(ctx context.Context) (Info, error) {
	if done, err := t.begin(ctx); err != nil || done != nil {
		return t.info(done), err
	}
	for _, f := range t.set.Files() {
		t.progress.TotalBytes += f.Bytes
	}
	for _, f := range t.set.Files() {
		if err := t.file(ctx, f); err != nil {
			return Info{}, err
		}
	}
	if err := t.recent(ctx); err != nil {
		return Info{}, err
	}
	t.m.createdMicros = t.s.o.Now().UnixMicro()
	if err := t.m.check(); err != nil {
		return Info{}, err
	}
	err := t.s.o.Store.Put(ctx, manifestName(t.m.channel, t.m.number), bytes.NewReader(t.m.encode()))
	if errors.Is(err, schema.ErrConflict) {
		return Info{}, errOutrun
	}
	if err != nil {
		return Info{}, fmt.Errorf("write manifest %d: %w", t.m.number, err)
	}
	numbers, err := t.s.numbers(ctx)
	if err != nil {
		return Info{}, err
	}
	if len(numbers) == 0 || numbers[0] != t.m.number {
		return Info{}, errOutrun
	}
	t.s.distrust = false
	return t.info(&t.m), nil
}

func (t *take) info(m *manifest) Info {
	if m == nil {
		return Info{}
	}
	info := m.info()
	info.UploadedTables, info.UploadedBytes, info.Held = t.uploaded, t.bytes, t.set.Held()
	return info
}

// begin chooses the number, and what can be named again. If the newest snapshot
// is this one already, that is done; one of another epoch may be of a log that was
// put back to an earlier state since.
func (t *take) begin(ctx context.Context) (done *manifest, err error) {
	t.m = manifest{channel: t.s.o.Channel, epoch: t.epoch, number: 1, position: t.set.Applied()}
	numbers, err := t.s.numbers(ctx)
	if err != nil || len(numbers) == 0 {
		return nil, err
	}
	t.m.number = numbers[0] + 1
	newest, err := t.s.read(ctx, numbers[0])
	switch {
	case unusable(err):
		return nil, nil
	case errors.Is(err, schema.ErrNotFound):
		return nil, errOutrun
	case err != nil:
		return nil, err
	case newest.epoch > t.epoch:
		return nil, fmt.Errorf("snapshot %d is of epoch %d, the channel here of %d: another node took it over, or the log was put back to an earlier state; in that case delete the objects below index/%d: %w",
			newest.number, newest.epoch, t.epoch, t.s.o.Channel, schema.ErrFenced)
	case t.s.distrust:
		return nil, nil
	}
	if err := t.findReusable(ctx, newest); err != nil {
		return nil, err
	}
	if newest.position == t.m.position && newest.epoch == t.epoch && len(t.reuse) > 0 {
		return newest, nil
	}
	return nil, nil
}

// findReusable collects the tables of the newest snapshot; none at all if one of
// them is missing.
func (t *take) findReusable(ctx context.Context, newest *manifest) error {
	there, err := t.s.tablesThere(ctx)
	if err != nil {
		return err
	}
	if missing, ok := newest.missing(there); ok {
		t.s.o.Logger.Error("index snapshot lacks a table; the next one is whole again",
			"snapshot", newest.number, "table", tableName(t.s.o.Channel, missing))
		return nil
	}
	t.reuse = make(map[[sha256.Size]byte]tableEntry, len(newest.tables))
	for _, e := range newest.tables {
		t.reuse[e.hash] = e
	}
	return nil
}

// file names a table on the disk, and uploads it if it is new.
func (t *take) file(ctx context.Context, f kvindex.TableFile) error {
	sum, err := t.s.sums.sum(ctx, f, t.s.limit)
	if err != nil {
		return err
	}
	if t.again(f.Level, f.Bytes, sum) {
		return nil
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return t.upload(ctx, f.Level, f.Bytes, sum, r)
}

// recent names what is in memory only.
func (t *take) recent(ctx context.Context) error {
	// Level 0 has an order, and what is in memory is newer than all files of it.
	first := 0
	for first < len(t.m.tables) && t.m.tables[first].level == 0 {
		first++
	}
	deeper := append([]tableEntry(nil), t.m.tables[first:]...)
	t.m.tables = t.m.tables[:first]
	for data, err := range t.set.Recent(ctx) {
		if err != nil {
			return err
		}
		t.progress.TotalBytes += int64(len(data))
		sum := sha256.Sum256(data)
		if t.again(0, int64(len(data)), sum) {
			continue
		}
		if err := t.upload(ctx, 0, int64(len(data)), sum, bytes.NewReader(data)); err != nil {
			return err
		}
	}
	t.m.tables = append(t.m.tables, deeper...)
	return nil
}

// again names a table of the newest snapshot, if it has that one.
func (t *take) again(level uint8, size int64, sum [sha256.Size]byte) bool {
	old, ok := t.reuse[sum]
	if !ok || old.bytes != size {
		return false
	}
	old.level = level
	t.m.tables = append(t.m.tables, old)
	t.moved(int(size))
	return true
}

func (t *take) upload(ctx context.Context, level uint8, size int64, sum [sha256.Size]byte, r io.Reader) error {
	e := tableEntry{level: level, bytes: size, tableID: tableID{epoch: t.epoch, number: t.m.number, hash: sum}}
	exact := newExactReader(&slowReader{ctx: ctx, r: r, limit: t.s.limit}, size, sum, t.moved)
	err := t.s.o.Store.Put(ctx, tableName(t.s.o.Channel, e.tableID), exact)
	// Taken: by an earlier try of ours, with these bytes.
	if err != nil && !errors.Is(err, schema.ErrConflict) {
		return fmt.Errorf("upload table %x: %w", sum[:8], err)
	}
	t.uploaded++
	t.bytes += size
	t.m.tables = append(t.m.tables, e)
	return nil
}

func (t *take) moved(n int) {
	t.progress.Bytes += int64(n)
	t.s.o.Progress(t.progress)
}
