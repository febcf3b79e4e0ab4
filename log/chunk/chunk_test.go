package chunk_test

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

	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

var rewrite = flag.Bool("rewrite", false, "rewrite golden files")

var pos = schema.Position{Generation: 3, Chunk: 4711}

const channel = 7

func header(kind chunk.Kind) chunk.Header {
	return chunk.Header{
		Kind: kind, Channel: channel, Position: pos, Epoch: 12, TimeMicros: 1_700_000_000_123_456,
		PutID: chunk.PutID{1, 2, 3, 15: 16}, WriterID: "host-a:99", DurableUpto: 4707,
	}
}

func rec(op schema.Op, key, row string) schema.Record {
	return schema.Record{Op: op, Key: []byte(key), Row: []byte(row)}
}

// sample has a small group, one that is worth compressing and one that is not,
// and answers.
func sample() ([]schema.Group, []schema.Answer) {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 700)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	groups := []schema.Group{
		{Instance: 1, FirstSeq: 0, Records: []schema.Record{rec(schema.OpInsert, "acme\x00t", `{"tenant":"acme"}`)}},
		{Instance: 16, FirstSeq: 1 << 40, Records: []schema.Record{
			rec(schema.OpUpsert, "k1", strings.Repeat("row of a flight, ", 300)),
			rec(schema.OpDelete, "k2", ""),
			rec(schema.OpUpdate, "", ""),
		}},
		{Instance: 1 << 60, FirstSeq: 5, Records: []schema.Record{rec(schema.OpInsert, "", string(noise))}},
	}
	answers := []schema.Answer{
		{Key: schema.DedupKey{9}, Digest: [16]byte{8}, Instance: 16, FirstSeq: 1 << 40, Count: 3, Position: pos},
		{Key: schema.DedupKey{7}, Digest: [16]byte{6}, Position: pos},
	}
	return groups, answers
}

// images are groups some of whose records have a before image.
func images() []schema.Group {
	before := func(r schema.Record, row string) schema.Record { r.Before = []byte(row); return r }
	return []schema.Group{
		{Instance: 16, FirstSeq: 1 << 40, Records: []schema.Record{
			before(rec(schema.OpUpdate, "k1", "new"), "old"),
			before(rec(schema.OpDelete, "k2", ""), strings.Repeat("o", 200)),
			rec(schema.OpDelete, "k3", ""),
			rec(schema.OpInsert, "k4", "first"),
		}},
		{Instance: 17, FirstSeq: 1, Records: []schema.Record{rec(schema.OpUpsert, "k", "row")}},
	}
}

func encode(t testing.TB, h chunk.Header, groups []schema.Group, answers []schema.Answer) []byte {
	t.Helper()
	e, err := chunk.NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	data, err := e.Append(nil, h, groups, answers)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decoder(t testing.TB) *chunk.Decoder {
	d, err := chunk.NewDecoder(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestRoundTrip(t *testing.T) {
	groups, answers := sample()
	for _, c := range []struct {
		kind    chunk.Kind
		groups  []schema.Group
		answers []schema.Answer
	}{{chunk.Data, groups, answers}, {chunk.Data, groups[1:2], nil}, {chunk.Data, images(), nil}, {chunk.Data, nil, answers}, {chunk.Fence, nil, nil}, {chunk.Filler, nil, nil}, {chunk.Marker, nil, nil}} {
		data := encode(t, header(c.kind), c.groups, c.answers)
		h, got, err := decoder(t).Decode("x", channel, pos, data)
		if err != nil {
			t.Fatal(err)
		}
		want := &schema.Chunk{Position: pos, Epoch: 12, TimeMicros: h.TimeMicros, Groups: c.groups, Answers: c.answers, Bytes: len(data)}
		if h != header(c.kind) || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\n%+v\nwant %+v", h, got, want)
		}
	}
}

func TestGroupByFooter(t *testing.T) {
	groups, answers := sample()
	data := encode(t, header(chunk.Data), groups, answers)
	n, err := chunk.FooterSize("x", data[len(data)-chunk.TrailerSize:])
	if err != nil {
		t.Fatal(err)
	}
	f, err := chunk.DecodeFooter("x", channel, pos, data[int64(len(data))-n:])
	if err != nil || f.Header != header(chunk.Data) || f.Size != int64(len(data)) {
		t.Fatalf("footer %+v, %v", f, err)
	}
	for _, want := range groups {
		e, ok := f.Find(want.Instance)
		if !ok {
			t.Fatalf("instance %d not found", want.Instance)
		}
		g, err := decoder(t).Group("x", e, data[e.Offset:e.Offset+e.Length()])
		if err != nil || !reflect.DeepEqual(g, want) {
			t.Errorf("got %+v, %v, want %+v", g, err, want)
		}
	}
	if _, ok := f.Find(17); ok {
		t.Error("found an instance that is not there")
	}
}

// TestGolden holds the versions that are written to the bytes that were written
// first, and reads those of version 1. zstd may compress differently one day, so
// what is compressed is only read.
func TestGolden(t *testing.T) {
	groups, answers := sample()
	plain := encode(t, header(chunk.Data), append(groups[:1:1], groups[2]), answers)
	for _, c := range []struct {
		name  string
		data  []byte
		exact bool
	}{
		{"v1-plain", plain, false},
		{"v1-zstd", encode(t, header(chunk.Data), groups, answers), false},
		{"v1-fence", encode(t, header(chunk.Fence), nil, nil), false},
		{"v2-plain", plain, true},
		{"v2-zstd", encode(t, header(chunk.Data), groups, answers), false},
		{"v2-marker", encode(t, header(chunk.Marker), nil, nil), true},
		{"v3-plain", encode(t, header(chunk.Data), images(), answers), true},
	} {
		path := filepath.Join("testdata", c.name+".hex")
		if got := fmt.Sprintf("v%d", c.data[4]); got != "v2" && got != c.name[:2] {
			t.Errorf("%s: written as %s", c.name, got)
		}
		if *rewrite && !strings.HasPrefix(c.name, "v1") {
			if err := os.WriteFile(path, []byte(hex.Dump(c.data)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		golden := undump(t, path)
		if c.exact && !bytes.Equal(golden, c.data) {
			t.Errorf("%s: encoding changed", c.name)
		}
		h, was, err := decoder(t).Decode(c.name, channel, pos, golden)
		if err != nil {
			t.Fatal(err)
		}
		if old := strings.HasPrefix(c.name, "v1"); old != (h.DurableUpto == 0) {
			t.Errorf("%s: durable up to %d", c.name, h.DurableUpto)
		}
		_, is, err := decoder(t).Decode(c.name, channel, pos, c.data)
		was.Bytes, is.Bytes = 0, 0
		if err != nil || !reflect.DeepEqual(was, is) {
			t.Errorf("%s: golden bytes read as %+v, want %+v, %v", c.name, was, is, err)
		}
	}
}

func undump(t *testing.T, path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var data []byte
	for line := range strings.Lines(string(text)) {
		if len(line) < 60 {
			continue // the last: the length
		}
		b, err := hex.DecodeString(strings.ReplaceAll(line[10:58], " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, b...)
	}
	return data
}

// TestDamage flips each byte and cuts at each length: all of it is noticed.
func TestDamage(t *testing.T) {
	groups, answers := sample()
	data := encode(t, header(chunk.Data), groups, answers)
	d := decoder(t)
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 8)
		_, _, err := d.Decode("ch/7/3/x", channel, pos, bad)
		if !errors.Is(err, schema.ErrCorrupt) && !errors.Is(err, schema.ErrUnsupported) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
		if !strings.Contains(err.Error(), "ch/7/3/x") {
			t.Fatalf("error does not name the object: %v", err)
		}
		if _, _, err := d.Decode("x", channel, pos, data[:i]); !errors.Is(err, schema.ErrCorrupt) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	if _, _, err := d.Decode("x", channel, pos, append(bytes.Clone(data), 0)); !errors.Is(err, schema.ErrCorrupt) {
		t.Errorf("a byte more: %v", err)
	}
	if _, _, err := d.Decode("x", channel, pos.Next(), data); !errors.Is(err, schema.ErrCorrupt) {
		t.Errorf("under another number: %v", err)
	}
	if _, _, err := d.Decode("x", channel+1, pos, data); !errors.Is(err, schema.ErrCorrupt) {
		t.Errorf("in another channel: %v", err)
	}
}

// TestDurableUpto holds the byte that tells of it to its limits: what is too far
// away is not known, rather than wrong.
func TestDurableUpto(t *testing.T) {
	for _, c := range []struct{ number, upto, want uint64 }{
		{4711, 4710, 4710}, {4711, 4710 - 254, 4710 - 254}, {4711, 4710 - 255, 0}, {4711, 0, 0}, {3, 1, 1}, {1, 0, 0},
	} {
		h := header(chunk.Data)
		h.Position.Chunk, h.DurableUpto = c.number, c.upto
		got, err := chunk.DecodeHeader("x", channel, h.Position, encode(t, h, nil, nil))
		if err != nil || got.DurableUpto != c.want {
			t.Errorf("chunk %d, durable up to %d: read as %d, %v", c.number, c.upto, got.DurableUpto, err)
		}
	}
}

// TestCopy copies chunks of each version: all but the put id is as it was.
func TestCopy(t *testing.T) {
	groups, answers := sample()
	id := chunk.PutID{9, 9, 9}
	for name, data := range map[string][]byte{
		"v1": undump(t, filepath.Join("testdata", "v1-zstd.hex")),
		"v2": encode(t, header(chunk.Data), groups, answers),
	} {
		dup, err := chunk.Copy("x", channel, pos, data, id)
		if err != nil {
			t.Fatal(err)
		}
		was, before, err := decoder(t).Decode("x", channel, pos, data)
		if err != nil {
			t.Fatal(err)
		}
		is, after, err := decoder(t).Decode("x", channel, pos, dup)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		was.PutID = id
		if is != was || !reflect.DeepEqual(after, before) {
			t.Errorf("%s: copied as %+v\n%+v\nwant %+v", name, is, after, was)
		}
		if _, err := chunk.Copy("x", channel, pos, data[:150], id); !errors.Is(err, schema.ErrCorrupt) {
			t.Errorf("%s cut short: %v", name, err)
		}
		if _, err := chunk.Copy("x", channel, pos.Next(), data, id); !errors.Is(err, schema.ErrCorrupt) {
			t.Errorf("%s at another number: %v", name, err)
		}
	}
}

func TestEncoderRefuses(t *testing.T) {
	e, err := chunk.NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	one := []schema.Record{rec(schema.OpInsert, "", "x")}
	for _, groups := range [][]schema.Group{
		{{Instance: 0, Records: one}}, {{Instance: 3, Records: one}, {Instance: 3, Records: one}},
		{{Instance: 3, Records: one}, {Instance: 2, Records: one}}, {{Instance: 3}},
	} {
		if _, err := e.Append(nil, header(chunk.Data), groups, nil); !errors.Is(err, schema.ErrInvalid) {
			t.Errorf("%v: %v", groups, err)
		}
	}
}

func TestNames(t *testing.T) {
	if got, want := chunk.Name(0, schema.Position{Chunk: 42}), "ch/0/0/00000000000000000042"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := chunk.HeadName(3), "ch/3/head"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzDecode(f *testing.F) {
	groups, answers := sample()
	f.Add(encode(f, header(chunk.Data), groups, answers))
	f.Add(encode(f, header(chunk.Fence), nil, nil))
	f.Add(encode(f, header(chunk.Data), groups[:1], nil))
	f.Add(encode(f, header(chunk.Data), images(), nil))
	f.Add(encode(f, header(chunk.Marker), nil, nil))
	d := decoder(f)
	e, err := chunk.NewEncoder()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, fixed := range [][]byte{data, fixCRCs(data)} {
			h, c, err := d.Decode("x", channel, pos, fixed)
			if err != nil {
				if !errors.Is(err, schema.ErrCorrupt) && !errors.Is(err, schema.ErrUnsupported) {
					t.Fatalf("error without a kind: %v", err)
				}
				continue
			}
			again, err := e.Append(nil, h, c.Groups, c.Answers)
			if err != nil {
				t.Fatalf("what was decoded cannot be encoded: %v", err)
			}
			if got, err := chunk.DecodeHeader("x", channel, pos, again); err != nil || got != h {
				t.Fatalf("header %+v encoded as %+v, %v", h, got, err)
			}
			if _, err := chunk.Copy("x", channel, pos, fixed, chunk.PutID{1}); err != nil {
				t.Fatalf("what was decoded cannot be copied: %v", err)
			}
			_, c2, err := d.Decode("x", channel, pos, again)
			if err != nil {
				t.Fatal(err)
			}
			c.Bytes, c2.Bytes = 0, 0
			if fmt.Sprint(c) != fmt.Sprint(c2) {
				t.Fatalf("got %v, want %v", c2, c)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	for _, collections := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("collections=%d", collections), func(b *testing.B) {
			groups := manyGroups(collections)
			e, err := chunk.NewEncoder()
			if err != nil {
				b.Fatal(err)
			}
			var buf []byte
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				if buf, err = e.Append(buf, header(chunk.Data), groups, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(buf))/(1<<20), "stored/raw")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, collections := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("collections=%d", collections), func(b *testing.B) {
			data := encode(b, header(chunk.Data), manyGroups(collections), nil)
			d := decoder(b)
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := d.Decode("x", channel, pos, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// manyGroups has 4,096 records of 256 bytes.
func manyGroups(collections int) []schema.Group {
	r := rand.New(rand.NewPCG(1, 2))
	groups := make([]schema.Group, collections)
	for i := range groups {
		groups[i] = schema.Group{Instance: schema.Instance(100 + i*3), FirstSeq: schema.Seq(i * 1000)}
		for range 4096 / collections {
			row := make([]byte, 240)
			for k := range row {
				row[k] = "abcdefghijklmnop"[r.IntN(16)]
			}
			groups[i].Records = append(groups[i].Records, schema.Record{Op: schema.OpUpsert, Key: row[:16], Row: row})
		}
	}
	return groups
}
