package arrowhttp_test

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// canned scans the same batch over and over.
type canned struct {
	batch arrow.RecordBatch
	times int
}

func (c canned) Scan(context.Context, *schema.Collection, query.Scan) (*arrowhttp.ScanStream, error) {
	var batches iter.Seq2[arrow.RecordBatch, error] = func(yield func(arrow.RecordBatch, error) bool) {
		for range c.times {
			if !yield(c.batch, nil) {
				return
			}
		}
	}
	return &arrowhttp.ScanStream{Schema: c.batch.Schema(), Batches: batches}, nil
}

func benchServer(b *testing.B) (url string, bytes int64) {
	b.Helper()
	s := newStore()
	def, err := definition.ParseOne([]byte(`{tenant: acme, collection: events, fields: [{name: id, type: long}, {name: x, type: double}, {name: note, type: string}]}`))
	if err != nil {
		b.Fatal(err)
	}
	applied, err := s.Apply(b.Context(), []definition.Definition{def}, false)
	if err != nil {
		b.Fatal(err)
	}
	builder := schema.NewArrowBuilder(memory.DefaultAllocator, applied[0].Collection.Schema, nil, false)
	note := schema.String("some text of 24 bytes...")
	for i := range 65_536 {
		builder.Append([]schema.Value{schema.Int(int64(i)), schema.Float(float64(i)), note}, 0, 0)
	}
	backend := s.backend()
	bytes = int64(builder.Bytes()) * 100
	backend.Scanner = canned{builder.NewRecordBatch(), 100}
	for i := range 100_000 {
		s.appendLocked(s.collections["acme/events"], "", []schema.Value{schema.Int(int64(i)), schema.Float(0.5), note})
	}
	srv, err := arrowhttp.New(arrowhttp.Options{Backend: backend})
	if err != nil {
		b.Fatal(err)
	}
	ts := httptest.NewServer(srv.Handler())
	b.Cleanup(ts.Close)
	return ts.URL + events, bytes
}

func get(b *testing.B, url string, header ...string) io.ReadCloser {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, strings.NewReader(""))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != 200 {
		b.Fatal(res, err)
	}
	return res.Body
}

// BenchmarkScan reads 6.5 million rows over loopback, as a client of Arrow does.
func BenchmarkScan(b *testing.B) {
	url, size := benchServer(b)
	for _, codecs := range []string{"", "lz4", "zstd"} {
		b.Run("codec="+codecs, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				body := get(b, url+"/scan", "Accept", `application/vnd.apache.arrow.stream; codecs="`+codecs+`"`)
				rd, err := ipc.NewReader(body)
				if err != nil {
					b.Fatal(err)
				}
				for rd.Next() {
				}
				if rd.Err() != nil {
					b.Fatal(rd.Err())
				}
				rd.Release()
				_ = body.Close()
			}
		})
	}
}

// BenchmarkLog reads 100,000 changes in each form.
func BenchmarkLog(b *testing.B) {
	url, _ := benchServer(b)
	for _, accept := range []string{"application/x-ndjson", "text/event-stream", "application/vnd.apache.arrow.stream"} {
		b.Run(strings.ReplaceAll(accept, "/", "_"), func(b *testing.B) {
			for b.Loop() {
				body := get(b, url+"/log", "Accept", accept)
				if _, err := io.Copy(io.Discard, body); err != nil {
					b.Fatal(err)
				}
				_ = body.Close()
			}
			b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "changes/s")
		})
	}
}
