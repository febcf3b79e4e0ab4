package node_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
)

// Readers that open a scan and go leave no goroutine behind, nor what it held.
func TestDroppedScans(t *testing.T) {
	scans, readers := 10_000, 8
	if testing.Short() {
		scans = 400
	}
	n := openNode(t, node.Options{Data: dataDir(t), NoUpkeep: true, FlushBytes: 1 << 50})
	c := makeCollection(t, n, `{"tenant":"acme","collection":"wide","key":["id"],"fields":[
		{"name":"id","type":"long","required":true},{"name":"text","type":"string"}]}`)
	lines := make([]string, 60_000) // some 7 MB, more than sockets hold
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"id":%d,"text":"%0*d"}`, i, 100, i)
	}
	write(t, n, c, ingest.OpUpsert, lines...)
	lines = nil
	if _, err := n.Engine.Flush(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	before := goleak.IgnoreCurrent()
	heap := heapAfterGC()

	srv, err := arrowhttp.New(arrowhttp.Options{Backend: n.Backend(), SpoolDir: n.SpoolDir()})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	var all errgroup.Group
	for range readers {
		all.Go(func() error {
			for i := range scans / readers {
				if err := dropScan(ln.Addr().String(), int64(i%7)<<13); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t, before)
	if now := heapAfterGC(); now > heap+16<<20 {
		t.Errorf("%d scans left %d MiB", scans, (now-heap)>>20)
	}
}

// dropScan begins to read a scan, and goes.
func dropScan(addr string, bytes int64) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET /v1/tenants/acme/collections/wide/scan HTTP/1.1\r\nHost: %s\r\n\r\n", addr); err != nil {
		return err
	}
	head := make([]byte, 12)
	if _, err := io.ReadFull(conn, head); err != nil {
		return err
	}
	if !strings.HasSuffix(string(head), " 200") {
		return fmt.Errorf("answer %q", head)
	}
	_, err = io.CopyN(io.Discard, conn, bytes)
	return err
}

func heapAfterGC() int64 {
	runtime.GC()
	runtime.GC() // what finalizers let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
