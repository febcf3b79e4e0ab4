package arrowhttp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/schema"
)

// scanned is what a reader of Arrow sees of a stream.
type scanned struct {
	schema  *arrow.Schema
	batches []int64 // rows of each
	rows    int64
	meta    arrow.Metadata // of the last batch
	err     error
}

func readStream(t *testing.T, r io.Reader) (s scanned) {
	t.Helper()
	rd, err := ipc.NewReader(r)
	if err != nil {
		t.Logf("read stream: %v", err)
		return scanned{err: err}
	}
	defer rd.Release()
	s.schema = rd.Schema()
	for rd.Next() {
		b := rd.RecordBatch()
		s.batches = append(s.batches, b.NumRows())
		s.rows += b.NumRows()
		s.meta = arrow.Metadata{}
		if m, ok := b.(interface{ Metadata() arrow.Metadata }); ok {
			s.meta = m.Metadata()
		}
	}
	s.err = rd.Err()
	return s
}

func (s scanned) complete() (rows string, ok bool) {
	done, _ := s.meta.GetValue(arrowhttp.MetaComplete)
	rows, _ = s.meta.GetValue(arrowhttp.MetaRows)
	return rows, done == "true"
}

func TestScanStream(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/scan", "/scan.arrows"} {
		res := r.do("GET", airports+path, "")
		if res.StatusCode != 200 {
			t.Fatalf("%+v", r.readProblem(res))
		}
		if got := res.Header.Get("Content-Type"); got != "application/vnd.apache.arrow.stream" {
			t.Errorf("Content-Type %q", got)
		}
		if res.Header.Get("Content-Encoding") != "" || res.Header.Get("Trine-Position") != "1-4" || res.Header.Get("Trine-Snapshot") != "7" {
			t.Errorf("header %s", res.Header)
		}
		s := readStream(t, res.Body)
		if rows, ok := s.complete(); s.err != nil || s.rows != 3 || !ok || rows != "3" || s.batches[len(s.batches)-1] != 0 {
			t.Errorf("got %+v", s)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		if got := res.Trailer.Get("Trine-Status"); got != "complete" {
			t.Errorf("trailer %q", got)
		}
		meta := s.schema.Metadata()
		for key, want := range map[string]string{"trine.collection": "acme/airports", "trine.schema_version": "1", "trine.position": "1-4", "trine.snapshot": "7"} {
			if got, _ := meta.GetValue(key); got != want {
				t.Errorf("schema metadata %s: %q", key, got)
			}
		}
	}
}

func TestScanParameters(t *testing.T) {
	r := newRig(t)
	s := readStream(t, r.do("GET", airports+"/scan?columns=name,delay&where=delay%3E5&limit=1", "").Body)
	if s.err != nil || s.rows != 1 || s.schema.Field(0).Name != "name" {
		t.Errorf("got %+v", s)
	}
	s = readStream(t, r.do("GET", airports+"/scan?limit=0", "").Body)
	if rows, ok := s.complete(); s.err != nil || s.rows != 0 || !ok || rows != "0" || s.schema.NumFields() != 7 {
		t.Errorf("schema alone: %+v", s)
	}
	if res := r.do("HEAD", airports+"/scan", ""); res.StatusCode != 200 || res.Header.Get("Trine-Position") != "1-4" {
		t.Errorf("HEAD: %s", res.Status)
	}
	if r.store.scans != 0 {
		t.Errorf("%d scans not closed", r.store.scans)
	}
}

func TestScanBatches(t *testing.T) {
	r := newRig(t)
	var lines strings.Builder
	for i := range 100_000 {
		lines.WriteString(`{"id":` + strconv.Itoa(i) + "}\n")
	}
	r.put("acme", "events", lines.String())
	r.store.batchRows = 90_000
	s := readStream(t, r.do("GET", events+"/scan", "").Body)
	if s.err != nil || s.rows != 100_003 || s.batches[0] != 1_024 {
		t.Errorf("got %v %v", s.err, s.batches)
	}
	for _, n := range s.batches {
		if n > 65_536 {
			t.Errorf("a batch of %d rows", n)
		}
	}
}

func TestScanBatchBytes(t *testing.T) {
	r := newRig(t)
	r.put("acme", "events", strings.Repeat(`{"id":1,"note":"`+strings.Repeat("x", 100_000)+"\"}\n", 100))
	r.store.batchRows = 100
	s := readStream(t, r.do("GET", events+"/scan", "").Body)
	if s.err != nil || s.rows != 103 {
		t.Fatalf("got %+v", s)
	}
	for _, n := range s.batches {
		if n > 32 {
			t.Errorf("a batch of %d rows of 100 kB", n)
		}
	}
}

func TestScanCodings(t *testing.T) {
	r := newRig(t)
	stream := "application/vnd.apache.arrow.stream"
	for _, tc := range []struct{ accept, encoding, wantType, wantEncoding string }{
		{"", "", stream, ""},
		{"*/*", "identity", stream, ""},
		{"text/html, */*;q=0.1", "gzip, deflate, br, zstd", stream, "zstd"},
		{stream, "gzip", stream, "gzip"},
		{stream, "gzip;q=0", stream, ""},
		{stream, "*", stream, ""},
		{stream, "gzip;q=0.5, identity;q=1", stream, ""},
		{stream, "identity;q=0, gzip", stream, "gzip"},
		{stream + `; codecs="zstd, lz4"`, "gzip", stream + "; codecs=zstd", ""},
		{strings.ToUpper(stream) + `;Codecs=lz4;q=0.9`, "", stream + "; codecs=lz4", ""},
		{stream + `; codecs="br"`, "gzip", stream, "gzip"},
		{stream + `; codecs="none, lz4"`, "", stream + "; codecs=lz4", ""},
		{"text/csv;q=0.5, " + stream, "", stream, ""},
	} {
		res := r.do("GET", airports+"/scan", "", "Accept", tc.accept, "Accept-Encoding", tc.encoding)
		if got := res.Header.Get("Content-Type"); got != tc.wantType {
			t.Errorf("%+v: Content-Type %q", tc, got)
		}
		if got := res.Header.Get("Content-Encoding"); got != tc.wantEncoding {
			t.Errorf("%+v: Content-Encoding %q", tc, got)
			continue
		}
		s := readStream(t, decode(t, res))
		if rows, ok := s.complete(); s.err != nil || !ok || rows != "3" {
			t.Errorf("%+v: %+v", tc, s)
		}
	}
}

func decode(t *testing.T, res *http.Response) io.Reader {
	t.Helper()
	var r io.Reader = res.Body
	var err error
	switch res.Header.Get("Content-Encoding") {
	case "gzip":
		r, err = gzip.NewReader(res.Body)
	case "zstd":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(res.Body, zstd.WithDecoderConcurrency(1)); err == nil {
			t.Cleanup(d.Close)
		}
		r = d
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A scan that fails on its way is an error to whoever reads Arrow, though the
// body ends well; before its first byte it is a problem.
func TestScanFails(t *testing.T) {
	r := newRig(t)
	r.store.batchRows = 1
	for _, encoding := range []string{"identity", "gzip"} {
		for _, panics := range []bool{false, true} {
			r.store.scanErr, r.store.scanAfter, r.store.scanPanic = schema.ErrUnavailable, 2, panics
			if panics {
				r.store.scanErr = errBoom
			}
			res := r.do("GET", airports+"/scan", "", "Accept-Encoding", encoding)
			body, err := io.ReadAll(decode(t, res))
			if err != nil {
				t.Errorf("the body does not end well: %v", err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			if got := res.Trailer.Get("Trine-Status"); got != "error" {
				t.Errorf("trailer %q", got)
			}
			s := readStream(t, bytes.NewReader(body))
			if s.err == nil || s.rows != 2 {
				t.Errorf("a reader saw %d rows and error %v", s.rows, s.err)
			}
			at := bytes.LastIndex(body, []byte{0xff, 0xff, 0xff, 0xff})
			text := body[at+8:]
			if n := binary.LittleEndian.Uint32(body[at+4:]); int(n) <= len(text) || int(n) > 4096 {
				t.Errorf("the frame says %d bytes and has %d", n, len(text))
			}
			code := `"code":"unavailable"`
			if panics {
				code = `"code":"internal"`
			}
			if !bytes.Contains(text, []byte(code)) {
				t.Errorf("the frame says %s", text)
			}
		}
	}
	r.store.scanErr, r.store.scanAfter, r.store.scanPanic = schema.ErrUnavailable, 0, false
	if p := r.problem("GET", airports+"/scan", ""); p.Code != "unavailable" {
		t.Errorf("before the first byte: %+v", p)
	}
	if r.store.scans != 0 {
		t.Errorf("%d scans not closed", r.store.scans)
	}
}

func TestScanText(t *testing.T) {
	r := newRig(t)
	wantText(t, "ndjson", r.text("GET", airports+"/scan?columns=iata,delay", "", "Accept", "application/x-ndjson"),
		`{"iata":"SEA","delay":10,"_seq":0,"_time":"2023-11-14T22:13:22Z"}
{"iata":"P/X","delay":null,"_seq":1,"_time":"2023-11-14T22:13:22Z"}
{"iata":"PDX","delay":30,"_seq":2,"_time":"2023-11-14T22:13:22Z"}`)
	wantText(t, "csv", r.text("GET", airports+"/scan", "", "Accept", "text/csv, */*"),
		`state,iata,name,delay,tags,_seq,_time
WA,SEA,Seattle,10,"[""a"",""b""]",0,2023-11-14T22:13:22Z
WA,P/X,"a, ""b""",,,1,2023-11-14T22:13:22Z
OR,PDX,"",30,[],2,2023-11-14T22:13:22Z`)
	wantText(t, "csv without rows", r.text("GET", events+"/scan?where=id%3E9", "", "Accept", "text/csv"), "id,note,_seq,_time")

	r.store.batchRows, r.store.scanErr, r.store.scanAfter = 1, schema.ErrUnavailable, 1
	res := r.do("GET", airports+"/scan", "", "Accept", "application/x-ndjson")
	body, err := io.ReadAll(res.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(string(body), `{"problem":`) {
		t.Errorf("cut text: %v\n%s", err, body)
	}
}

func TestScanFile(t *testing.T) {
	r := newRig(t)
	res := r.do("GET", airports+"/scan.arrow", "")
	whole, err := io.ReadAll(res.Body)
	if err != nil || int64(len(whole)) != res.ContentLength || res.Header.Get("Accept-Ranges") != "bytes" || res.Header.Get("ETag") == "" {
		t.Fatalf("%v %d %s", err, len(whole), res.Header)
	}
	f, err := ipc.NewFileReader(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	rows := int64(0)
	for i := range f.NumRecords() {
		b, err := f.RecordBatch(i)
		if err != nil {
			t.Fatal(err)
		}
		rows += b.NumRows()
	}
	if rows != 3 {
		t.Errorf("%d rows", rows)
	}

	// The same client reads ranges of the same file, also after a write …
	r.put("acme", "airports", `{"state":"CA","iata":"SFO"}`)
	res = r.do("GET", airports+"/scan.arrow", "", "Range", "bytes=-10")
	tail, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusPartialContent || !bytes.Equal(tail, whole[len(whole)-10:]) {
		t.Errorf("range: %s", res.Status)
	}
	// … unless it asks for the write, or for the whole anew.
	res = r.do("GET", airports+"/scan.arrow", "", "Range", "bytes=0-", "Trine-At-Least", "1-5")
	if got := res.Header.Get("Trine-Position"); got != "1-5" {
		t.Errorf("at least 1-5: position %s", got)
	}
	scans := r.store.scanned
	res = r.do("HEAD", airports+"/scan.arrow", "")
	if res.ContentLength <= int64(len(whole)) || r.store.scanned != scans {
		t.Errorf("HEAD: %d bytes, %d scans more", res.ContentLength, r.store.scanned-scans)
	}
	res = r.do("GET", airports+"/scan", "", "Accept", "application/vnd.apache.arrow.file")
	if got := res.Header.Get("Content-Type"); got != "application/vnd.apache.arrow.file" {
		t.Errorf("by Accept: %s", got)
	}
	if r.store.scans != 0 {
		t.Errorf("%d scans not closed", r.store.scans)
	}
}

func TestScanFileLimit(t *testing.T) {
	r := newRig(t, func(o *arrowhttp.Options) { o.MaxSpoolBytes = 7_000 })
	r.text("GET", airports+"/scan.arrow", "")
	r.text("GET", airports+"/scan.arrow?columns=name", "") // in the place of the first
	r.put("acme", "events", `{"id":1,"note":"`+strings.Repeat("x", 9_000)+`"}`)
	if p := r.problem("GET", events+"/scan.arrow", ""); p.Code != "overloaded" || !strings.Contains(p.Detail, "scan.arrows") {
		t.Errorf("got %+v", p)
	}
	r.store.scanErr = schema.ErrUnavailable
	r.store.scanAfter = 1
	if p := r.problem("GET", airports+"/scan.arrow?columns=iata", ""); p.Code != "unavailable" {
		t.Errorf("got %+v", p)
	}
}

// A client that goes away ends its scan, and leaves nothing behind.
func TestDroppedScans(t *testing.T) {
	before := goleak.IgnoreCurrent()
	func() {
		r := newRig(t)
		r.store.endless, r.store.batchRows = true, 1_000
		for range 8 {
			ctx, cancel := context.WithCancel(t.Context())
			res, err := r.try(ctx, "GET", airports+"/scan", "")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.CopyN(io.Discard, res.Body, 1<<16)
			cancel()
			_ = res.Body.Close()
		}
		drain(t, r)
		if r.store.scans != 0 {
			t.Errorf("%d scans not closed", r.store.scans)
		}
	}()
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("net/http.(*Server).Serve"), goleak.IgnoreAnyFunction("net/http/httptest.(*Server).goServe.func1"))
}

// drain ends the rig's server and waits for its requests.
func drain(t *testing.T, r *rig) {
	t.Helper()
	r.http.CloseClientConnections()
	r.http.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// A client that stops reading is cut off.
func TestStalledScan(t *testing.T) {
	r := newRig(t, func(o *arrowhttp.Options) { o.StallTimeout = 50 * time.Millisecond })
	r.store.endless, r.store.batchRows = true, 10_000
	res := r.do("GET", airports+"/scan", "")
	<-r.store.closed // it reads nothing; the server gives up by itself
	if s := readStream(t, res.Body); s.err == nil {
		t.Error("a cut stream is read as whole")
	}
}

// A shutdown that cannot wait ends scans as failed ones.
func TestShutdownCutsScans(t *testing.T) {
	r := newRig(t)
	r.store.endless = true
	res := r.do("GET", airports+"/scan", "")
	read := make(chan scanned)
	go func() { read <- readStream(t, res.Body) }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := r.srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	if s := <-read; s.err == nil {
		t.Error("a cut stream is read as whole")
	}
	if p := r.problem("GET", airports, ""); p.Code != "closing" {
		t.Errorf("after shutdown: %+v", p)
	}
}
