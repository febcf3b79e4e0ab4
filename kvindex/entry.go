package kvindex

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/trinedb/trine/schema"
)

// layout is how the entries of rows are read: which fields, and of those which
// ones each index has.
type layout struct {
	columns []int   // ids of all indexed fields
	places  [][]int // of each index: its fields' places in columns

	mu       sync.Mutex
	decoders map[schema.SchemaID]*fieldDecoder
}

// fieldDecoder reads the indexed fields of rows of one schema.
type fieldDecoder struct {
	rows   *schema.RowDecoder
	fields *schema.Schema // a field for each of layout's columns
}

func newLayout(list []secondary) *layout {
	l := &layout{decoders: make(map[schema.SchemaID]*fieldDecoder)}
	for _, s := range list {
		places := make([]int, len(s.fields))
		for i, id := range s.fields {
			at := slices.Index(l.columns, id)
			if at < 0 {
				at = len(l.columns)
				l.columns = append(l.columns, id)
			}
			places[i] = at
		}
		l.places = append(l.places, places)
	}
	return l
}

// decoder reads rows written as row is. A field that its schema does not have
// is null.
func (l *layout) decoder(catalog Catalog, row []byte) (*fieldDecoder, error) {
	id, err := schema.RowSchemaID(row)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	d := l.decoders[id]
	l.mu.Unlock()
	if d != nil {
		return d, nil
	}
	// Whoever asks has no deadline: the schema is in the index itself.
	from, err := catalog.Schema(context.Background(), id)
	if err != nil {
		return nil, fmt.Errorf("schema %d of a row: %w", id, err)
	}
	d = &fieldDecoder{fields: &schema.Schema{ID: id}}
	for _, column := range l.columns {
		f := schema.Field{ID: column, Type: schema.Type{Kind: schema.KindBoolean}}
		if at := from.IndexID(column); at >= 0 {
			f = from.Fields[at]
		}
		d.fields.Fields = append(d.fields.Fields, f)
	}
	d.rows = schema.NewRowDecoder(from, d.fields)
	l.mu.Lock()
	l.decoders[id] = d
	l.mu.Unlock()
	return d, nil
}

// entry is what a secondary index has of a row.
type entry struct {
	index   *secondary
	key     []byte // fields and primary key
	fields  int    // bytes of the fields
	null    bool   // one of the fields is null: the entry collides with none
	tooLong bool   // it cannot be kept; key is only of the fields
}

// value is the entry's value.
func (e *entry) value(dst []byte) []byte {
	v := uint64(e.fields) << 1
	if e.null {
		v |= 1
	}
	return binary.AppendUvarint(dst, v)
}

// entryMax is room for the value of any entry.
const entryMax = binary.MaxVarintLen32

// splitEntry splits an entry's key by its value.
func splitEntry(key, val []byte) (fields, primary []byte, null bool, err error) {
	d := decoder{rest: val}
	v := d.uvarint()
	if err := d.finish("entry"); err != nil {
		return nil, nil, false, err
	}
	n := v >> 1
	if n > schema.MaxIndexedBytes || n >= uint64(len(key)) {
		return nil, nil, false, fmt.Errorf("index entry: fields of %d bytes in a key of %d: %w", n, len(key), schema.ErrCorrupt)
	}
	return key[:n:n], key[n:], v&1 == 1, nil
}

// entryReader reads the entries of rows. It is for one goroutine.
type entryReader struct {
	catalog Catalog
	values  []schema.Value
	buf     []byte
	out     []entry
}

// read gives the row's entries in the indexes of set that have not failed, in
// their order. They are good until the next call.
func (r *entryReader) read(set *secondaries, key, row []byte) ([]entry, error) {
	r.out, r.buf = r.out[:0], r.buf[:0]
	if len(set.list) == 0 {
		return nil, nil
	}
	d, err := set.layout.decoder(r.catalog, row)
	if err != nil {
		return nil, err
	}
	if r.values, err = d.rows.Decode(row, r.values); err != nil {
		return nil, err
	}
	for i := range set.list {
		s := &set.list[i]
		if s.state == SecondaryFailed {
			continue
		}
		r.out = append(r.out, r.entry(s, d.fields, set.layout.places[i], key))
	}
	return r.out, nil
}

func (r *entryReader) entry(s *secondary, fields *schema.Schema, places []int, key []byte) entry {
	e := entry{index: s}
	start := len(r.buf)
	r.buf = fields.AppendIndexFields(r.buf, places, r.values)
	e.fields = len(r.buf) - start
	e.null = slices.ContainsFunc(places, func(at int) bool { return r.values[at].IsNull() })
	if e.tooLong = e.fields > schema.MaxIndexedBytes; !e.tooLong {
		r.buf = append(r.buf, key...)
	}
	// When buf grows, entries before keep the old one, which is as it was.
	e.key = r.buf[start:len(r.buf):len(r.buf)]
	return e
}
