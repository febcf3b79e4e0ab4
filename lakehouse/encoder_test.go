package lakehouse_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

const largeRows = 12_000 // some 47 batches of the encoder

// TestLargeFilesAreTheSame commits rows twice that fill row groups and files while
// they are still being encoded: bytes and borders are no matter of who is quicker,
// and the rows are those that were given.
func TestLargeFilesAreTheSame(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	rows := rowsFrom(0, largeRows)
	small := func(o *lakehouse.Options) { o.RowGroupRows, o.TargetFileBytes = 1500, 40<<10 }
	var files [2][][]byte
	for i := range files {
		f := newFixture(t, small)
		snap, written, err := f.lake.Commit(t.Context(), lakehouse.Commit{Collection: collection(simple()), NextSeq: largeRows, Rows: each(rows)})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, w := range written {
			n += w.Rows
		}
		if n != largeRows || len(written) < 2 {
			t.Fatalf("%d rows in %d files", n, len(written))
		}
		for _, file := range snap.Files() {
			data, err := f.objects.Get(t.Context(), strings.TrimPrefix(file.URI, "file:///lake/"))
			if err != nil {
				t.Fatal(err)
			}
			files[i] = append(files[i], data)
		}
		ids := make([]int64, 0, largeRows)
		for batch, err := range snap.Read(t.Context(), lakehouse.ReadOptions{Schema: simple(), Columns: []int{0}}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range lines(batch) {
				var id int64
				if _, err := fmt.Sscanf(line, "%d|", &id); err != nil {
					t.Fatal(err)
				}
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		for want, id := range ids {
			if int64(want) != id || len(ids) != largeRows {
				t.Fatalf("row %d of %d has id %d", want, len(ids), id)
			}
		}
	}
	if !slices.EqualFunc(files[0], files[1], bytes.Equal) {
		t.Errorf("%d files and %d files differ", len(files[0]), len(files[1]))
	}
}

// TestLargeFileFails breaks off a commit of many rows: the store fails in the middle of
// a file, the rows do, or ctx ends. Nothing is left behind, no goroutine either.
func TestLargeFileFails(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		store  func(lakehouse.Objects) lakehouse.Objects
		rows   func(cancel func()) iter.Seq2[lakehouse.Row, error]
		wanted error
	}{
		"store": {
			func(o lakehouse.Objects) lakehouse.Objects { return &fullStore{o, 20 << 10, broken} },
			func(func()) iter.Seq2[lakehouse.Row, error] { return each(rowsFrom(0, largeRows)) }, schema.ErrUnavailable,
		},
		"rows": {nil, func(func()) iter.Seq2[lakehouse.Row, error] {
			return func(yield func(lakehouse.Row, error) bool) {
				for _, row := range rowsFrom(0, largeRows/2) {
					if !yield(row, nil) {
						return
					}
				}
				yield(lakehouse.Row{}, broken)
			}
		}, broken},
		"a bad row": {nil, func(func()) iter.Seq2[lakehouse.Row, error] {
			rows := rowsFrom(0, largeRows)
			rows[largeRows/2].Values[0] = schema.Null
			return each(rows)
		}, schema.ErrInvalid},
		"context": {nil, func(cancel func()) iter.Seq2[lakehouse.Row, error] {
			return func(yield func(lakehouse.Row, error) bool) {
				for i, row := range rowsFrom(0, largeRows) {
					if i == largeRows/2 {
						cancel()
					}
					if !yield(row, nil) {
						return
					}
				}
			}
		}, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			f := newFixture(t)
			objects := lakehouse.Objects(f.objects)
			if test.store != nil {
				objects = test.store(objects)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			l := f.open(objects, func(o *lakehouse.Options) { o.RowGroupRows = 1500 })
			_, _, err := l.Commit(ctx, lakehouse.Commit{Collection: collection(simple()), NextSeq: largeRows, Rows: test.rows(cancel)})
			if !errors.Is(err, test.wanted) {
				t.Fatalf("got %v, want %v", err, test.wanted)
			}
			if names := f.names(); len(names) > 0 {
				t.Errorf("%s is left behind", names)
			}
		})
	}
}

// fullStore takes so many bytes of a file.
type fullStore struct {
	lakehouse.Objects
	room int
	err  error
}

func (s *fullStore) Create(ctx context.Context, name string) (blob.Writer, error) {
	w, err := s.Objects.Create(ctx, name)
	return &fullWriter{w, s.room, s.err}, err
}

type fullWriter struct {
	blob.Writer
	room int
	err  error
}

func (w *fullWriter) Write(data []byte) (int, error) {
	if w.room -= len(data); w.room < 0 {
		return 0, w.err
	}
	return w.Writer.Write(data)
}
