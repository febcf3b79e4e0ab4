package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/trinedb/trine/client"
)

// maxImportBatchBytes closes a batch of text early; the server takes more.
const maxImportBatchBytes = 16 << 20

// textBatch gathers records of a text format.
type textBatch struct {
	buf  bytes.Buffer
	rows int
}

func (t *textBatch) full(rows int) bool { return t.rows == rows || t.buf.Len() >= maxImportBatchBytes }

// take hands the batch over and begins the next.
func (t *textBatch) take(mediaType string, done int64) batch {
	b := batch{body: bytes.Clone(t.buf.Bytes()), mediaType: mediaType, rows: t.rows, done: done}
	t.buf.Reset()
	t.rows = 0
	return b
}

// csvSource splits CSV between records and repeats the header. Records are
// passed on as they stand in the file: written anew, an empty string in quotes
// would be a null, a row of one empty cell would be no row, and line ends within
// cells would change.
type csvSource struct {
	sourceFile
	rows int
}

func (s *csvSource) each(fn func(batch) error) error {
	raw := &rawText{r: s.File}
	in := csv.NewReader(bufio.NewReaderSize(raw, 1<<20))
	in.ReuseRecord, in.FieldsPerRecord = true, -1 // the server tells of rows that are too short
	if _, err := in.Read(); err != nil {
		return fmt.Errorf("read header: %w", err)
	}
	header := bytes.Clone(raw.take(in.InputOffset()))
	rows, begin, end := 0, in.InputOffset(), in.InputOffset()
	for {
		_, err := in.Read()
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return fmt.Errorf("read record: %w", err)
		}
		if rows > 0 && (ended || rows == s.rows || end-begin >= maxImportBatchBytes) {
			b := batch{body: slices.Concat(header, raw.take(end)), mediaType: client.CSV, rows: rows, done: end}
			if err := fn(b); err != nil {
				return err
			}
			rows, begin = 0, end
		}
		if ended {
			return nil
		}
		rows, end = rows+1, in.InputOffset()
	}
}

// rawText keeps what was read through it until it is taken.
type rawText struct {
	r    io.Reader
	kept []byte
	at   int64 // offset of kept in the input
}

func (t *rawText) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.kept = append(t.kept, p[:n]...)
	return n, err
}

// take gives the text up to an offset, valid until the next Read.
func (t *rawText) take(to int64) []byte {
	text := t.kept[:to-t.at]
	t.kept, t.at = t.kept[to-t.at:], to
	return text
}

// lineSource splits NDJSON between lines.
type lineSource struct {
	sourceFile
	rows int
}

func (s *lineSource) each(fn func(batch) error) error {
	lines := bufio.NewScanner(s.File)
	lines.Buffer(make([]byte, 1<<16), maxLineBytes)
	var t textBatch
	var done int64
	for lines.Scan() {
		done += int64(len(lines.Bytes())) + 1
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		t.buf.Write(lines.Bytes())
		t.buf.WriteByte('\n')
		t.rows++
		if t.full(s.rows) {
			if err := fn(t.take(client.NDJSON, done)); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read line: %w", err)
	}
	if t.rows > 0 {
		return fn(t.take(client.NDJSON, done))
	}
	return nil
}

// arrowSource splits an Arrow IPC stream or file.
type arrowSource struct {
	sourceFile
	rows int
}

func (s *arrowSource) each(fn func(batch) error) error {
	if s.bytes >= 0 {
		if whole, err := s.eachOfFile(fn); whole || err != nil {
			return err
		}
		if _, err := s.File.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	r, err := ipc.NewReader(bufio.NewReaderSize(s.File, 1<<20))
	if err != nil {
		return fmt.Errorf("read Arrow: %w", err)
	}
	defer r.Release()
	for r.Next() {
		var at int64
		if s.bytes >= 0 {
			if at, err = s.File.Seek(0, io.SeekCurrent); err != nil {
				return err
			}
		}
		if err := splitArrow(r.RecordBatch(), s.rows, at, fn); err != nil {
			return err
		}
	}
	if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read Arrow: %w", err)
	}
	return nil
}

// eachOfFile reads the file form, and reports whether it is that.
func (s *arrowSource) eachOfFile(fn func(batch) error) (bool, error) {
	r, err := ipc.NewFileReader(s.File)
	if err != nil {
		return false, nil // then it is a stream, or reading it as one tells more
	}
	defer r.Close()
	for i := range r.NumRecords() {
		rec, err := r.RecordBatchAt(i)
		if err != nil {
			return true, fmt.Errorf("read batch %d: %w", i, err)
		}
		if err := splitArrow(rec, s.rows, s.bytes*int64(i+1)/int64(r.NumRecords()), fn); err != nil {
			return true, err
		}
	}
	return true, nil
}

// splitArrow yields a record batch as streams of at most rows rows, and of about
// maxImportBatchBytes where that is fewer.
func splitArrow(rec arrow.RecordBatch, rows int, done int64, fn func(batch) error) error {
	for from := int64(0); from < rec.NumRows(); from += int64(rows) {
		to := min(from+int64(rows), rec.NumRows())
		if err := sendArrow(rec, from, to, done, fn); err != nil {
			return err
		}
	}
	return nil
}

func sendArrow(rec arrow.RecordBatch, from, to, done int64, fn func(batch) error) error {
	part := rec.NewSlice(from, to)
	defer part.Release()
	var buf bytes.Buffer
	out := ipc.NewWriter(&buf, ipc.WithSchema(part.Schema()))
	if err := errors.Join(out.Write(part), out.Close()); err != nil {
		return fmt.Errorf("write Arrow: %w", err)
	}
	if buf.Len() > maxImportBatchBytes && to-from > 1 {
		half := from + (to-from)/2
		if err := sendArrow(rec, from, half, done, fn); err != nil {
			return err
		}
		return sendArrow(rec, half, to, done, fn)
	}
	return fn(batch{body: buf.Bytes(), mediaType: client.Arrow, rows: int(to - from), done: done})
}

// parquetSource reads a Parquet file as Arrow.
type parquetSource struct {
	sourceFile
	rows int
}

func (s *parquetSource) each(fn func(batch) error) error {
	pf, err := file.NewParquetReader(s.File)
	if err != nil {
		return fmt.Errorf("read Parquet: %w", err)
	}
	defer pf.Close()
	fr, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{BatchSize: int64(s.rows)}, memory.DefaultAllocator)
	if err != nil {
		return fmt.Errorf("read Parquet: %w", err)
	}
	r, err := fr.GetRecordReader(context.Background(), nil, nil)
	if err != nil {
		return fmt.Errorf("read Parquet: %w", err)
	}
	defer r.Release()
	var read int64
	for r.Next() {
		rec := r.RecordBatch()
		read += rec.NumRows()
		if err := splitArrow(rec, s.rows, s.bytes*read/max(pf.NumRows(), 1), fn); err != nil {
			return err
		}
	}
	if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read Parquet: %w", err)
	}
	return nil
}
