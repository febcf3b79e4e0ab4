package lakehouse_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/iceberg-go/puffin"
	"github.com/apache/iceberg-go/table/dv"

	"github.com/trinedb/trine/lakehouse"
)

var update = flag.Bool("update", false, "write the golden files anew")

func span(from, to, step uint32) (rows []uint32) {
	for row := from; row < to; row += step {
		rows = append(rows, row)
	}
	return rows
}

// vectors has rows of each kind of container: array, run and bitmap, and several.
var vectors = map[string][]uint32{
	"one":    {0},
	"few":    {1, 3, 65535, 65536, 1 << 31, 1<<32 - 2},
	"run":    span(100, 5000, 1),
	"bitmap": span(0, 10000, 2),
	"mixed":  slices.Concat(span(0, 70000, 7), span(200000, 270000, 1), []uint32{400000}),
}

// Vectors come back, as Trine and as iceberg-go read them, and are the bytes that
// were specified.
func TestVectorGolden(t *testing.T) {
	for name, rows := range vectors {
		raw, err := lakehouse.EncodeVector(rows)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := lakehouse.DecodeVector(raw, int64(len(rows))); err != nil || !slices.Equal(got, rows) {
			t.Errorf("%s: read %d rows of %d, %v", name, len(got), len(rows), err)
		}
		theirs, err := dv.DeserializeDV(raw, int64(len(rows)))
		if err != nil {
			t.Fatalf("%s: iceberg-go: %v", name, err)
		}
		if got := positions(theirs); !slices.Equal(got, rows) {
			t.Errorf("%s: iceberg-go reads %d rows of %d", name, len(got), len(rows))
		}
		golden(t, "vector-"+name, raw)
	}
}

func TestPuffinGolden(t *testing.T) {
	raw, err := lakehouse.EncodePuffin([]string{"file:///lake/a.parquet", "file:///lake/b.parquet"}, [][]uint32{vectors["one"], vectors["few"]})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "vectors.puffin", raw)
	r, err := puffin.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := r.ReadAllBlobs()
	if err != nil || len(blobs) != 2 {
		t.Fatalf("%d blobs, %v", len(blobs), err)
	}
	if got, err := lakehouse.DecodeVector(blobs[1].Data, 6); err != nil || !slices.Equal(got, vectors["few"]) {
		t.Errorf("second blob: %v, %v", got, err)
	}
	if p := blobs[1].Metadata.Properties; p["cardinality"] != "6" || p["referenced-data-file"] != "file:///lake/b.parquet" {
		t.Errorf("second blob: %v", p)
	}
}

func positions(b *dv.RoaringPositionBitmap) (rows []uint32) {
	for p := range b.Positions() {
		rows = append(rows, uint32(p))
	}
	return rows
}

// golden compares bytes with those of a file in testdata, as hexadecimal lines.
func golden(t *testing.T, name string, raw []byte) {
	t.Helper()
	path := filepath.Join("testdata", "format3", name+".hex")
	var sb strings.Builder
	for line := range slices.Chunk(raw, 32) {
		sb.WriteString(hex.EncodeToString(line) + "\n")
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(sb.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if sb.String() != string(want) {
		t.Errorf("%s has other bytes than before: the format changed", name)
	}
}

// framed is a deletion vector around the bytes from the number of bitmaps on, with a
// right length and checksum.
func framed(inner []byte) []byte {
	body := append([]byte{0xd1, 0xd3, 0x39, 0x64}, inner...)
	raw := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	return binary.BigEndian.AppendUint32(append(raw, body...), crc32.ChecksumIEEE(body))
}

func TestForgedVectors(t *testing.T) {
	good, err := lakehouse.EncodeVector(vectors["few"])
	if err != nil {
		t.Fatal(err)
	}
	inner := good[8 : len(good)-4]
	changed := func(at int, b byte) []byte {
		c := bytes.Clone(inner)
		c[at] ^= b
		return framed(c)
	}
	// All 2^32 rows in a few hundred KiB: 65,536 containers of one run each.
	all := binary.LittleEndian.AppendUint64(nil, 1)
	all = binary.LittleEndian.AppendUint32(all, 0)
	all = binary.LittleEndian.AppendUint32(all, 0xffff<<16|12347)
	all = append(all, bytes.Repeat([]byte{0xff}, 8192)...)
	for key := range 1 << 16 {
		all = append(binary.LittleEndian.AppendUint16(all, uint16(key)), 0xff, 0xff)
	}
	all = append(all, make([]byte, 4<<16)...)
	for range 1 << 16 {
		all = append(all, 1, 0, 0, 0, 0xff, 0xff)
	}
	for what, tc := range map[string]struct {
		raw []byte
		n   int64
	}{
		"nothing":               {nil, 0},
		"cut":                   {good[:len(good)-1], 6},
		"more":                  {append(bytes.Clone(good), 0), 6},
		"checksum":              {append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1), 6},
		"magic":                 {append([]byte{good[0], good[1], good[2], good[3], 0}, good[5:]...), 6},
		"two bitmaps":           {changed(0, 3), 6},
		"2^56 bitmaps":          {changed(7, 1), 6},
		"no bitmaps, and bytes": {changed(0, 1), 6},
		"rows past 2^32":        {changed(8, 1), 6},
		"bytes after":           {framed(append(bytes.Clone(inner), 0)), 6},
		"cookie":                {changed(12, 0xff), 6},
		"containers":            {changed(16, 0xff), 6},
		"fewer rows":            {good, 7},
		"more rows":             {good, 5},
		"all rows":              {framed(all), 1000},
		"too many rows":         {good, 1 << 40},
		"less than none":        {good, -1},
	} {
		if rows, err := lakehouse.DecodeVector(tc.raw, tc.n); err == nil {
			t.Errorf("%s: %d rows and no error", what, len(rows))
		}
	}
	if rows, err := lakehouse.DecodeVector(framed(make([]byte, 8)), 0); err != nil || len(rows) != 0 {
		t.Errorf("a vector without rows: %v, %v", rows, err)
	}
}

// FuzzDecodeVector: what is damaged or forged is an error, and never more work than
// its length and its number of rows say.
func FuzzDecodeVector(f *testing.F) {
	for _, rows := range vectors {
		raw, err := lakehouse.EncodeVector(rows)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, uint32(len(rows)), false)
		f.Add(raw[8:len(raw)-4], uint32(len(rows)), true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, n uint32, frame bool) {
		if frame {
			raw = framed(raw)
		}
		n %= 1 << 20
		rows, err := lakehouse.DecodeVector(raw, int64(n))
		if err != nil {
			return
		}
		if len(rows) != int(n) {
			t.Fatalf("%d rows, want %d", len(rows), n)
		}
		for i := 1; i < len(rows); i++ {
			if rows[i] <= rows[i-1] {
				t.Fatalf("row %d after %d", rows[i], rows[i-1])
			}
		}
		again, err := lakehouse.EncodeVector(rows)
		if err != nil {
			t.Fatal(err)
		}
		back, err := lakehouse.DecodeVector(again, int64(len(rows)))
		if err != nil || !slices.Equal(back, rows) {
			t.Fatalf("%d rows written anew are read as %d, %v", len(rows), len(back), err)
		}
	})
}
