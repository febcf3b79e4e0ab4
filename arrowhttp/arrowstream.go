package arrowhttp

import (
	"encoding/binary"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/schema"
)

// Keys of the metadata that Trine puts on Arrow schemas and batches.
const (
	MetaCollection    = "trine.collection"     // tenant/collection
	MetaSchemaVersion = "trine.schema_version" //
	MetaPosition      = "trine.position"       // a token for Trine-At-Least
	MetaSnapshot      = "trine.snapshot"       // of the lake, where one was read
	MetaComplete      = "trine.complete"       // "true" on the last batch, which has no rows
	MetaRows          = "trine.rows"           // on the same: how many rows of this answer came before it
	MetaResumed       = "trine.resumed"        // the token that the scan goes on after, if it does
	MetaResume        = "trine.resume"         // on a batch of a scan: a token for ?resume=, to go on after it
)

// arrowStream writes record batches as an Arrow IPC stream:
//
//	schema · batch (small, flushed) · batch … · batch without rows, trine.complete · end-of-stream
//
// or, when it fails after its first byte, a frame that is cut short, which
// every reader of Arrow reports:
//
//	schema · batch … · FF FF FF FF · int32 length · fewer bytes: the problem in JSON
type arrowStream struct {
	out    *stream
	schema *arrow.Schema
	ipc    *ipc.Writer
	sent   int // batches
	// token, if set, is what a batch says that ends so many rows after the
	// beginning of what write was given last, and sent rows after that of all.
	token func(rows, sent int64) string
}

// newArrowStream sets the header of the answer; nothing is sent yet.
func newArrowStream(w *response, s *arrow.Schema, code coding) (*arrowStream, error) {
	contentType := typeArrowStream
	opts := []ipc.Option{ipc.WithSchema(s)}
	switch code.ipc {
	case "zstd":
		opts = append(opts, ipc.WithZstd())
	case "lz4":
		opts = append(opts, ipc.WithLZ4())
	}
	if code.ipc != "" {
		contentType += "; codecs=" + code.ipc
	}
	out, err := newStreamSize(w, contentType, code.http, arrowBufferBytes)
	if err != nil {
		return nil, err
	}
	return &arrowStream{out: out, schema: s, ipc: ipc.NewWriter(out, opts...)}, nil
}

// withMetadata puts Trine's metadata on a schema, beside what it has.
func withMetadata(s *arrow.Schema, c *schema.Collection, pos schema.Position, snapshot int64) *arrow.Schema {
	old := s.Metadata()
	keys, values := append([]string(nil), old.Keys()...), append([]string(nil), old.Values()...)
	put := func(k, v string) {
		for i := range keys {
			if keys[i] == k {
				values[i] = v
				return
			}
		}
		keys, values = append(keys, k), append(values, v)
	}
	put(MetaCollection, c.String())
	put(MetaSchemaVersion, strconv.FormatUint(uint64(c.Schema.ID), 10))
	put(MetaPosition, pos.String())
	if snapshot != 0 {
		put(MetaSnapshot, strconv.FormatInt(snapshot, 10))
	}
	meta := arrow.NewMetadata(keys, values)
	return arrow.NewSchema(s.Fields(), &meta)
}

// withToken says on a schema that a stream goes on after a token.
func withToken(s *arrow.Schema, token string) *arrow.Schema {
	old := s.Metadata()
	meta := arrow.NewMetadata(append(old.Keys(), MetaResumed), append(old.Values(), token))
	return arrow.NewSchema(s.Fields(), &meta)
}

// begin sends the schema, for a stream whose first row may be long in coming.
func (a *arrowStream) begin() error {
	empty := emptyBatch(a.schema, arrow.Metadata{})
	defer empty.Release()
	if err := a.ipc.Write(empty); err != nil {
		return gone(err)
	}
	return a.out.flush()
}

// write sends a batch in pieces of the size that is read fastest; the first of
// all is small, so that a client sees soon that rows come. It does not keep
// the batch.
func (a *arrowStream) write(batch arrow.RecordBatch) error {
	for from := int64(0); from < batch.NumRows(); {
		rows := min(batch.NumRows()-from, maxBatchRows)
		if a.sent == 0 {
			rows = min(rows, firstBatchRows)
		}
		rows = fitRows(batch, from, rows)
		if err := a.writePiece(batch, from, from+rows); err != nil {
			return err
		}
		from += rows
	}
	return nil
}

func (a *arrowStream) writePiece(batch arrow.RecordBatch, from, to int64) error {
	slice := batch.NewSlice(from, to)
	defer slice.Release()
	piece := array.NewRecordBatchWithMetadata(a.schema, slice.Columns(), to-from, a.metadata(from, to))
	defer piece.Release()
	if err := a.ipc.Write(piece); err != nil {
		return gone(err)
	}
	a.out.w.rows += to - from
	a.sent++
	return a.out.flush()
}

// metadata is that of a piece from row from to row to of its batch.
func (a *arrowStream) metadata(from, to int64) arrow.Metadata {
	if a.token == nil {
		return arrow.Metadata{}
	}
	token := a.token(to, a.out.w.rows+to-from)
	if token == "" {
		return arrow.Metadata{}
	}
	return arrow.NewMetadata([]string{MetaResume}, []string{token})
}

// finish ends the stream as whole.
func (a *arrowStream) finish() error {
	last := emptyBatch(a.schema, arrow.NewMetadata(
		[]string{MetaComplete, MetaRows}, []string{"true", strconv.FormatInt(a.out.w.rows, 10)}))
	defer last.Release()
	if err := a.ipc.Write(last); err != nil {
		return gone(err)
	}
	if err := a.ipc.Close(); err != nil {
		return gone(err)
	}
	return a.out.end(statusComplete)
}

// abort ends the stream as failed, with a frame that is shorter than it says.
// The batches before it are on message borders, so it is read as a message.
func (a *arrowStream) abort(p Problem) error {
	text := p.json()
	frame := binary.LittleEndian.AppendUint32(nil, 0xFFFFFFFF)
	frame = binary.LittleEndian.AppendUint32(frame, uint32(len(text)/8*8+64))
	if _, err := a.out.Write(append(frame, text...)); err != nil {
		return err
	}
	return a.out.end(statusError)
}

// emptyBatch is a batch without rows, which can still say something.
func emptyBatch(s *arrow.Schema, meta arrow.Metadata) arrow.RecordBatch {
	cols := make([]arrow.Array, s.NumFields())
	for i, f := range s.Fields() {
		b := array.NewBuilder(memory.DefaultAllocator, f.Type)
		cols[i] = b.NewArray()
		b.Release()
	}
	batch := array.NewRecordBatchWithMetadata(s, cols, 0, meta)
	for _, col := range cols {
		col.Release()
	}
	return batch
}

// fitRows cuts rows so that they take about maxBatchBytes, and at least one.
func fitRows(batch arrow.RecordBatch, from, rows int64) int64 {
	for rows > 1 {
		size := batchBytes(batch, from, from+rows)
		if size <= maxBatchBytes+maxBatchBytes/2 {
			break
		}
		rows = max(1, min(rows/2, rows*maxBatchBytes/size))
	}
	return rows
}

// batchBytes is about what rows from to to take in a message.
func batchBytes(batch arrow.RecordBatch, from, to int64) int64 {
	var n int64
	for _, col := range batch.Columns() {
		n += arrayBytes(col, int(from), int(to))
	}
	return n
}

// arrayBytes counts the values that the rows refer to; a slice of a large
// array refers to few of its bytes. Types that Trine does not make count 16 a
// row.
func arrayBytes(arr arrow.Array, from, to int) int64 {
	if to <= from {
		return 0
	}
	rows := int64(to - from)
	switch a := arr.(type) {
	case array.BinaryLike: // strings too
		start, last := a.ValueOffset64(from), a.ValueOffset64(to-1)
		return 4*rows + last - start + int64(a.ValueLen(to-1))
	case *array.Struct:
		var n int64
		for i := range a.NumField() {
			n += arrayBytes(a.Field(i), from, to)
		}
		return n
	case array.ListLike: // lists and maps
		start, _ := a.ValueOffsets(from)
		_, end := a.ValueOffsets(to - 1)
		return 4*rows + arrayBytes(a.ListValues(), int(start), int(end))
	}
	if fixed, ok := arr.DataType().(arrow.FixedWidthDataType); ok {
		return rows * int64(max(1, fixed.BitWidth()/8))
	}
	return 16 * rows
}
