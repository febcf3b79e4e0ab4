package node_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/internal/node"
)

// serveEnv makes the test binary a server of the data directory that it names.
const serveEnv = "TRINE_TEST_SERVE"

// serve serves a data directory until it is killed, or its standard input ends
// because the test did.
func serve(dir string) error {
	n, err := node.Open(context.Background(), node.Options{Data: dir, MinFreeBytes: -1})
	if err != nil {
		return err
	}
	front, err := arrowhttp.New(arrowhttp.Options{Backend: n.Backend(), Ready: n.Ready, SpoolDir: n.SpoolDir()})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	fmt.Println(ln.Addr())
	return front.Serve(ln)
}

// process is a server that can be killed.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	addr  string
}

func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(self)}
	p.cmd.Env = append(os.Environ(), serveEnv+"="+dir)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.wait)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("server did not come up: %v", err)
	}
	p.addr = strings.TrimSpace(line)
	return p
}

// kill is kill -9, and may be repeated; wait waits until it is gone.
func (p *process) kill() { _ = p.cmd.Process.Kill() } // it may be dead

func (p *process) wait() {
	p.kill()
	_ = p.stdin.Close()
	_ = p.cmd.Wait() // killed
}

// TestHistoriesThroughKills kills a node of its own process again and again under
// clients, and starts it on the same data directory: the history of each key is
// linearizable.
func TestHistoriesThroughKills(t *testing.T) {
	const perLife, lives = 12, 2 // keys, and how many lives they are used in
	dir, r := dataDir(t), rand.New(rand.NewPCG(*historySeeds, 5))
	n := openNode(t, node.Options{Data: dir})
	makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	closeNode(t, n)
	made, operations, kills := 0, 0, 0
	for group := 0; made < wanted() && !t.Failed(); group++ {
		h := &registers{}
		var keys []int
		for k := range perLife {
			keys = append(keys, group*perLife+k)
		}
		for range lives {
			kills++
			h.untilKilled(t, startProcess(t, dir), r, keys, 40+r.Int64N(120))
		}
		p := startProcess(t, dir)
		send, done := overHTTP(p)
		for _, key := range keys {
			h.read(t.Context(), 9, send, key)
		}
		done()
		p.wait()
		made += h.linearizable(t)
		operations += len(h.ops)
	}
	n = openNode(t, node.Options{Data: dir})
	mustVerify(t, n)
	t.Logf("%d histories, %d operations, %d kills under clients", made, operations, kills)
}

// untilKilled lets clients work with a server that is killed after so many
// requests, in the middle of others.
func (h *registers) untilKilled(t *testing.T, p *process, r *rand.Rand, keys []int, requests int64) {
	ctx, cancel := context.WithCancel(t.Context())
	send, done := overHTTP(p)
	defer done()
	var left atomic.Int64
	left.Store(requests)
	counted := func(r *http.Request) (int, []byte, bool) {
		if left.Add(-1) == 0 {
			go func() { // while the request is under way
				p.kill()
				cancel()
			}()
		}
		return send(r)
	}
	var clients sync.WaitGroup
	for i := range 4 {
		r := rand.New(rand.NewPCG(r.Uint64(), 6))
		clients.Go(func() { h.work(ctx, i, r, counted, keys, 1<<20, 1) })
	}
	clients.Wait()
	p.wait()
}

// overHTTP reaches a process.
func overHTTP(p *process) (exchange, func()) {
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	c := &http.Client{Transport: transport}
	return func(r *http.Request) (int, []byte, bool) {
		r.URL.Host = p.addr
		status, body := readAll(c.Do(r))
		return status, body, status != 0
	}, transport.CloseIdleConnections
}
