package segment_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

var rewrite = flag.Bool("rewrite", false, "rewrite golden files")

// sample is a short history: a fence, collections that share chunks, a deletion.
// Its rows are noise, which zstd leaves alone, or a text that it does not.
func sample(noise bool) *history {
	r := rand.New(rand.NewPCG(1, 2))
	rec := func(op schema.Op, key string, size int) schema.Record {
		b := bytes.Repeat([]byte("row of a flight, "), size)[:size]
		if noise {
			for i := range b {
				b[i] = byte(r.Uint32())
			}
		}
		return schema.Record{Op: op, Key: []byte(key), Row: b}
	}
	var h history
	h.add(map[schema.Instance][]schema.Record{
		1:  {rec(schema.OpInsert, "acme\x00t", 40)},
		16: {rec(schema.OpUpsert, "k1", 90), rec(schema.OpUpsert, "k2", 90)},
	})
	h.add(nil)
	h.next[1<<60] = 1 << 40
	h.add(map[schema.Instance][]schema.Record{
		16:      {rec(schema.OpDelete, "k1", 0), rec(schema.OpUpdate, "k2", 60)},
		1 << 60: {rec(schema.OpInsert, "", 100)},
	})
	return &h
}

// sampleImages is a history whose changes have images of the rows before them.
func sampleImages() *history {
	h := sample(true)
	records := h.chunks[2].Groups[0].Records
	records[0].Before, records[1].Before = []byte("row 1"), []byte("row 2")
	return h
}

func (h *history) bytes(t testing.TB) []byte {
	store := newStore()
	r := h.build(t, store, 1, uint64(len(h.chunks)))
	data, err := store.Get(t.Context(), r.Name())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestGolden holds the versions to the bytes that were written first. zstd may
// compress differently one day, so what is compressed is only read.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		name    string
		history *history
		exact   bool
	}{
		{"v1-plain", sample(true), true},
		{"v1-zstd", sample(false), false},
		{"v2-plain", sampleImages(), true},
		{"v1-empty", &history{chunks: []*schema.Chunk{{Position: schema.Position{Generation: generation, Chunk: 1}, Epoch: 2, TimeMicros: -1}}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := c.history.bytes(t)
			if got := fmt.Sprintf("v%d", data[len(data)-12]); got != c.name[:2] {
				t.Errorf("written as %s", got)
			}
			path := filepath.Join("testdata", c.name+".hex")
			if *rewrite {
				if err := os.WriteFile(path, []byte(hex.Dump(data)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden := undump(t, path)
			if c.exact && !bytes.Equal(golden, data) {
				t.Error("encoding changed")
			}
			store := newStore()
			name := ref(1, 1, uint64(len(c.history.chunks)))
			if err := store.PutIfAbsent(t.Context(), name.Name(), golden); err != nil {
				t.Fatal(err)
			}
			compare(t, open(t, store, name), c.history, rand.New(rand.NewPCG(1, 1)))
		})
	}
}

// check reads all of an object that claims to be a segment.
func check(t testing.TB, r segment.Ref, d *segment.Decoder, data []byte) error {
	store := blob.NewMem()
	if err := store.PutIfAbsent(t.Context(), r.Name(), data); err != nil {
		t.Fatal(err)
	}
	s, err := segment.Open(t.Context(), store, d, r)
	if err != nil {
		return err
	}
	return s.Check(t.Context())
}

// TestDamage flips each byte and cuts at each length: all of it is noticed.
func TestDamage(t *testing.T) {
	r, d := ref(1, 1, 3), decoder(t)
	for _, h := range []*history{sample(true), sample(false), sampleImages()} {
		data := h.bytes(t)
		if err := check(t, r, d, data); err != nil {
			t.Fatal(err)
		}
		for i := range data {
			bad := bytes.Clone(data)
			bad[i] ^= 1 << (i % 8)
			err := check(t, r, d, bad)
			if !errors.Is(err, schema.ErrCorrupt) && !errors.Is(err, schema.ErrUnsupported) {
				t.Fatalf("byte %d flipped: %v", i, err)
			}
			if !strings.Contains(err.Error(), r.Name()) {
				t.Fatalf("error does not name the object: %v", err)
			}
			if err := check(t, r, d, data[:i]); !errors.Is(err, schema.ErrCorrupt) {
				t.Fatalf("cut at %d: %v", i, err)
			}
			if err := check(t, r, d, data[i+1:]); !errors.Is(err, schema.ErrCorrupt) {
				t.Fatalf("%d bytes cut off in front: %v", i+1, err)
			}
		}
		for _, bad := range [][]byte{append(bytes.Clone(data), 0), append([]byte{0}, data...)} {
			if err := check(t, r, d, bad); !errors.Is(err, schema.ErrCorrupt) {
				t.Errorf("a byte more: %v", err)
			}
		}
		for _, other := range []segment.Ref{ref(2, 1, 3), ref(1, 1, 4), ref(1, 2, 3), {Channel: channel + 1, Generation: generation, Level: 1, From: 1, To: 3}} {
			if err := check(t, other, d, data); !errors.Is(err, schema.ErrCorrupt) {
				t.Errorf("under the name %v: %v", other, err)
			}
		}
	}
}

// FuzzTail decodes footers, indexes and filters that have a right sum: what is
// accepted is what would be written.
func FuzzTail(f *testing.F) {
	for _, h := range []*history{sample(true), sample(false), sampleImages()} {
		data := h.bytes(f)
		n := int(data[len(data)-16]) | int(data[len(data)-15])<<8
		f.Add(data[len(data)-n:])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		again, err := segment.DecodeTail(ref(1, 1, 3), data)
		if err != nil {
			if !errors.Is(err, schema.ErrCorrupt) && !errors.Is(err, schema.ErrUnsupported) {
				t.Fatalf("error without a kind: %v", err)
			}
			return
		}
		if !bytes.Equal(again, data) {
			t.Fatalf("%x was accepted, and would be written as %x", data, again)
		}
	})
}

// TestBlockOfAnotherIndex decodes a block that has a right sum and is not the one
// that the index tells of.
func TestBlockOfAnotherIndex(t *testing.T) {
	g := func(id schema.Instance, first schema.Seq, chunk uint64) segment.Group {
		return segment.Group{
			Group:    schema.Group{Instance: id, FirstSeq: first, Records: []schema.Record{{Op: schema.OpInsert}}},
			Position: schema.Position{Generation: generation, Chunk: chunk},
		}
	}
	d := decoder(t)
	for _, c := range []struct {
		name        string
		first, last schema.Instance
		seq         schema.Seq
		groups      []segment.Group
		ok          bool
	}{
		{"as it should be", 5, 7, 3, []segment.Group{g(5, 3, 1), g(5, 4, 1), g(5, 9, 3), g(7, 0, 1)}, true},
		{"another first instance", 4, 7, 3, []segment.Group{g(5, 3, 1), g(7, 0, 1)}, false},
		{"another first seq", 5, 7, 2, []segment.Group{g(5, 3, 1), g(7, 0, 1)}, false},
		{"ends before", 5, 7, 3, []segment.Group{g(5, 3, 1), g(6, 0, 1)}, false},
		{"ends after", 5, 7, 3, []segment.Group{g(5, 3, 1), g(8, 0, 1)}, false},
		{"instances out of order", 5, 7, 3, []segment.Group{g(5, 3, 1), g(7, 0, 1), g(6, 0, 1), g(7, 1, 1)}, false},
		{"seqs out of order", 5, 5, 3, []segment.Group{g(5, 3, 1), g(5, 2, 1)}, false},
		{"chunks out of order", 5, 5, 3, []segment.Group{g(5, 3, 2), g(5, 4, 1)}, false},
		{"a chunk of another segment", 5, 5, 3, []segment.Group{g(5, 3, 4)}, false},
	} {
		_, err := segment.DecodeBlock(d, ref(1, 1, 3), c.first, c.last, c.seq, segment.EncodeBlock(c.groups))
		if c.ok != (err == nil) || err != nil && !errors.Is(err, schema.ErrCorrupt) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// FuzzBlock decodes blocks that have a right sum.
func FuzzBlock(f *testing.F) {
	h := sample(true)
	var groups []segment.Group
	for _, id := range h.ids() {
		for _, c := range h.chunks {
			if g, ok := c.Group(id); ok {
				groups = append(groups, segment.Group{Group: g, Position: c.Position, TimeMicros: c.TimeMicros})
			}
		}
	}
	f.Add(segment.EncodeBlock(groups), uint64(1), uint64(1<<60), uint64(0))
	for i := range groups {
		for j := range groups[i].Records {
			if r := &groups[i].Records[j]; r.Op.Ends() {
				r.Before = []byte("row")
			}
		}
	}
	f.Add(segment.EncodeBlock(groups), uint64(1), uint64(1<<60), uint64(0))
	f.Add(segment.EncodeBlock(groups[1:3]), uint64(16), uint64(16), uint64(0))
	d := decoder(f)
	f.Fuzz(func(t *testing.T, data []byte, first, last, seq uint64) {
		decode := func(data []byte) ([]segment.Group, error) {
			return segment.DecodeBlock(d, ref(1, 1, 3), schema.Instance(first), schema.Instance(last), schema.Seq(seq), data)
		}
		groups, err := decode(data)
		if err != nil {
			if !errors.Is(err, schema.ErrCorrupt) {
				t.Fatalf("error without a kind: %v", err)
			}
			return
		}
		again, err := decode(segment.EncodeBlock(groups))
		if err != nil || !reflect.DeepEqual(groups, again) {
			t.Fatalf("got %v, %v, want %v", again, err, groups)
		}
	})
}

// FuzzOpen reads objects that may be anything.
func FuzzOpen(f *testing.F) {
	f.Add(sample(true).bytes(f))
	f.Add(sample(false).bytes(f))
	d := decoder(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		err := check(t, ref(1, 1, 3), d, data)
		if err != nil && !errors.Is(err, schema.ErrCorrupt) && !errors.Is(err, schema.ErrUnsupported) {
			t.Fatalf("error without a kind: %v", err)
		}
	})
}

func FuzzParseName(f *testing.F) {
	f.Add(ref(1, 1, 3).Name())
	f.Fuzz(func(t *testing.T, name string) {
		if r, ok := segment.ParseName(name); ok && r.Name() != name {
			t.Fatalf("%q is read as %v", name, r)
		}
	})
}
