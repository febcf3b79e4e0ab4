package lakehouse_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// forgery is a table of format version 3 whose delete manifest a test writes anew.
type forgery struct {
	*table
	list    string // names of objects
	deletes iceberg.ManifestFile
	files   []iceberg.ManifestFile
	file    iceberg.DataFile // the only vector, of data file 0
	other   iceberg.DataFile // data file 1
}

func newForgery(t *testing.T) *forgery {
	t.Helper()
	f := &forgery{table: newTable(newFixture(t), inFormat(3, simple()))}
	f.commit(simpleRows(0, 100), nil)
	f.commit(simpleRows(100, 10), map[uint32][]uint32{0: {1, 2, 3}})
	for _, name := range f.names() {
		if strings.Contains(name, "/snap-") {
			f.list = name // the newest is to be found out
			raw := must(f.objects.Get(t.Context(), thingsFolder+name))
			f.files = must(iceberg.ReadManifestList(bytes.NewReader(raw)))
			if slices.ContainsFunc(f.files, func(m iceberg.ManifestFile) bool { return m.ManifestContent() == iceberg.ManifestContentDeletes }) {
				break
			}
		}
	}
	for _, m := range f.files {
		raw := must(f.objects.Get(t.Context(), f.object(m.FilePath())))
		for _, e := range must(iceberg.ReadManifest(m, bytes.NewReader(raw), true)) {
			switch {
			case m.ManifestContent() == iceberg.ManifestContentDeletes:
				f.deletes, f.file = m, e.DataFile()
			case strings.Contains(e.DataFile().FilePath(), "/00000001-"):
				f.other = e.DataFile()
			}
		}
	}
	if f.file == nil || f.other == nil {
		t.Fatalf("no vector or no second file in %v", f.names())
	}
	return f
}

func (f *forgery) object(uri string) string { return strings.TrimPrefix(uri, "file://"+f.dir+"/") }

// put replaces an object.
func (f *forgery) put(name string, raw []byte) {
	f.Helper()
	_ = f.objects.Delete(f.Context(), name)
	if err := f.objects.PutIfAbsent(f.Context(), name, raw); err != nil {
		f.Fatal(err)
	}
}

// vector describes the table's vector, but for what change says.
func (f *forgery) vector(path string, rows, size int64, change func(*iceberg.DataFileBuilder)) iceberg.DataFile {
	f.Helper()
	b := must(iceberg.NewDataFileBuilder(*iceberg.UnpartitionedSpec, iceberg.EntryContentPosDeletes, path, iceberg.PuffinFile, nil, nil, nil, rows, size))
	b.ReferencedDataFile(*f.file.ReferencedDataFile()).ContentOffset(*f.file.ContentOffset()).ContentSizeInBytes(*f.file.ContentSizeInBytes())
	change(b)
	return b.Build()
}

// with has the delete manifest name these files, and reads the deletes of data file 0.
func (f *forgery) with(files ...iceberg.DataFile) error {
	f.Helper()
	s := iceberg.NewSchema(0, iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int64})
	var buf bytes.Buffer
	w := must(iceberg.NewManifestWriter(3, &buf, *iceberg.UnpartitionedSpec, s, f.snap.ID(), iceberg.WithManifestWriterContent(iceberg.ManifestContentDeletes)))
	snapshot, seq := f.snap.ID(), int64(2)
	for _, file := range files {
		if err := w.Existing(iceberg.NewManifestEntry(iceberg.EntryStatusEXISTING, &snapshot, &seq, &seq, file)); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.put(f.object(f.deletes.FilePath()), buf.Bytes())
	return f.read()
}

func (f *forgery) read() error {
	f.Helper()
	snap, err := f.open(f.objects).Current(f.Context(), f.c)
	if err == nil {
		_, err = snap.Deleted(f.Context(), 0)
	}
	return err
}

// What a manifest says of vectors is not believed: neither where they lie, nor how
// many rows they have, nor of which data file they are, nor that there is one of each.
func TestForgedManifests(t *testing.T) {
	f := newForgery(t)
	path, size := f.file.FilePath(), f.file.FileSizeBytes()
	same := func(*iceberg.DataFileBuilder) {}
	if err := f.with(f.vector(path, 3, size, same)); err != nil {
		t.Fatalf("a manifest as it was: %v", err)
	}
	name := func(uri string) func(*iceberg.DataFileBuilder) {
		return func(b *iceberg.DataFileBuilder) { b.ReferencedDataFile(uri) }
	}
	at := func(offset, length int64) func(*iceberg.DataFileBuilder) {
		return func(b *iceberg.DataFileBuilder) { b.ContentOffset(offset).ContentSizeInBytes(length) }
	}
	bare := must(iceberg.NewDataFileBuilder(*iceberg.UnpartitionedSpec, iceberg.EntryContentPosDeletes, path, iceberg.PuffinFile, nil, nil, nil, 3, size))
	for what, files := range map[string][]iceberg.DataFile{
		"two vectors of a data file":  {f.vector(path, 3, size, same), f.vector(path, 3, size, same)},
		"no place":                    {bare.ReferencedDataFile(*f.file.ReferencedDataFile()).Build()},
		"no data file":                {f.vector(path, 3, size, name(""))},
		"another's data file":         {f.vector(path, 3, size, name("file:///lake/acme/other/data/00000000-x.parquet"))},
		"more rows than the file has": {f.vector(path, 101, size, same)},
		"fewer rows":                  {f.vector(path, 2, size, same)},
		"more rows":                   {f.vector(path, 4, size, same)},
		"before the file":             {f.vector(path, 3, size, at(-5, 40))},
		"at its head":                 {f.vector(path, 3, size, at(0, 40))},
		"past its end":                {f.vector(path, 3, size, at(size-10, 40))},
		"so far that it overflows":    {f.vector(path, 3, size, at(1<<63-10, 40))},
		"too short":                   {f.vector(path, 3, size, at(4, 8))},
		"of negative length":          {f.vector(path, 3, size, at(4, -40))},
		"a little off":                {f.vector(path, 3, size, at(5, *f.file.ContentSizeInBytes()))},
		"of another length":           {f.vector(path, 3, size, at(4, *f.file.ContentSizeInBytes()-1))},
		"a file of another length":    {f.vector(path, 3, size+1, same)},
		"outside the lake":            {f.vector("file:///etc/passwd", 3, size, same)},
		"a data file":                 {f.vector(f.other.FilePath(), 3, f.other.FileSizeBytes(), same)},
	} {
		err := f.with(files...)
		if err == nil {
			t.Errorf("%s: read without an error", what)
			continue
		}
		wantKind(t, err, schema.ErrCorrupt)
	}
	// A vector of the one data file is none of the other.
	if err := f.with(f.vector(path, 3, size, name(f.other.FilePath()))); err != nil {
		t.Fatal(err)
	}
	snap := mustCurrent(t, f.fixture, f.c)
	if zero, one := must(snap.Deleted(t.Context(), 0)), must(snap.Deleted(t.Context(), 1)); len(zero) != 0 || len(one) != 3 {
		t.Errorf("deleted of file 0: %v, of file 1: %v", zero, one)
	}
	if got := len(read(t, snap, lakehouse.ReadOptions{Schema: f.c.Schema})); got != 107 {
		t.Errorf("%d rows", got)
	}
}
