package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"

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

// csvSource splits CSV between records and repeats the header.
type csvSource struct {
	sourceFile
	rows int
}

func (s *csvSource) each(fn func(batch) error) error {
	in := csv.NewReader(bufio.NewReaderSize(s.File, 1<<20))
	in.ReuseRecord = true
	header, err := in.Read()
	if err != nil {
		return fmt.Errorf("read header: %w", err)
	}
	header = append([]string(nil), header...)
	var t textBatch
	out := csv.NewWriter(&t.buf)
	for {
		rec, err := in.Read()
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return fmt.Errorf("read record: %w", err)
		}
		if t.rows > 0 && (ended || t.full(s.rows)) {
			out.Flush()
			if err := fn(t.take(client.CSV, in.InputOffset())); err != nil {
				return err
			}
		}
		if ended {
			return nil
		}
		if t.rows == 0 {
			if err := out.Write(header); err != nil {
				return err
			}
		}
		if err := out.Write(rec); err != nil {
			return err
		}
		out.Flush()
		t.rows++
	}
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
	if r, err := ipc.NewFileReader(s.File); err == nil {
		defer r.Close()
		for i := range r.NumRecords() {
			rec, err := r.RecordBatchAt(i)
			if err != nil {
				return fmt.Errorf("read batch %d: %w", i, err)
			}
			if err := s.split(rec, s.bytes*int64(i+1)/int64(r.NumRecords()), fn); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := s.File.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r, err := ipc.NewReader(bufio.NewReaderSize(s.File, 1<<20))
	if err != nil {
		return fmt.Errorf("read Arrow: %w", err)
	}
	defer r.Release()
	for r.Next() {
		at, err := s.File.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if err := s.split(r.RecordBatch(), at, fn); err != nil {
			return err
		}
	}
	return r.Err()
}

func (s *arrowSource) split(rec arrow.RecordBatch, done int64, fn func(batch) error) error {
	return splitArrow(rec, s.rows, done, fn)
}

// splitArrow yields a record batch as streams of at most rows rows.
func splitArrow(rec arrow.RecordBatch, rows int, done int64, fn func(batch) error) error {
	for from := int64(0); from < rec.NumRows(); from += int64(rows) {
		part := rec.NewSlice(from, min(from+int64(rows), rec.NumRows()))
		var buf bytes.Buffer
		out := ipc.NewWriter(&buf, ipc.WithSchema(part.Schema()))
		err := errors.Join(out.Write(part), out.Close())
		b := batch{body: buf.Bytes(), mediaType: client.Arrow, rows: int(part.NumRows()), done: done}
		part.Release()
		if err != nil {
			return fmt.Errorf("write Arrow: %w", err)
		}
		if err := fn(b); err != nil {
			return err
		}
	}
	return nil
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
