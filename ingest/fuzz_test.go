package ingest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/schema"
)

// FuzzWrite demands of any body in any format that it is written, or refused
// with an error of a known kind; that what is written can be read; and that
// what is refused has no effect.
func FuzzWrite(f *testing.F) {
	formats := []string{ndjson, asJSON, asCSV, arrows}
	encodings := []string{"", "gzip", "zstd"}
	ops := []ingest.Op{"", ingest.OpInsert, ingest.OpDelete, ingest.OpPatch}
	for _, tt := range append(badInputs(f), badArrow(f)...) {
		if len(tt.body) > 4<<10 {
			continue
		}
		for format := range formats {
			if formats[format] == tt.format {
				f.Add(uint8(format), uint8(0), uint8(0), false, []byte(tt.body))
			}
		}
	}
	whole := stream(f, []arrow.RecordBatch{batchOf(f, str("iata", `["A","B"]`), f64("lat", `[1,2]`), column{"tags", arrow.ListOf(arrow.BinaryTypes.String), `[["x"],null]`})})
	f.Add(uint8(3), uint8(0), uint8(0), true, []byte(whole))
	f.Add(uint8(3), uint8(2), uint8(0), true, []byte(zst(f, []byte(whole))))
	f.Add(uint8(0), uint8(1), uint8(3), true, []byte(gz(f, []byte(good))))
	f.Fuzz(func(t *testing.T, format, encoding, op uint8, skip bool, data []byte) {
		s := newStore(airports())
		w := newWriter(t, s, func(o *ingest.Options) { o.MaxBatchBytes = 4 << 20 })
		r := request("airports", ops[op%4], formats[format%4], string(data))
		r.Encoding, r.SkipBad = encodings[encoding%3], skip
		_, err := w.Write(t.Context(), r)
		switch {
		case err == nil:
			if s.appends != 1 {
				t.Fatal("a batch that was answered was not appended")
			}
			s.text(t)
		case s.appends != 0:
			t.Fatalf("%v, but it was appended", err)
		case errors.Is(err, schema.ErrInvalid), errors.Is(err, schema.ErrTooLarge), errors.Is(err, schema.ErrNotFound):
		default:
			t.Fatalf("%v has no kind", err)
		}
	})
}

func FuzzWriteMany(f *testing.F) {
	f.Add(`{"collection":"flights","op":"insert","record":{"delay":1}}`)
	f.Add(`{"collection":"airports","record":{"iata":"SEA","lat":1}}` + "\n" + `{"op":"patch"}`)
	f.Fuzz(func(t *testing.T, body string) {
		s := newStore(airports(), flights())
		_, err := newWriter(t, s, nil).WriteMany(t.Context(), ingest.ManyRequest{Tenant: "acme", Body: strings.NewReader(body)})
		if err != nil && s.appends != 0 || err == nil && s.appends != 1 {
			t.Fatalf("%v after %d appends", err, s.appends)
		}
	})
}
