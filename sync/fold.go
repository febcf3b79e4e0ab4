package sync

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/trinedb/trine/schema"
)

// latest is what a stretch of log leaves of one key.
type latest struct {
	key     []byte
	row     []byte
	seq     schema.Seq
	micros  int64
	deleted bool
}

// fold is a stretch of a keyed collection's log reduced to the last change of
// each key. Changes are gathered as they come, and then sorted: that is several
// times as fast as a map, and a stretch that comes in key order, as imports do, need
// not even be sorted.
type fold struct {
	rows  []latest   // by key, each once, when it is reduced
	bytes int64      // of rows, with foldOverhead
	next  schema.Seq // the seq after the last change folded

	block     []byte // that keys and rows are copied to
	held      int64  // bytes of all blocks, those of superseded rows too
	unordered bool   // rows are not by key
	full      int64  // bytes at which rows are to be reduced
}

// foldChanges folds the changes with from ≤ seq < to. It stops early, after a
// whole change, when it holds limit bytes, or up to half as much more; next tells
// where.
func (e *Engine) foldChanges(ctx context.Context, inst schema.Instance, from, to schema.Seq, limit int64) (*fold, error) {
	f := &fold{}
	if from < to {
		f.rows = make([]latest, 0, min(uint64(to-from), uint64(limit/foldOverhead)+1, maxFoldRows))
	}
	var err error
	f.next, err = e.changes(ctx, inst, from, to, func(c schema.Change) (bool, error) {
		f.add(c)
		return f.within(limit), nil
	})
	if err != nil {
		return nil, fmt.Errorf("fold changes of instance %d from seq %d: %w", inst, from, err)
	}
	f.reduce()
	return f, nil
}

// foldOverhead is about what a key takes in a fold beside its bytes and its
// row's: a place among the rows, and later one in their order.
const foldOverhead = 160

// maxFoldRows bounds the rows that a fold has room for before they come.
const maxFoldRows = 1 << 20

// add takes a change. It copies key and row: if they stayed where they are they would
// keep all of their chunk's group in memory.
func (f *fold) add(c schema.Change) {
	if n := len(f.rows); n > 0 && bytes.Compare(f.rows[n-1].key, c.Key) >= 0 {
		f.unordered = true
	}
	key := f.copy(c.Key)
	f.rows = append(f.rows, latest{key: key, row: f.copy(c.Row), seq: c.Seq, micros: c.TimeMicros, deleted: c.Op == schema.OpDelete})
	f.bytes += int64(len(c.Key)+len(c.Row)) + foldOverhead
}

// Sizes of the blocks that bytes are copied to: they grow with what is folded.
const (
	minFoldBlock = 1 << 10
	maxFoldBlock = 1 << 20
)

func (f *fold) copy(b []byte) []byte {
	if cap(f.block)-len(f.block) < len(b) {
		f.block = make([]byte, 0, max(int64(len(b)), min(max(f.bytes, minFoldBlock), maxFoldBlock)))
		f.held += int64(cap(f.block))
	}
	at := len(f.block)
	f.block = append(f.block, b...)
	return f.block[at:len(f.block):len(f.block)]
}

// within reports whether the fold, reduced, holds less than limit bytes. It looks
// again only when half as much has come, as keys may repeat.
func (f *fold) within(limit int64) bool {
	if f.bytes < max(f.full, limit) {
		return true
	}
	f.reduce()
	if f.held > 2*f.bytes { // a block stays while one row in it does
		f.block, f.held = nil, 0
		for i := range f.rows {
			l := &f.rows[i]
			l.key, l.row = f.copy(l.key), f.copy(l.row)
		}
	}
	f.full = f.bytes + limit/2
	return f.bytes < limit
}

// reduce leaves the last change of each key, by key.
func (f *fold) reduce() {
	if !f.unordered {
		return
	}
	order := make([]foldOrder, len(f.rows))
	for i := range f.rows {
		order[i] = foldOrder{prefixOf(f.rows[i].key), uint32(i)}
	}
	slices.SortFunc(order, func(a, b foldOrder) int {
		if c := cmp.Compare(a.prefix, b.prefix); c != 0 {
			return c
		}
		if c := bytes.Compare(f.rows[a.at].key, f.rows[b.at].key); c != 0 {
			return c
		}
		return cmp.Compare(a.at, b.at)
	})
	rows := make([]latest, 0, len(order))
	f.bytes = 0
	for i, o := range order {
		l := &f.rows[o.at]
		if i+1 < len(order) && bytes.Equal(l.key, f.rows[order[i+1].at].key) {
			continue // superseded
		}
		rows = append(rows, *l)
		f.bytes += int64(len(l.key)+len(l.row)) + foldOverhead
	}
	f.rows, f.unordered = rows, false
}

// foldOrder is one of a fold's changes and the beginning of its key.
type foldOrder struct {
	prefix uint64
	at     uint32
}

// prefixOf is the first bytes of a key as a number of the same order.
func prefixOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// keys are the folded keys in key order.
func (f *fold) keys() [][]byte {
	keys := make([][]byte, len(f.rows))
	for i := range f.rows {
		keys[i] = f.rows[i].key
	}
	return keys
}

// has reports whether a key was changed.
func (f *fold) has(key []byte) bool {
	_, ok := slices.BinarySearchFunc(f.rows, key, func(l latest, key []byte) int { return bytes.Compare(l.key, key) })
	return ok
}

// rowReader decodes rows of any schema of a collection's past into the shape
// of one. It is for one goroutine; a row's values are valid until the next.
type rowReader struct {
	catalog  Catalog
	to       *schema.Schema
	decoders map[schema.SchemaID]*schema.RowDecoder
	last     *schema.RowDecoder // that of lastID: most rows are of one schema
	lastID   schema.SchemaID
	values   []schema.Value
}

func newRowReader(catalog Catalog, to *schema.Schema) *rowReader {
	return &rowReader{catalog: catalog, to: to, decoders: map[schema.SchemaID]*schema.RowDecoder{}}
}

func (r *rowReader) decode(ctx context.Context, row []byte) ([]schema.Value, error) {
	id, err := schema.RowSchemaID(row)
	if err != nil {
		return nil, err
	}
	if r.last == nil || id != r.lastID {
		if r.last, err = r.decoder(ctx, id); err != nil {
			return nil, err
		}
		r.lastID = id
	}
	r.values, err = r.last.Decode(row, r.values[:0])
	return r.values, err
}

func (r *rowReader) decoder(ctx context.Context, id schema.SchemaID) (*schema.RowDecoder, error) {
	d, ok := r.decoders[id]
	if !ok {
		from, err := r.catalog.Schema(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("schema %d of a row: %w", id, err)
		}
		d = schema.NewRowDecoder(from, r.to)
		r.decoders[id] = d
	}
	return d, nil
}
