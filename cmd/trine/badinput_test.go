package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/client"
)

// arrowStream is a stream of one batch with an id column.
func arrowStream(t *testing.T, rows int) []byte {
	t.Helper()
	s := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, s)
	defer b.Release()
	for i := range rows {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
	}
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(s))
	if err := w.Write(b.NewRecordBatch()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// forgedArrow says that its first message is of two gigabytes.
func forgedArrow() []byte {
	return binary.LittleEndian.AppendUint32([]byte{0xff, 0xff, 0xff, 0xff}, 0x7fff_ffff)
}

// TestBadInput sends a real server what it must refuse. Each refusal is a
// problem that names what and where; nothing of it is written; the server goes
// on.
func TestBadInput(t *testing.T) {
	p := serveProcess(t, filepath.Join(t.TempDir(), "data"))
	c, err := client.New(client.Options{Server: p.url, Retry: -1})
	if err != nil {
		t.Fatal(err)
	}
	items := client.Ref{Tenant: "shop", Collection: "items"}
	def := `{"key":["id"],"fields":[{"name":"id","type":"long","required":true},
		{"name":"name","type":"string","required":true},{"name":"at","type":"date"}]}`
	if _, err := c.Apply(t.Context(), items, []byte(def), false); err != nil {
		t.Fatal(err)
	}
	const records = "/v1/tenants/shop/collections/items/records"
	good := `{"id":1,"name":"bolt"}` + "\n"
	for _, tc := range []struct {
		name   string
		method string // default POST
		path   string // default records
		typ    string // default NDJSON
		body   string
		status int
		code   string
		tells  []string // what the problem must name
	}{
		{name: "unknown field", body: good + `{"id":2,"name":"nut","colour":"red"}`, status: 400, code: "invalid", tells: []string{`"line":2`, "colour"}},
		{name: "wrong type", body: good + `{"id":"two","name":"nut"}`, status: 400, code: "invalid", tells: []string{`"line":2`, `"field":"id"`, "two", "long"}},
		{name: "null in a required field", body: `{"id":1,"name":null}`, status: 400, code: "invalid", tells: []string{`"line":1`, `"field":"name"`, "required"}},
		{name: "absent required field", body: `{"id":1}`, status: 400, code: "invalid", tells: []string{`"field":"name"`}},
		{name: "missing key", body: `{"name":"nut"}`, status: 400, code: "invalid", tells: []string{`"line":1`, `"field":"id"`}},
		{name: "duplicate key", body: good + `{"id":2,"name":"nut"}` + "\n" + `{"id":1,"name":"again"}`, status: 400, code: "invalid", tells: []string{`"line":3`, "1"}},
		{name: "20 MB record", body: `{"id":1,"name":"` + strings.Repeat("x", 20<<20) + `"}`, status: 413, code: "too_large", tells: []string{"line"}},
		{name: "bad UTF-8", body: "{\"id\":1,\"name\":\"\xff\xfe\"}", status: 400, code: "invalid", tells: []string{`"line":1`, "UTF-8"}},
		{name: "not JSON", body: good + `{"id":2,`, status: 400, code: "invalid", tells: []string{`"line":2`}},
		{name: "bad date", body: `{"id":1,"name":"n","at":"2026-02-30"}`, status: 400, code: "invalid", tells: []string{`"field":"at"`, "2026-02-30"}},
		{name: "deep nesting", body: `{"id":1,"name":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, status: 400, code: "invalid", tells: []string{`"line":1`}},
		{name: "truncated Arrow", typ: client.Arrow, body: string(arrowStream(t, 1000)[:900]), status: 400, code: "invalid", tells: []string{"Arrow"}},
		{name: "forged Arrow length", typ: client.Arrow, body: string(forgedArrow()), status: 400, code: "invalid", tells: []string{"Arrow"}},
		{name: "Arrow without a required column", typ: client.Arrow, body: string(arrowStream(t, 3)), status: 400, code: "invalid", tells: []string{"name"}},
		{name: "wrong content type", typ: "application/xml", body: "<id>1</id>", status: 415, code: "unsupported_media_type", tells: []string{"application/x-ndjson"}},
		{name: "CSV with a column too many", typ: client.CSV, body: "id,name,colour\n1,bolt,red\n", status: 400, code: "invalid", tells: []string{"colour"}},
		{name: "unknown collection", path: "/v1/tenants/shop/collections/nothing/records", body: good, status: 404, code: "not_found", tells: []string{"shop/nothing"}},
		{name: "unknown operation", path: records + "?op=merge", body: good, status: 400, code: "invalid", tells: []string{"merge", "upsert"}},
		{name: "reserved tenant", method: "PUT", path: "/v1/tenants/system/collections/x", typ: client.JSON, body: def, status: 400, code: "invalid", tells: []string{"system"}},
		{name: "reserved field", method: "PUT", path: "/v1/tenants/shop/collections/x", typ: client.JSON, body: `{"fields":[{"name":"_seq","type":"long"}]}`, status: 400, code: "invalid", tells: []string{"_seq"}},
		{name: "name with dots", method: "PUT", path: "/v1/tenants/shop/collections/..%2fetc", typ: client.JSON, body: def, status: 400, code: "invalid", tells: []string{"../etc"}},
		{name: "incompatible evolution", method: "PUT", path: "/v1/tenants/shop/collections/items", typ: client.JSON,
			body:   `{"key":["id"],"fields":[{"name":"id","type":"long","required":true},{"name":"name","type":"int","required":true},{"name":"at","type":"date"}]}`,
			status: 409, code: "incompatible", tells: []string{"name", "string", "int"}},
		{name: "unknown column of a scan", method: "GET", path: "/v1/tenants/shop/collections/items/scan?columns=nope", status: 400, code: "invalid", tells: []string{"nope"}},
		{name: "ill-typed predicate", method: "GET", path: "/v1/tenants/shop/collections/items/scan?where=id+%3D+%27x%27", status: 400, code: "invalid", tells: []string{"id"}},
		{name: "key with too many parts", method: "GET", path: records + "/1/2", status: 400, code: "invalid", tells: []string{"key"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.method == "" {
				tc.method = http.MethodPost
			}
			if tc.path == "" {
				tc.path = records
			}
			if tc.typ == "" {
				tc.typ = client.NDJSON
			}
			problem, status := sendRaw(t, p.url, tc.method, tc.path, tc.typ, tc.body)
			var parsed struct {
				Code   string
				Detail string
				Retry  string
			}
			if err := json.Unmarshal(problem, &parsed); err != nil {
				t.Fatalf("status %d, not a problem: %.200s", status, problem)
			}
			if status != tc.status || parsed.Code != tc.code || parsed.Detail == "" || parsed.Retry == "" {
				t.Errorf("got %d %s, want %d %s: %.300s", status, parsed.Code, tc.status, tc.code, problem)
			}
			for _, word := range tc.tells {
				if !bytes.Contains(problem, []byte(word)) {
					t.Errorf("the problem does not tell %q: %.400s", word, problem)
				}
			}
		})
	}
	col, err := c.Describe(t.Context(), items)
	if err != nil || col.NextSeq != 0 || col.Rows != 0 {
		t.Errorf("after all refusals: next seq %d, %d rows, %v", col.NextSeq, col.Rows, err)
	}
	if done, err := c.Write(t.Context(), items, []byte(good), client.WriteOptions{}); err != nil || done.Count != 1 {
		t.Errorf("a good write after all refusals: %+v, %v", done, err)
	}
	if err := p.stop(); err != nil {
		t.Errorf("clean stop: %v", err)
	}
}

// sendRaw sends a request as it is and reads its problem.
func sendRaw(t *testing.T, base, method, path, typ, body string) ([]byte, int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", typ)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(fmt.Errorf("server is gone: %w", err))
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q", got)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return data, resp.StatusCode
}
