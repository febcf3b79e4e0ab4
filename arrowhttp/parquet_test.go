package arrowhttp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/trinedb/trine/schema"
)

const parquetType = "application/vnd.apache.parquet"

// A scan as Parquet has the rows and columns of one as Arrow, and tells the same of
// itself.
func TestScanParquet(t *testing.T) {
	r := newRig(t)
	r.store.batchRows = 2
	res := r.do("GET", airports+"/scan?columns=name,delay,tags", "", "Accept", parquetType)
	body, err := io.ReadAll(res.Body)
	if err != nil || res.Header.Get("Content-Type") != parquetType || res.Trailer.Get("Trine-Status") != "complete" {
		t.Fatalf("%v %s %s", err, res.Header, res.Trailer)
	}
	if got := res.Header.Get("Content-Disposition"); got != `attachment; filename="airports.parquet"` {
		t.Errorf("Content-Disposition %q", got)
	}
	pf, err := file.NewParquetReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	said := pf.MetaData().KeyValueMetadata()
	for key, want := range map[string]string{"trine.collection": "acme/airports", "trine.position": "1-4", "trine.snapshot": "7"} {
		if got := said.FindValue(key); got == nil || *got != want {
			t.Errorf("metadata %s: %v", key, got)
		}
	}
	reader, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := reader.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	text := ""
	for i := range int(table.NumCols()) {
		text += table.Schema().Field(i).Name + fmt.Sprint(table.Column(i).Data().Chunks())
	}
	want := `name[["Seattle" "a, \"b\"" ""]]delay[[10 (null) 30]]tags[[["a" "b"] (null) []]]_seq[[0 1 2]]_time`
	if !strings.HasPrefix(text, want) {
		t.Errorf("got %s\nwant %s", text, want)
	}
	if res := r.do("HEAD", airports+"/scan", "", "Accept", parquetType); res.StatusCode != 200 || res.Header.Get("ETag") == "" {
		t.Errorf("HEAD: %s", res.Status)
	}
}

// What is in memory is a row group, not the file.
func TestParquetRowGroups(t *testing.T) {
	r := newRig(t)
	r.put("acme", "events", strings.Repeat(`{"id":1,"note":"`+strings.Repeat("x", 100_000)+"\"}\n", 400))
	r.store.batchRows = 10
	body, err := io.ReadAll(r.do("GET", events+"/scan", "", "Accept", parquetType).Body)
	if err != nil {
		t.Fatal(err)
	}
	pf, err := file.NewParquetReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if pf.NumRows() != 403 || pf.NumRowGroups() != 3 {
		t.Errorf("%d rows in %d groups", pf.NumRows(), pf.NumRowGroups())
	}
	for g := range pf.NumRowGroups() {
		if n := pf.MetaData().RowGroup(g).NumRows(); n == 0 || n > 200 {
			t.Errorf("group %d has %d rows of 100 kB", g, n)
		}
	}
}

// A scan that fails leaves nothing that could be read, and a connection that breaks
// off.
func TestParquetFails(t *testing.T) {
	r := newRig(t)
	r.put("acme", "events", strings.Repeat(`{"id":1,"note":"`+strings.Repeat("x", 100_000)+"\"}\n", 400))
	r.store.batchRows = 10
	for _, after := range []int{1, 20, 35, 41} {
		r.store.scanErr, r.store.scanAfter = schema.ErrUnavailable, after
		res, err := r.try(t.Context(), "GET", events+"/scan", "", "Accept", parquetType)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d batches: %v", after, err)
		}
		if _, err := file.NewParquetReader(bytes.NewReader(body)); err == nil {
			t.Errorf("after %d batches: %d bytes are a file", after, len(body))
		}
		<-r.store.closed // a client sees the cut before the handler has ended
	}
	r.store.scanAfter = 0
	if p := r.problem("GET", events+"/scan", "", "Accept", parquetType); p.Code != "unavailable" {
		t.Errorf("before the first byte: %+v", p)
	}
	if r.store.scans != 0 {
		t.Errorf("%d scans not closed", r.store.scans)
	}
}
