package arrowhttp

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/trinedb/trine/schema"
)

// scanParquet streams a scan as a Parquet file, a row group in memory at a time. A
// file that is cut has no footer, and without one no reader opens it.
func scanParquet(q *request) error {
	if _, err := negotiateEncoding(q.r.Header); err != nil {
		return err
	}
	c, sc, err := q.openScan()
	if err != nil {
		return err
	}
	defer q.closeScan(sc)
	q.scanHeader(sc)
	if q.notModified(q.tagOf(c, sc, typeParquet, coding{})) {
		return nil
	}
	out, err := newParquetScan(q.w, c, sc)
	if err != nil {
		return err
	}
	if q.r.Method == http.MethodHead {
		q.w.WriteHeader(http.StatusOK)
		return nil
	}
	if err := q.eachBatch(sc, out.write); err != nil {
		return q.abort(err, out)
	}
	if err := out.finish(); err != nil {
		return q.abort(err, out)
	}
	return nil
}

// parquetScan writes rows as Parquet, which has its own compression.
type parquetScan struct {
	out   *stream
	file  *pqarrow.FileWriter
	ready bytes.Buffer // of the file, and not sent: what a call that fails left is never sent
	group int64        // about how many bytes the row group has
}

func newParquetScan(w *response, c *schema.Collection, sc *ScanStream) (*parquetScan, error) {
	out, err := newStream(w, typeParquet, "")
	if err != nil {
		return nil, err
	}
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.parquet"`, c.Name))
	p := &parquetScan{out: out}
	props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd))
	if p.file, err = pqarrow.NewFileWriter(sc.Schema, &p.ready, props, pqarrow.DefaultWriterProps()); err != nil {
		return nil, fmt.Errorf("write parquet: %w", err)
	}
	said := withMetadata(arrow.NewSchema(nil, nil), c, sc.Position, sc.SnapshotID).Metadata()
	for i, key := range said.Keys() {
		if err := p.file.AppendKeyValueMetadata(key, said.Values()[i]); err != nil {
			return nil, fmt.Errorf("write parquet: %w", err)
		}
	}
	return p, nil
}

func (p *parquetScan) write(batch arrow.RecordBatch) error {
	if p.group >= parquetGroupBytes {
		p.group = 0
		if err := p.file.NewBufferedRowGroupChecked(); err != nil {
			return fmt.Errorf("write parquet: %w", err)
		}
	}
	if err := p.file.WriteBuffered(batch); err != nil {
		return fmt.Errorf("write parquet: %w", err) // it has closed the file, with a footer
	}
	p.group += batchBytes(batch, 0, batch.NumRows())
	p.out.w.rows += batch.NumRows()
	return p.send()
}

// send sends what is ready; until the first row group is full that is little.
func (p *parquetScan) send() error {
	if p.ready.Len() == 0 {
		return nil
	}
	if _, err := p.out.Write(p.ready.Bytes()); err != nil {
		return err
	}
	p.ready.Reset()
	return p.out.flush()
}

func (p *parquetScan) finish() error {
	if err := p.file.Close(); err != nil {
		return fmt.Errorf("write parquet: %w", err)
	}
	if err := p.send(); err != nil {
		return err
	}
	return p.out.end(statusComplete)
}

// abort cuts the connection: a problem in the place of the footer would be no better
// read.
func (p *parquetScan) abort(Problem) error {
	_ = p.out.flush()
	panic(http.ErrAbortHandler)
}
