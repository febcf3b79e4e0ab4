package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/trinedb/trine/client"
)

// Wrong words end with 2, what failed with 1.
func TestExitCodes(t *testing.T) {
	for words, want := range map[string]int{
		"":                                 exitOK,
		"version":                          exitOK,
		"scan --help":                      exitOK,
		"frobnicate":                       exitUsage,
		"scan":                             exitUsage,
		"scan a":                           exitUsage,
		"scan a/b --nonsense":              exitUsage,
		"scan a/b --at-seq 1 --snapshot 2": exitUsage,
		"scan a/b --format table,csv":      exitUsage,
		"log a/b --desc --follow":          exitUsage,
		"log a/b --tail 1 --from-seq 2":    exitUsage,
		"import a/b x.csv --op bogus":      exitUsage,
		"import a/b x.csv --batch-rows 0":  exitUsage,
		"import a/b x.nonsense":            exitUsage,
		"import a/b x.csv":                 exitFailed,
		"write a/b -f nothing.ndjson":      exitFailed,
		"ls a --server nowhere":            exitUsage,
		"apply":                            exitUsage,
		"apply -f nothing.yaml":            exitFailed,
		"serve --log-level loud":           exitUsage,
		"serve --config nothing.yaml":      exitFailed,
		"verify --data nothing":            exitFailed,
		"verify a":                         exitUsage,
	} {
		if _, code := trine(t, strings.Fields(words)...); code != want {
			t.Errorf("trine %s: exit code %d, want %d", words, code, want)
		}
	}
}

// A write of which records were skipped has failed in part, in JSON too.
func TestSkippedRecordsFail(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"first_seq":0,"last_seq":0,"count":1,"position":"0-1","skipped":[{"line":2,"field":"z","rule":"no"}]}`)
	}))
	defer server.Close()
	in := filepath.Join(t.TempDir(), "in.ndjson")
	if err := os.WriteFile(in, []byte("{}\n{}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, extra := range []string{"", "--json"} {
		args := append([]string{"--server", server.URL, "write", "a/b", "--skip-bad", "-f", in}, strings.Fields(extra)...)
		if out, code := trine(t, args...); code != exitFailed || !strings.Contains(out, "2") {
			t.Errorf("%s: exit code %d: %s", extra, code, out)
		}
	}
}

// cutScans answers every scan with some rows and then breaks off.
func cutScans(t *testing.T) *httptest.Server {
	s := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)
	var rows bytes.Buffer
	w := ipc.NewWriter(&rows, ipc.WithSchema(s))
	b := array.NewInt64Builder(memory.DefaultAllocator)
	b.AppendValues([]int64{1, 2, 3}, nil)
	if err := w.Write(array.NewRecordBatch(s, []arrow.Array{b.NewArray()}, 3)); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") == client.Arrow {
			_, _ = w.Write(rows.Bytes())
		} else {
			_, _ = io.WriteString(w, "{\"n\":1}\n{\"n\":2}\n")
		}
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	return server
}

// A scan that is cut leaves no file, and an older one as it was.
func TestCutScanLeavesNoFile(t *testing.T) {
	server := cutScans(t)
	for _, format := range []string{"csv", "ndjson", "arrow", "parquet", "table"} {
		dir := t.TempDir()
		out, old := filepath.Join(dir, "new"), filepath.Join(dir, "old")
		if err := os.WriteFile(old, []byte("older"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{out, old} {
			if _, code := trine(t, "--server", server.URL, "scan", "a/b", "--format", format, "-o", name); code != exitFailed {
				t.Errorf("%s: exit code %d", format, code)
			}
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != 1 || left[0].Name() != "old" {
			t.Errorf("%s: left are %v (%v)", format, left, err)
		}
		if text, err := os.ReadFile(old); err != nil || string(text) != "older" {
			t.Errorf("%s: the older file has %q (%v)", format, text, err)
		}
	}
}

// What a pipe gets of a cut scan no reader takes for whole.
func TestCutScanInAPipe(t *testing.T) {
	server := cutScans(t)
	out, code := trine(t, "--server", server.URL, "scan", "a/b", "--format", "arrow")
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	r, err := ipc.NewReader(strings.NewReader(out))
	if err == nil {
		for r.Next() {
		}
		err = r.Err()
	}
	if err == nil {
		t.Error("the Arrow stream ends well")
	}
	out, code = trine(t, "--server", server.URL, "scan", "a/b", "--format", "parquet")
	if _, err := file.NewParquetReader(strings.NewReader(out)); err == nil || code != exitFailed {
		t.Errorf("the Parquet file can be read (exit code %d)", code)
	}
}

// A file that is not regular is written to, not replaced.
func TestScanToADevice(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Trine-Status")
		_, _ = io.WriteString(w, "{\"n\":1}\n")
		w.Header().Set("Trine-Status", "complete")
	}))
	defer server.Close()
	out, code := spawn(t, "--server", server.URL, "scan", "a/b", "--format", "ndjson", "-o", "/dev/stdout")
	if code != exitOK || out != "{\"n\":1}\n" {
		t.Errorf("exit code %d: %q", code, out)
	}
}

// What run tells is how the process ends.
func TestExitCodeOfAProcess(t *testing.T) {
	for words, want := range map[string]int{"version": exitOK, "frobnicate": exitUsage, "apply -f nothing.yaml": exitFailed} {
		if _, code := spawn(t, strings.Fields(words)...); code != want {
			t.Errorf("trine %s: exit code %d, want %d", words, code, want)
		}
	}
}

// Wrong words end with 2, what the server refuses with 1.
func TestExitCodesOfGuards(t *testing.T) {
	p := serveProcess(t, filepath.Join(t.TempDir(), "data"))
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("{tenant: a, collection: c, fields: [{name: n, type: long}]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args string
		code int
	}{
		{"apply -f " + file, exitOK},
		{"fence a/c --token t", exitOK},
		{"fence a/c --token u --if-token s", exitFailed},
		{"fence a/c", exitUsage},
		{"write a/c -f /dev/null --fence s", exitFailed},
		{"write a/c -f /dev/null --if-seq 9", exitFailed},
		{"write a/c --producer p", exitUsage},
		{"write a/c --producer p --producer-seq 1 --if-seq 0", exitUsage},
		{"import a/c /dev/null --format ndjson --fence=", exitUsage},
	} {
		if out, got := trine(t, append(strings.Fields(tc.args), "--server", p.url)...); got != tc.code {
			t.Errorf("trine %s: exit code %d, want %d: %s", tc.args, got, tc.code, out)
		}
	}
}
