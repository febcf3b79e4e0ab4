package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/schema"
)

// threeBatches is a stream of six airports, whose names are in dictionaries.
func threeBatches(t testing.TB, opts ...ipc.Option) string {
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	var batches []arrow.RecordBatch
	for _, keys := range []string{"AB", "CD", "EF"} {
		batches = append(batches, batchOf(t, column{"iata", dict, fmt.Sprintf(`["%c","%c"]`, keys[0], keys[1])}, f64("lat", `[1,2]`)))
	}
	return stream(t, batches, opts...)
}

func TestWriteEach(t *testing.T) {
	small := func(o *ingest.Options) { o.MaxBatchRecords = 2 }
	for name, opts := range map[string][]ipc.Option{
		"plain": nil, "zstd": {ipc.WithZstd()}, "deltas": {ipc.WithDictionaryDeltas(true)},
	} {
		s := newStore(airports())
		w := newWriter(t, s, small)
		body := threeBatches(t, opts...)
		if _, err := w.Write(t.Context(), request("airports", "", arrows, body)); !errors.Is(err, schema.ErrTooLarge) {
			t.Errorf("%s: as one batch: %v", name, err)
		}
		res, err := w.WriteEach(t.Context(), request("airports", "", arrows, body))
		if err != nil || res.Batches != 3 || res.Count != 6 || res.FirstSeq != 0 || res.LastSeq != 5 || s.appends != 3 {
			t.Errorf("%s: %+v, %v, %d appends", name, res, err, s.appends)
		}
	}
}

// flakyLog fails the appends that it is told to.
type flakyLog struct {
	*store
	fails map[int]error
	calls int
}

func (l *flakyLog) Append(ctx context.Context, b ingest.Batch) (ingest.Ack, error) {
	l.calls++
	if err := l.fails[l.calls]; err != nil {
		return ingest.Ack{}, err
	}
	return l.store.Append(ctx, b)
}

// A stream that fails midway tells what is durable, and when it is sent again goes
// on behind that.
func TestWriteEachGoesOn(t *testing.T) {
	s := newStore(airports())
	l := &flakyLog{store: s, fails: map[int]error{3: schema.ErrUnavailable}}
	w := newWriter(t, s, func(o *ingest.Options) { o.Log = l })
	r := func() ingest.Request {
		r := request("airports", "insert", arrows, threeBatches(t))
		r.IdempotencyKey = "load 7"
		return r
	}
	res, err := w.WriteEach(t.Context(), r())
	if !errors.Is(err, schema.ErrUnavailable) || res.Batches != 2 || res.Count != 4 || res.LastSeq != 3 {
		t.Fatalf("%+v, %v", res, err)
	}
	res, err = w.WriteEach(t.Context(), r())
	if err != nil || res.Batches != 3 || res.Count != 6 || res.Replayed || res.FirstSeq != 0 || res.LastSeq != 5 {
		t.Fatalf("%+v, %v", res, err)
	}
	if res, err = w.WriteEach(t.Context(), r()); err != nil || !res.Replayed || res.LastSeq != 5 {
		t.Fatalf("%+v, %v", res, err)
	}
	if len(s.rows[airports().Instance]) != 6 {
		t.Errorf("%d rows", len(s.rows[airports().Instance]))
	}
}

func TestWriteEachBad(t *testing.T) {
	whole := threeBatches(t)
	_, _, second := message(t, whole, 4) // schema, dictionary, batch, dictionary, batch
	seq := schema.Seq(0)
	long := strings.Repeat("é", 300)
	tests := map[string]struct {
		body    string
		change  func(*ingest.Request)
		batches int
		kind    error
		words   string
	}{
		"cut within":            {whole[:len(whole)-40], nil, 2, schema.ErrInvalid, "cut off"},
		"cut between":           {whole[:second], nil, 2, schema.ErrInvalid, "cut off"},
		"a key twice":           {stream(t, []arrow.RecordBatch{batchOf(t, str("iata", `["A"]`), f64("lat", `[1]`)), batchOf(t, str("iata", `["B","B"]`), f64("lat", `[1,1]`))}), nil, 1, schema.ErrInvalid, "the record in line 2"},
		"a null":                {stream(t, []arrow.RecordBatch{batchOf(t, str("iata", `["A",null]`), f64("lat", `[1,1]`))}), nil, 0, schema.ErrInvalid, "is required"},
		"ndjson":                {`{"iata":"A","lat":1}`, func(r *ingest.Request) { r.Format = ndjson }, 0, ingest.ErrMediaType, "comes in batches"},
		"nothing":               {"", nil, 0, schema.ErrInvalid, "cut off"},
		"if-seq":                {whole, func(r *ingest.Request) { r.IfSeq = &seq }, 0, schema.ErrInvalid, "about one batch"},
		"if-row":                {whole, func(r *ingest.Request) { r.IfRow = &ingest.IfRow{} }, 0, schema.ErrInvalid, "about one batch"},
		"producer":              {whole, func(r *ingest.Request) { r.Producer = "p" }, 0, schema.ErrInvalid, "about one batch"},
		"long key":              {whole, func(r *ingest.Request) { r.IdempotencyKey = long[:250] }, 0, schema.ErrInvalid, "at most 243"},
		"no such":               {whole, func(r *ingest.Request) { r.Collection = "none" }, 0, schema.ErrNotFound, "none"},
		"a wide batch":          {stream(t, []arrow.RecordBatch{batchOf(t, str("iata", `["A"]`), f64("lat", `[1]`)), batchOf(t, str("iata", `["B","C","D"]`), f64("lat", `[1,1,1]`))}), nil, 1, schema.ErrTooLarge, "3 rows"},
		"too many dictionaries": {stream(t, []arrow.RecordBatch{dictionaryOf(t, 0), dictionaryOf(t, 1), dictionaryOf(t, 2), dictionaryOf(t, 3)}, ipc.WithDictionaryDeltas(true)), nil, 3, schema.ErrTooLarge, "send it as several"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStore(airports())
			w := newWriter(t, s, func(o *ingest.Options) { o.MaxBatchRecords, o.MaxBatchBytes = 2, 64<<10 })
			r := request("airports", "", arrows, test.body)
			if test.change != nil {
				test.change(&r)
			}
			res, err := w.WriteEach(t.Context(), r)
			if !errors.Is(err, test.kind) || !strings.Contains(fmt.Sprint(err), test.words) || res.Batches != test.batches || s.appends != test.batches {
				t.Errorf("%+v, %d appends, %v", res, s.appends, err)
			}
		})
	}
}

// dictionaryOf is a batch with a dictionary of 20 KiB of its own.
func dictionaryOf(t testing.TB, n int) arrow.RecordBatch {
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	return batchOf(t, str("iata", fmt.Sprintf(`["%d"]`, n)), f64("lat", `[1]`), column{"name", dict, fmt.Sprintf(`["%d%s"]`, n, strings.Repeat("x", 20<<10))})
}

// Bad rows of any batch are left out and told, up to the most that are.
func TestWriteEachSkips(t *testing.T) {
	s := newStore(airports())
	var batches []arrow.RecordBatch
	for i := range 300 {
		batches = append(batches, batchOf(t, str("iata", fmt.Sprintf(`["%d",null]`, i)), f64("lat", `[1,2]`)))
	}
	r := request("airports", "", arrows, stream(t, batches))
	r.SkipBad = true
	res, err := newWriter(t, s, nil).WriteEach(t.Context(), r)
	if err != nil || res.Count != 300 || res.SkippedCount != 300 || len(res.Skipped) != schema.MaxFieldErrors || res.Skipped[1].Line != 4 {
		t.Errorf("%d written, %d skipped, %d told, %v", res.Count, res.SkippedCount, len(res.Skipped), err)
	}
}

// A stream of no batch is answered with the position, as a batch of no record is.
func TestWriteEachOfNone(t *testing.T) {
	s := newStore(airports())
	w := newWriter(t, s, nil)
	empty := batchOf(t, str("iata", `[]`), f64("lat", `[]`))
	res, err := w.WriteEach(t.Context(), request("airports", "", arrows, stream(t, []arrow.RecordBatch{empty, empty})))
	if err != nil || res.Batches != 0 || res.Count != 0 || res.Position.Chunk == 0 {
		t.Errorf("%+v, %v", res, err)
	}
}
