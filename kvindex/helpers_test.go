package kvindex_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

func TestMain(m *testing.M) {
	if crashChild() {
		return
	}
	goleak.VerifyTestMain(m,
		// Badger leaves these when it fails to open, as in TestDamage.
		goleak.IgnoreAnyFunction("github.com/dgraph-io/badger/v4.(*DB).monitorCache"),
		goleak.IgnoreAnyFunction("github.com/dgraph-io/ristretto/v2/z.(*AllocatorPool).freeupAllocators"),
	)
}

func open(t testing.TB, dir string) *kvindex.Index {
	t.Helper()
	return openWith(t, testOptions(dir))
}

func openWith(t testing.TB, o kvindex.Options) *kvindex.Index {
	t.Helper()
	x, err := kvindex.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeIndex(t, x) })
	return x
}

func testOptions(dir string) kvindex.Options {
	return kvindex.Options{Dir: dir, MinFreeBytes: -1, BootID: "test", MemTableBytes: 16 << 20}
}

// openForgetful opens an index that may remember few rows, have few filters, and let
// the overlay keep few applied versions.
func openForgetful(t testing.TB, o kvindex.Options, rnd *rand.Rand) *kvindex.Index {
	o.RememberRows = []int{0, 1, 10, 40, -1}[rnd.IntN(5)]
	o.FilterBytes = []int{0, 0, 1500, -1}[rnd.IntN(4)]
	x, err := kvindex.Open(o) // which the simulation closes: a clean-up would keep each
	must(t, err)
	x.SetMaxRetired([]int{0, 5, 30, 1000}[rnd.IntN(4)])
	return x
}

func closeIndex(t testing.TB, x *kvindex.Index) {
	t.Helper()
	if err := x.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func at(n uint64) schema.Position { return schema.Position{Chunk: n} }

func upsert(key, row string) schema.Record {
	return schema.Record{Op: schema.OpUpsert, Key: []byte(key), Row: []byte(row)}
}

func remove(key string) schema.Record { return schema.Record{Op: schema.OpDelete, Key: []byte(key)} }

func insert(row string) schema.Record { return schema.Record{Op: schema.OpInsert, Row: []byte(row)} }

// maker makes chunks whose seqs go on.
type maker struct {
	next map[schema.Instance]schema.Seq
	pos  schema.Position
}

func newMaker() *maker { return &maker{next: map[schema.Instance]schema.Seq{}} }

// chunk makes the next chunk of one collection's records.
func (m *maker) chunk(inst schema.Instance, records ...schema.Record) *schema.Chunk {
	return m.chunkOf(map[schema.Instance][]schema.Record{inst: records})
}

func (m *maker) chunkOf(records map[schema.Instance][]schema.Record) *schema.Chunk {
	m.pos = m.pos.Next()
	c := &schema.Chunk{Position: m.pos, TimeMicros: int64(m.pos.Chunk) * 1000}
	for _, inst := range slices.Sorted(maps.Keys(records)) {
		rs := records[inst]
		if len(rs) == 0 {
			continue
		}
		c.Groups = append(c.Groups, schema.Group{Instance: inst, FirstSeq: m.next[inst], Records: rs})
		m.next[inst] += schema.Seq(len(rs))
	}
	return c
}

// copyIndex copies the directory of an open index as a killed process would
// leave it. Badger flushes and compacts meanwhile, so the copy counts once its
// table of contents did not change under it.
func copyIndex(t testing.TB, from, to string) {
	t.Helper()
	for {
		must(t, os.RemoveAll(to))
		before, _ := os.ReadFile(filepath.Join(from, "00", "MANIFEST"))
		err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(from, path)
			if d.IsDir() {
				return os.MkdirAll(filepath.Join(to, rel), 0o750)
			}
			return copyFile(path, filepath.Join(to, rel))
		})
		after, _ := os.ReadFile(filepath.Join(from, "00", "MANIFEST"))
		if errors.Is(err, fs.ErrNotExist) || !bytes.Equal(before, after) {
			continue
		}
		must(t, err)
		return
	}
}

// copyFile copies a file with its holes, which are most of a memtable's.
func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	err = dst.Truncate(info.Size())
	for end := int64(0); err == nil; {
		var data int64
		if data, err = src.Seek(end, unix.SEEK_DATA); errors.Is(err, unix.ENXIO) {
			return dst.Close() // a hole up to the end
		}
		if err == nil {
			end, err = src.Seek(data, unix.SEEK_HOLE)
		}
		if err == nil {
			_, err = io.Copy(io.NewOffsetWriter(dst, data), io.NewSectionReader(src, data, end-data))
		}
	}
	return errors.Join(err, dst.Close())
}
