package kvindex_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

func TestNoSpace(t *testing.T) {
	ctx := context.Background()
	var free atomic.Uint64
	o := testOptions(t.TempDir())
	o.MinFreeBytes = 100
	o.FreeBytes = func(string) (uint64, error) { return free.Load(), nil }
	free.Store(49)
	if _, err := kvindex.Open(o); !errors.Is(err, schema.ErrNoSpace) {
		t.Fatalf("open far below the watermark: %v", err)
	}
	free.Store(50)
	x, err := kvindex.Open(o)
	must(t, err)
	defer closeIndex(t, x)
	c := newMaker().chunk(16, upsert("a", "1"))

	free.Store(99)
	if err := x.Apply(ctx, c); !errors.Is(err, schema.ErrNoSpace) || !x.SpaceLow() {
		t.Fatalf("apply below the watermark: %v, low %t", err, x.SpaceLow())
	}
	if row, _, err := x.Get(ctx, 16, []byte("a")); string(row) != "1" {
		t.Fatalf("reading goes on from the overlay: %q %v", row, err)
	}
	free.Store(150)
	must(t, x.Apply(ctx, c))
	if !x.SpaceLow() {
		t.Fatal("intake goes on too long")
	}
	free.Store(200)
	if x.SpaceLow() {
		t.Fatal("intake does not begin again")
	}
	free.Store(99)
	err = x.RecordFlush(ctx, 16, kvindex.Flush{LakeSeq: 1, Set: func(yield func([]byte, kvindex.Location) bool) {
		yield([]byte("a"), kvindex.Location{})
	}})
	if !errors.Is(err, schema.ErrNoSpace) {
		t.Fatalf("flush below the watermark: %v", err)
	}
}

func TestApplyRefuses(t *testing.T) {
	ctx := context.Background()
	for name, test := range map[string]struct {
		groups []schema.Group
		want   error
	}{
		"seq gap":   {[]schema.Group{{Instance: 16, FirstSeq: 3, Records: []schema.Record{insert("x")}}}, schema.ErrCorrupt},
		"seq again": {[]schema.Group{{Instance: 16, FirstSeq: 0, Records: []schema.Record{insert("x")}}}, schema.ErrCorrupt},
		"groups out of order": {[]schema.Group{
			{Instance: 18, Records: []schema.Record{insert("x")}}, {Instance: 17, Records: []schema.Record{insert("x")}},
		}, schema.ErrCorrupt},
		"long key": {[]schema.Group{{Instance: 17, Records: []schema.Record{
			upsert(string(make([]byte, kvindex.MaxKeyBytes+1)), "x"),
		}}}, schema.ErrTooLarge},
		"long row": {[]schema.Group{{Instance: 17, Records: []schema.Record{
			upsert("k", string(make([]byte, kvindex.MaxRowBytes+1))),
		}}}, schema.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			x := open(t, t.TempDir())
			m := newMaker()
			must(t, x.Apply(ctx, m.chunk(16, insert("0"))))
			err := x.Apply(ctx, &schema.Chunk{Position: at(2), Groups: test.groups})
			if !errors.Is(err, test.want) || x.Applied() != at(1) {
				t.Fatalf("got %v at %s", err, x.Applied())
			}
		})
	}
}

func TestLargestRow(t *testing.T) {
	ctx := context.Background()
	x := open(t, t.TempDir())
	m := newMaker()
	key, row := make([]byte, kvindex.MaxKeyBytes), make([]byte, kvindex.MaxRowBytes)
	key[0], row[len(row)-1] = 7, 9
	var records []schema.Record
	for range 5 { // older versions' parts go
		records = append(records, schema.Record{Op: schema.OpUpsert, Key: key, Row: row})
	}
	must(t, x.Apply(ctx, m.chunk(16, records...)))
	got, ok, err := x.Get(ctx, 16, key)
	if !ok || err != nil || string(got) != string(row) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if n := x.CountKeys(16); n != 1+8+2 {
		t.Errorf("%d keys, want one row, its parts, stats and the dirty marker", n)
	}
	must(t, x.Apply(ctx, m.chunk(16, remove(string(key)))))
	if n := x.CountKeys(16); n != 1+2 {
		t.Errorf("%d keys, want the first group, stats and the dirty marker", n)
	}
}

func TestAnswers(t *testing.T) {
	ctx := context.Background()
	now := time.Now()
	o := testOptions(t.TempDir())
	o.Now = func() time.Time { return now }
	x, err := kvindex.Open(o)
	must(t, err)
	defer closeIndex(t, x)
	c := newMaker().chunk(16, upsert("a", "1"))
	c.TimeMicros = now.UnixMicro()
	want := schema.Answer{Key: schema.DedupKey{1}, Digest: [16]byte{2}, Instance: 16, FirstSeq: 0, Count: 1, Position: c.Position}
	c.Answers = []schema.Answer{want}
	must(t, x.Apply(ctx, c))
	if got, ok, err := x.Answer(ctx, want.Key); got != want || !ok || err != nil {
		t.Fatalf("got %+v %t %v", got, ok, err)
	}
	if _, ok, err := x.Answer(ctx, schema.DedupKey{9}); ok || err != nil {
		t.Fatalf("unknown key: %t %v", ok, err)
	}
	now = now.Add(kvindex.AnswerTTL)
	if _, ok, err := x.Answer(ctx, want.Key); ok || err != nil {
		t.Fatalf("expired: %t %v", ok, err)
	}
}

func TestFlushRefuses(t *testing.T) {
	ctx := context.Background()
	x := open(t, t.TempDir())
	m := newMaker()
	must(t, x.Apply(ctx, m.chunk(16, upsert("a", "1"))))
	must(t, x.Apply(ctx, m.chunk(17, upsert("a", "1"))))
	must(t, x.Drop(ctx, 1, 17))
	broken := errors.New("the lake broke off")
	for name, test := range map[string]struct {
		inst schema.Instance
		f    kvindex.Flush
		want error
	}{
		"ahead of the index": {16, kvindex.Flush{LakeSeq: 2, Snapshot: 5}, schema.ErrPrecondition},
		"dropped":            {17, kvindex.Flush{Snapshot: 5}, schema.ErrNotFound},
		"cut short":          {16, kvindex.Flush{LakeSeq: 1, Snapshot: 5, Err: func() error { return broken }}, broken},
	} {
		if err := x.RecordFlush(ctx, test.inst, test.f); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
	if s, err := x.Stats(ctx, 16); err != nil || s.LakeSnapshot != 0 || s.LakeSeq != 0 {
		t.Errorf("recorded all the same: %+v %v", s, err)
	}
	must(t, x.RecordFlush(ctx, 16, kvindex.Flush{LakeSeq: 1, Snapshot: 6}))
	must(t, x.RecordFlush(ctx, 16, kvindex.Flush{LakeSeq: 0, Snapshot: 5}))
	if s, _ := x.Stats(ctx, 16); s.LakeSnapshot != 6 || s.TailBytes != 0 || !s.TailSince.IsZero() {
		t.Errorf("an older flush went through: %+v", s)
	}
}

func TestOptionsValidate(t *testing.T) {
	for _, o := range []kvindex.Options{{}, {Dir: "x", MemTableBytes: 1}, {Dir: "x", ReclaimPerSecond: -1}} {
		if _, err := kvindex.Open(o); !errors.Is(err, schema.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
