package record_test

import (
	"bytes"
	"testing"

	"github.com/trinedb/trine/log/record"
	"github.com/trinedb/trine/schema"
)

func TestRecordRoundTrip(t *testing.T) {
	for _, r := range []schema.Record{
		{Op: schema.OpInsert},
		{Op: schema.OpDelete, Key: []byte("k")},
		{Op: schema.OpUpsert, Key: bytes.Repeat([]byte("k"), 200), Row: bytes.Repeat([]byte("r"), 70_000)},
		{Op: schema.OpUpdate, Key: []byte("k"), Row: []byte("r"), Before: bytes.Repeat([]byte("b"), 300)},
		{Op: schema.OpDelete, Key: []byte("k"), Before: []byte("b")},
	} {
		b := record.Append(nil, &r)
		if len(b) > record.Bound(&r) || len(b) < record.MinBytes {
			t.Errorf("%d bytes, want %d to %d", len(b), record.MinBytes, record.Bound(&r))
		}
		p := record.Parser{Buf: b}
		got := p.Record()
		if p.Bad || !p.End() || got.Op != r.Op || !bytes.Equal(got.Key, r.Key) || !bytes.Equal(got.Row, r.Row) || !bytes.Equal(got.Before, r.Before) {
			t.Errorf("%v came back as %v", r, got)
		}
		for n := range b {
			p := record.Parser{Buf: b[:n]}
			if p.Record(); !p.Bad {
				t.Errorf("record cut after %d of %d bytes was taken for whole", n, len(b))
			}
		}
	}
}

func TestParserRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"op 0":           {0, 0, 0},
		"op 5":           {5, 0, 0},
		"image, op 0":    {0x80, 0, 0, 1, 'b'},
		"of an insert":   {0x81, 0, 0, 1, 'b'},
		"of an upsert":   {0x82, 0, 0, 1, 'b'},
		"of no bytes":    {0x83, 0, 0, 0},
		"none":           {0x84, 0, 0},
		"image beyond":   {0x84, 0, 0, 2, 'b'},
		"longer form":    {1, 0x80, 0, 0},
		"length beyond":  {1, 9, 0},
		"length of 2^63": {1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0},
	} {
		p := record.Parser{Buf: b}
		if p.Record(); !p.Bad {
			t.Errorf("%s was taken", name)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte{1, 1, 'k', 1, 'r'})
	f.Add([]byte{0x83, 1, 'k', 1, 'r', 1, 'b'})
	f.Add([]byte{0x84, 1, 'k', 0, 1, 'b'})
	f.Fuzz(func(t *testing.T, b []byte) {
		p := record.Parser{Buf: b}
		r := p.Record()
		if !p.Bad && !bytes.Equal(record.Append(nil, &r), b[:p.Off]) {
			t.Errorf("%x is %v, which is encoded otherwise", b[:p.Off], r)
		}
	})
}
