package lakehouse

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/trinedb/trine/schema"
)

// textReader reads a column of texts or bytes. pqarrow's own way appends them to a
// builder one by one, which takes several times as long as all else of a scan.
type textReader struct {
	mem      memory.Allocator
	typ      arrow.DataType
	name     string
	parquet  *file.Reader
	leaf     int
	groups   []int
	opened   int // of groups, to be opened
	chunk    *file.ByteArrayColumnChunkReader
	optional bool
	values   []parquet.ByteArray // of one step; they alias the page
	levels   []int16
	perRow   float64 // bytes of a row of the last batch
}

// textStep is how many values are decoded at a time: few enough to stay in the
// processor's cache.
const textStep = 2048

func newTextReader(f *file.Reader, field *pqarrow.SchemaField, groups []int, mem memory.Allocator) *textReader {
	return &textReader{
		mem: mem, typ: field.Field.Type, name: field.Field.Name, parquet: f, leaf: field.ColIndex, groups: groups,
		optional: f.MetaData().Schema.Column(field.ColIndex).MaxDefinitionLevel() > 0, perRow: 16,
	}
}

// texts is a batch in the making.
type texts struct {
	rows    int
	offsets []int32
	valid   *memory.Buffer // nil while there was no null
	nulls   int
	data    *memory.Buffer
	bytes   []byte // data's, to its capacity
	end     int    // of what is in it
}

func (r *textReader) next(n int) (arrow.ArrayData, error) {
	offsets := memory.NewResizableBuffer(r.mem)
	defer offsets.Release()
	offsets.Resize(4 * (n + 1))
	t := &texts{offsets: arrow.Int32Traits.CastFromBytes(offsets.Bytes()), data: memory.NewResizableBuffer(r.mem)}
	defer t.release()
	t.offsets[0] = 0
	if err := t.reserve(int(r.perRow*float64(n)) + 64); err != nil {
		return nil, err
	}
	for t.rows < n {
		more, err := r.step(t, n)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", r.name, err)
		}
		if !more {
			break
		}
	}
	if t.rows > 0 {
		r.perRow = 1.05 * float64(t.end) / float64(t.rows)
	}
	offsets.Resize(4 * (t.rows + 1))
	t.data.Resize(t.end)
	return array.NewData(r.typ, t.rows, []*memory.Buffer{t.valid, offsets, t.data}, nil, t.nulls, 0), nil
}

// step adds values of the page in hand; false at the end.
func (r *textReader) step(t *texts, n int) (bool, error) {
	for r.chunk == nil || !r.chunk.HasNext() {
		if r.chunk != nil {
			if err := r.chunk.Err(); err != nil {
				return false, err
			}
		}
		if r.opened == len(r.groups) {
			return false, nil
		}
		if err := r.open(r.opened); err != nil {
			return false, err
		}
	}
	want := min(textStep, n-t.rows)
	if len(r.values) < want {
		r.values, r.levels = make([]parquet.ByteArray, want), make([]int16, want)
	}
	rows, read, err := r.chunk.ReadBatchInPage(int64(want), r.values, r.levels, nil)
	if err != nil {
		return false, err
	}
	if rows <= 0 || rows > int64(want) || int64(read) > rows {
		return false, fmt.Errorf("a page has %d values for %d rows: %w", read, rows, schema.ErrCorrupt)
	}
	if int64(read) == rows {
		return true, t.add(r.values[:read])
	}
	if !r.optional {
		return false, fmt.Errorf("a page has %d values for %d rows: %w", read, rows, schema.ErrCorrupt)
	}
	return true, t.addSome(r.mem, r.values[:read], r.levels[:rows])
}

// open begins with a row group.
func (r *textReader) open(group int) error {
	r.close()
	chunk, err := r.parquet.RowGroup(r.groups[group]).Column(r.leaf)
	if err != nil {
		return err
	}
	r.chunk, r.opened = chunk.(*file.ByteArrayColumnChunkReader), group+1
	return nil
}

func (r *textReader) seek(row int64) error {
	for i, g := range r.groups {
		n := r.parquet.MetaData().RowGroup(g).NumRows()
		if row >= n {
			row -= n
			continue
		}
		if r.chunk == nil || r.opened != i+1 {
			if err := r.open(i); err != nil {
				return err
			}
		}
		return r.chunk.SeekToRow(row)
	}
	return fmt.Errorf("column %s has %d rows less: %w", r.name, row, schema.ErrCorrupt)
}

func (r *textReader) close() {
	if r.chunk != nil {
		_ = r.chunk.Close() // it was read
		r.chunk = nil
	}
}

func (r *textReader) release() { r.close() }

func (t *texts) release() {
	t.data.Release()
	if t.valid != nil {
		t.valid.Release()
	}
}

// add adds values that are all there.
func (t *texts) add(values []parquet.ByteArray) error {
	if err := t.fit(values); err != nil {
		return err
	}
	data, end, offsets := t.bytes, t.end, t.offsets[t.rows+1:][:len(values)]
	for i, v := range values {
		put(data[end:], v)
		end += len(v)
		offsets[i] = int32(end)
	}
	t.end = end
	if t.valid != nil {
		bitutil.SetBitsTo(t.valid.Bytes(), int64(t.rows), int64(len(values)), true)
	}
	t.rows += len(values)
	return nil
}

// addSome adds values between nulls; levels has a 1 for each of the former.
func (t *texts) addSome(mem memory.Allocator, values []parquet.ByteArray, levels []int16) error {
	if err := t.fit(values); err != nil {
		return err
	}
	if t.valid == nil {
		t.valid = memory.NewResizableBuffer(mem)
		t.valid.Resize(int(bitutil.BytesForBits(int64(len(t.offsets) - 1))))
		bitutil.SetBitsTo(t.valid.Bytes(), 0, int64(t.rows), true)
	}
	valid := t.valid.Bytes()
	for _, level := range levels {
		there := level > 0 && len(values) > 0
		if there {
			put(t.bytes[t.end:], values[0])
			t.end += len(values[0])
			values = values[1:]
		} else {
			t.nulls++
		}
		bitutil.SetBitTo(valid, t.rows, there)
		t.rows++
		t.offsets[t.rows] = int32(t.end)
	}
	return nil
}

// putSlack is how many bytes more than a value's own put may write.
const putSlack = 16

// put copies a value; short ones, which most are, without a call.
func put(dst []byte, v []byte) {
	if n := len(v); n <= 8 && n >= 4 && len(dst) >= 8 {
		lo, hi := binary.LittleEndian.Uint32(v), binary.LittleEndian.Uint32(v[n-4:])
		binary.LittleEndian.PutUint32(dst, lo)
		binary.LittleEndian.PutUint32(dst[n-4:], hi)
		return
	}
	copy(dst, v)
}

// fit makes room for values.
func (t *texts) fit(values []parquet.ByteArray) error {
	n := 0
	for _, v := range values {
		n += len(v)
	}
	return t.reserve(n)
}

// reserve makes room for n bytes more.
func (t *texts) reserve(n int) error {
	want := t.end + n + putSlack
	if want <= len(t.bytes) {
		return nil
	}
	if want > math.MaxInt32 {
		return fmt.Errorf("a batch of texts has more than %d bytes: %w", math.MaxInt32, schema.ErrTooLarge)
	}
	t.data.Resize(max(want, min(2*len(t.bytes), math.MaxInt32)))
	t.bytes = t.data.Bytes()
	return nil
}
