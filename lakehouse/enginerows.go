package lakehouse

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/schema"
)

// maxAdoptedRows bounds the rows of a keyed table that an engine moves in one
// commit: scans of the table wait until the index has their places.
const maxAdoptedRows = 16 << 20

// examiners is how many of an engine's data files are looked at at once.
const examiners = 8

// survey is what was found of the system columns of a data file's live rows.
type survey struct {
	rows, numbered int64     // numbered: they have a seq
	least, most    int64     // seq, if any is numbered
	stamped        int64     // rows that have a time
	sum            [2]uint64 // of the hashes of key, seq and time

	lineage    [2]uint64 // format version 3: of the hashes of these and row lineage
	identified int64     // rows whose id is in the file
}

// adoptAppend takes rows that an engine adds. A seq is the log's to give, so that
// they must not have one.
func (t *commitTask) adoptAppend(ctx context.Context, d *delta) error {
	if t.collection.Schema.Keyed() {
		return refused("%s has a key, and its rows come from its log: write them through Trine's own API (/v1/tenants/%s/collections/%s/records)",
			t.collection, t.collection.Tenant, t.collection.Name)
	}
	files, err := t.surveyed(ctx, d)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.survey.numbered+f.survey.stamped > 0 {
			return fmt.Errorf("data file %s has rows with %s or %s, which are Trine's to give: leave both out, or null: %w",
				f.told.FilePath(), schema.SeqColumn, schema.TimeColumn, schema.ErrInvalid)
		}
		if f.survey.identified > 0 {
			return fmt.Errorf("data file %s has rows with a %s, which the table gives to new ones: leave it out, or null: %w",
				f.told.FilePath(), lineageFields[0].Name, schema.ErrInvalid)
		}
	}
	t.progress.nextFile, err = t.take(files, t.progress.nextFile, rewriteOrdinals-1)
	return err
}

// adoptReplace takes data files that hold the rows of others.
func (t *commitTask) adoptReplace(ctx context.Context, d *delta) error {
	files, err := t.surveyed(ctx, d)
	if err != nil {
		return err
	}
	var before, after survey
	for _, f := range d.removed {
		s, err := t.surveyFile(ctx, *f, nil)
		if err != nil {
			return err
		}
		before.add(&s)
		t.gone[f.data.ordinal] = true
	}
	for _, f := range files {
		after.add(&f.survey)
	}
	switch {
	case !before.holdsRowsOf(&after):
		return fmt.Errorf("the files that come do not hold the rows of those that go (%d rows for %d): "+
			"they were changed meanwhile, or the operation is no replace: %w", after.rows, before.rows, schema.ErrConflict)
	case before.lineage != after.lineage:
		return refused("%s and %s of rows that move are not kept, which format version 3 demands: rewrite with an engine that does, or by trine lake compact %s",
			lineageFields[0].Name, lineageFields[1].Name, t.collection)
	}
	if t.collection.Schema.Keyed() && after.rows > maxAdoptedRows {
		return refused("%d rows moved in one commit, at most %d where there is a key: commit groups of files one by one "+
			"(partial-progress.enabled, max-file-group-size-bytes)", after.rows, maxAdoptedRows)
	}
	t.progress.nextRewrite, err = t.take(files, t.progress.nextRewrite, 1<<32-1)
	return err
}

// surveyed examines the files that a commit brings, several at a time.
func (t *commitTask) surveyed(ctx context.Context, d *delta) ([]*engineFile, error) {
	files := make([]*engineFile, len(d.added))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(examiners)
	for i := range d.added {
		group.Go(func() error {
			f, err := t.examine(ctx, d.added[i], d.names[i])
			if err != nil {
				return err
			}
			e, err := t.entry(f, 0)
			if err != nil {
				return err
			}
			if f.survey, err = t.surveyFile(ctx, tableFile{data: e}, f.unsure); err == nil {
				err = t.checkPartition(ctx, e)
			}
			if errors.Is(err, schema.ErrCorrupt) {
				err = fmt.Errorf("%w: %v", schema.ErrInvalid, err)
			}
			files[i] = f
			return err
		})
	}
	return files, group.Wait()
}

// take gives files their ordinals, from next on.
func (t *commitTask) take(files []*engineFile, next uint32, last uint32) (uint32, error) {
	for _, f := range files {
		if next == last {
			return 0, fmt.Errorf("table has had %d data files: %w", next, schema.ErrTooLarge)
		}
		e, err := t.entry(f, next)
		if err != nil {
			return 0, err
		}
		t.added = append(t.added, e)
		next++
	}
	return next, nil
}

// surveyFile reads key and system columns of a file's live rows, and those of
// fields that must not be null.
func (t *commitTask) surveyFile(ctx context.Context, f tableFile, unsure []int) (s survey, err error) {
	sch := t.collection.Schema
	columns := append(append([]int{}, sch.Key...), unsure...)
	traced := t.base.FormatVersion() >= vectorsVersion
	opts := &ReadOptions{Schema: sch, Columns: columns, System: true, lineage: traced}
	if err := opts.validate(); err != nil {
		return s, err
	}
	err = t.lake.decode(ctx, []*tableFile{&f}, opts, traced, func(_ *tableFile, rows []uint32, batch arrow.RecordBatch) error {
		for i, at := range unsure {
			if n := batch.Column(len(sch.Key) + i).NullN(); n > 0 {
				return fmt.Errorf("data file %s: %d rows have no %s, which is required: %w", f.data.file.FilePath(), n, sch.Fields[at].Name, schema.ErrInvalid)
			}
		}
		var trace func(row int) (lineage, bool)
		if traced {
			var err error
			if trace, err = tracer(f.data, rows, batch); err != nil {
				return err
			}
		}
		return s.batch(sch, batch, trace)
	})
	return s, err
}

// tracer tells the lineage of a batch's rows, which are those of a file, and whether
// the file has their ids; its columns are the last ones.
func tracer(e *entry, rows []uint32, batch arrow.RecordBatch) (func(row int) (lineage, bool), error) {
	at := int(batch.NumCols()) - len(lineageFields)
	ids, ok1 := batch.Column(at).(*array.Int64)
	updates, ok2 := batch.Column(at + 1).(*array.Int64)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("columns of row lineage are a %s and a %s: %w", batch.Column(at).DataType(), batch.Column(at+1).DataType(), schema.ErrInvalid)
	}
	return func(row int) (lineage, bool) {
		var own lineage
		if ids.IsValid(row) {
			own.id = schema.Int(ids.Value(row))
		}
		if updates.IsValid(row) {
			own.updated = schema.Int(updates.Value(row))
		}
		return own.or(e.inherited(rows[row])), ids.IsValid(row)
	}, nil
}

// batch adds the rows of a batch; trace tells their lineage, nil: they have none.
func (s *survey) batch(sch *schema.Schema, batch arrow.RecordBatch, trace func(row int) (lineage, bool)) error {
	read := make([]func(int) schema.Value, len(sch.Key))
	for i, c := range sch.Key {
		var err error
		if read[i], err = valueReader(sch.Fields[c].Type, batch.Column(i)); err != nil {
			return err
		}
	}
	at := int(batch.NumCols()) - len(systemFields)
	if trace != nil {
		at -= len(lineageFields)
	}
	seqs, ok1 := batch.Column(at).(*array.Int64)
	times, ok2 := batch.Column(at + 1).(*array.Timestamp)
	if !ok1 || !ok2 {
		return fmt.Errorf("system columns are a %s and a %s: %w", batch.Column(at).DataType(), batch.Column(at+1).DataType(), schema.ErrInvalid)
	}
	key, buf := make([]schema.Value, len(read)), []byte(nil)
	for row := range int(batch.NumRows()) {
		for i := range key {
			key[i] = read[i](row)
		}
		buf = sch.AppendKeyParts(buf[:0], key)
		buf = appendNullable(buf, seqs.IsValid(row), seqs.Value(row))
		buf = appendNullable(buf, times.IsValid(row), int64(times.Value(row)))
		h := xxh3.Hash128(buf)
		one := survey{rows: 1, sum: [2]uint64{h.Hi, h.Lo}}
		if trace != nil {
			l, own := trace(row)
			buf = appendNullable(buf, !l.id.IsNull(), l.id.Int())
			buf = appendNullable(buf, !l.updated.IsNull(), l.updated.Int())
			h = xxh3.Hash128(buf)
			one.lineage = [2]uint64{h.Hi, h.Lo}
			if own {
				one.identified = 1
			}
		}
		if seqs.IsValid(row) {
			one.numbered, one.least, one.most = 1, seqs.Value(row), seqs.Value(row)
		}
		if times.IsValid(row) {
			one.stamped = 1
		}
		s.add(&one)
	}
	return nil
}

// appendNullable adds a value that may be null, nulls unlike any value.
func appendNullable(buf []byte, valid bool, v int64) []byte {
	if !valid {
		return append(buf, 0)
	}
	return binary.BigEndian.AppendUint64(append(buf, 1), uint64(v))
}

// add joins what was found of other rows. The sums do not depend on their order.
func (s *survey) add(o *survey) {
	switch {
	case o.numbered == 0:
	case s.numbered == 0:
		s.least, s.most = o.least, o.most
	default:
		s.least, s.most = min(s.least, o.least), max(s.most, o.most)
	}
	s.rows, s.numbered, s.stamped = s.rows+o.rows, s.numbered+o.numbered, s.stamped+o.stamped
	s.identified += o.identified
	for i := range s.sum {
		s.sum[i] += o.sum[i]
		s.lineage[i] += o.lineage[i]
	}
}

// holdsRowsOf reports that two surveys are of the same rows.
func (s *survey) holdsRowsOf(o *survey) bool {
	return s.rows == o.rows && s.numbered == o.numbered && s.stamped == o.stamped && s.least == o.least && s.most == o.most && s.sum == o.sum
}

// describe puts what was found in the place of what an engine says of the system
// columns: Trine orders and merges files by it.
func (s *survey) describe(values, nulls map[int]int64, lower, upper map[int][]byte) {
	for id, n := range map[int]int64{schema.SeqColumnID: s.numbered, schema.TimeColumnID: s.stamped} {
		values[id], nulls[id] = s.rows, s.rows-n
	}
	delete(lower, schema.SeqColumnID)
	delete(upper, schema.SeqColumnID)
	if s.numbered > 0 {
		lower[schema.SeqColumnID] = binary.LittleEndian.AppendUint64(nil, uint64(s.least))
		upper[schema.SeqColumnID] = binary.LittleEndian.AppendUint64(nil, uint64(s.most))
	}
	if s.stamped == 0 {
		delete(lower, schema.TimeColumnID)
		delete(upper, schema.TimeColumnID)
	}
}

// unnumbered reports whether the file may hold rows without a seq or time, which
// an engine appended. Files that Trine wrote have none.
func (f *tableFile) unnumbered() bool {
	nulls := f.data.file.NullValueCounts()
	return slices.ContainsFunc([]int{schema.SeqColumnID, schema.TimeColumnID}, func(id int) bool { return nulls[id] > 0 })
}
