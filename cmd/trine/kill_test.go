package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	stdsync "sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trinedb/trine/client"
	"github.com/trinedb/trine/internal/seedtest"
)

var kills = flag.Int("kills", 8, "how often the kill test kills a server")

// killWriters is how many writers run at the same time in the kill test, each
// on keys of its own.
const killWriters = 4

const killCollections = `{"tenant":"crash","collection":"%s","fields":[
	{"name":"id","type":"string","required":true},{"name":"n","type":"long"},{"name":"pad","type":"string"}]%s}`

// TestKill kills a server at random moments under concurrent writers, again
// and again. After each restart every store must agree (trine verify), and
// every acknowledged write must be there, once: keyed rows by value, appended
// rows by seq. A write whose outcome is unknown is sent again with its
// idempotency key, and must then be there once as well.
func TestKill(t *testing.T) {
	seed := seedtest.Of(t)
	t.Logf("-kills=%d, seed %d", *kills, seed)
	if testing.Short() {
		*kills = min(*kills, killServers)
	}
	var segments, deleted atomic.Int64
	t.Run("servers", func(t *testing.T) {
		for server := range killServers {
			t.Run(fmt.Sprintf("server=%d", server), func(t *testing.T) {
				t.Parallel()
				k := newKillTest(t, seed+uint64(server))
				rounds := (*kills + killServers - 1 - server) / killServers
				for round := range rounds {
					k.round(round, (*process).kill)
				}
				s, d := k.archived()
				segments.Add(s)
				deleted.Add(d)
				t.Logf("%d kills, %d acknowledged batches, none lost, none doubled; %d segments, %d chunks deleted", rounds, k.acked(), s, d)
			})
		}
	})
	if *kills > 2*killServers && (segments.Load() == 0 || deleted.Load() == 0) {
		t.Errorf("%d segments were made and %d chunks deleted in %d kills", segments.Load(), deleted.Load(), *kills)
	}
}

// archived is how many segments there are, and how many chunks are gone.
func (k *killTest) archived() (segments, deleted int64) {
	k.t.Helper()
	there, highest := int64(0), int64(0)
	err := filepath.WalkDir(filepath.Join(k.dir, "log"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.Contains(path, "/seg/") {
			segments++
		}
		if n, err := strconv.ParseInt(d.Name(), 10, 64); err == nil && strings.Contains(path, "/ch/") {
			there, highest = there+1, max(highest, n)
		}
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return segments, highest - there
}

// killServers is how many servers share the kills, each with a directory of its
// own: what a round checks grows with the rounds before it.
const killServers = 4

// TestShutdown ends a server as an operator would, under writers: it ends
// well, and what it acknowledged to the last is there.
func TestShutdown(t *testing.T) {
	k := newKillTest(t, 1)
	for round := range 3 {
		k.round(round, func(p *process) {
			if err := p.stop(); err != nil {
				t.Errorf("round %d: trine serve ended with %v", round, err)
			}
		})
	}
	t.Logf("%d acknowledged batches", k.acked())
}

func newKillTest(t *testing.T, seed uint64) *killTest {
	k := &killTest{t: t, dir: filepath.Join(t.TempDir(), "data"), random: rand.New(rand.NewPCG(seed, 0))}
	for w := range killWriters {
		k.writers = append(k.writers, &killWriter{id: w, rows: map[string]*int64{}, events: map[uint64]string{}})
	}
	k.create()
	return k
}

func (k *killTest) acked() (total int) {
	for _, w := range k.writers {
		total += w.acked
	}
	return total
}

type killTest struct {
	t       *testing.T
	dir     string
	random  *rand.Rand
	writers []*killWriter
}

// killWriter is one writer and what it knows to be true.
type killWriter struct {
	id      int
	n       int64
	acked   int
	rows    map[string]*int64 // key → n acknowledged last; nil: deleted
	events  map[uint64]string // seq → id acknowledged
	pending *killWrite        // sent, outcome unknown
}

// killWrite is one atomic batch: events appended, keyed rows set and deleted.
type killWrite struct {
	idempotency string
	body        []byte
	set         map[string]int64
	gone        []string
	event       string
}

func (k *killTest) create() {
	p := serveProcess(k.t, k.dir)
	c := k.client(p)
	for name, key := range map[string]string{"rows": `,"key":["id"],"options":{"lake":"pinned"}`, "events": ""} {
		def := fmt.Sprintf(killCollections, name, key)
		if _, err := c.Apply(k.t.Context(), client.Ref{Tenant: "crash", Collection: name}, []byte(def), false); err != nil {
			k.t.Fatal(err)
		}
	}
	if err := p.stop(); err != nil {
		k.t.Fatalf("clean stop: %v", err)
	}
}

func (k *killTest) client(p *process) *client.Client {
	c, err := client.New(client.Options{Server: p.url, Retry: -1, HTTP: &http.Client{Transport: &http.Transport{}}})
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

// round serves, lets the writers write, ends the server, and checks what is
// left.
func (k *killTest) round(round int, end func(*process)) {
	p := serveProcess(k.t, k.dir, "--flush-bytes", "4096", "--log-level", "info",
		"--segment-bytes", "8192", "--segment-age", "50ms", "--segment-grace", "30ms", "--answers-kept", "20ms")
	ctx, cancel := context.WithCancel(k.t.Context())
	var done stdsync.WaitGroup
	for _, w := range k.writers {
		random := rand.New(rand.NewPCG(k.random.Uint64(), uint64(w.id)))
		done.Go(func() { w.run(ctx, k.client(p), random) })
	}
	done.Go(func() { k.loadTables(ctx, p) })
	time.Sleep(time.Duration(20+k.random.IntN(400)) * time.Millisecond)
	end(p)
	cancel()
	done.Wait()
	if out, code := trine(k.t, "verify", "--data", k.dir); code != exitOK {
		k.t.Fatalf("round %d: verify ended with %d:\n%s", round, code, out)
	}
	k.check(round)
}

// loadTables loads tables as engines do, so that kills meet commits too.
func (k *killTest) loadTables(ctx context.Context, p *process) {
	for ctx.Err() == nil {
		for _, name := range []string{"rows", "events"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/iceberg/v1/namespaces/crash/tables/"+name, nil)
			if err != nil {
				return
			}
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
		}
	}
}

// run writes until the server is gone.
func (w *killWriter) run(ctx context.Context, c *client.Client, random *rand.Rand) {
	for ctx.Err() == nil {
		if w.pending == nil {
			w.pending = w.next(random)
		}
		if err := w.send(ctx, c); err != nil {
			return // the outcome is unknown until it is sent again
		}
	}
}

func (w *killWriter) next(random *rand.Rand) *killWrite {
	w.n++
	b := &killWrite{idempotency: fmt.Sprintf("w%d-%d", w.id, w.n), set: map[string]int64{}}
	line := func(collection, op, record string) {
		b.body = fmt.Appendf(b.body, `{"collection":%q,"op":%q,"record":%s}`+"\n", collection, op, record)
	}
	for _, i := range random.Perm(50)[:1+random.IntN(5)] {
		key := fmt.Sprintf("w%d-k%d", w.id, i)
		if random.IntN(4) == 0 {
			b.gone = append(b.gone, key)
			line("rows", "delete", fmt.Sprintf(`{"id":%q}`, key))
			continue
		}
		b.set[key] = w.n
		line("rows", "upsert", fmt.Sprintf(`{"id":%q,"n":%d,"pad":"%0*d"}`, key, w.n, random.IntN(200), 0))
	}
	b.event = fmt.Sprintf("w%d-e%d", w.id, w.n)
	line("events", "insert", fmt.Sprintf(`{"id":%q,"n":%d}`, b.event, w.n))
	return b
}

// send sends the pending batch and notes what its ack promises.
func (w *killWriter) send(ctx context.Context, c *client.Client) error {
	b := w.pending
	done, err := c.WriteMany(ctx, "crash", b.body, client.WriteOptions{IdempotencyKey: b.idempotency})
	if err != nil {
		return err
	}
	for key, n := range b.set {
		w.rows[key] = &n
	}
	for _, key := range b.gone {
		w.rows[key] = nil
	}
	for _, part := range done.Collections {
		if part.Collection == "events" && part.FirstSeq != nil {
			w.events[*part.FirstSeq] = b.event
		}
	}
	w.acked++
	w.pending = nil
	return nil
}

// check settles what is unknown and compares what is there with what was
// acknowledged.
func (k *killTest) check(round int) {
	p := serveProcess(k.t, k.dir)
	defer func() {
		if err := p.stop(); err != nil {
			k.t.Fatalf("round %d: clean stop: %v", round, err)
		}
	}()
	c := k.client(p)
	for _, w := range k.writers {
		if w.pending == nil {
			continue
		}
		if err := w.send(k.t.Context(), c); err != nil {
			k.t.Fatalf("round %d: batch %s sent again: %v", round, w.pending.idempotency, err)
		}
	}
	k.checkRows(round, c)
	k.checkEvents(round, c)
}

func (k *killTest) checkRows(round int, c *client.Client) {
	want := map[string]int64{}
	for _, w := range k.writers {
		for key, n := range w.rows {
			if n != nil {
				want[key] = *n
			}
		}
	}
	for rec, err := range c.Range(k.t.Context(), client.Ref{Tenant: "crash", Collection: "rows"}, client.RangeOptions{}) {
		if err != nil {
			k.t.Fatalf("round %d: range: %v", round, err)
		}
		var row struct {
			ID string
			N  int64
		}
		if err := json.Unmarshal(rec, &row); err != nil {
			k.t.Fatal(err)
		}
		if n, ok := want[row.ID]; !ok || n != row.N {
			k.t.Fatalf("round %d: row %s is %d, acknowledged %d (%v)", round, row.ID, row.N, n, ok)
		}
		delete(want, row.ID)
	}
	if len(want) > 0 {
		k.t.Fatalf("round %d: acknowledged rows are lost: %v", round, want)
	}
}

func (k *killTest) checkEvents(round int, c *client.Client) {
	want := map[string]uint64{}
	for _, w := range k.writers {
		for seq, id := range w.events {
			want[id] = seq
		}
	}
	body, err := c.Log(k.t.Context(), client.Ref{Tenant: "crash", Collection: "events"}, client.LogOptions{FromSeq: new(uint64), Limit: 1_000_000})
	if err != nil {
		k.t.Fatalf("round %d: log: %v", round, err)
	}
	defer body.Close()
	next := uint64(0)
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		var ch struct {
			Seq    uint64
			Record struct{ ID string }
		}
		if err := errors.Join(json.Unmarshal(lines.Bytes(), &ch)); err != nil {
			k.t.Fatal(err)
		}
		if ch.Seq != next {
			k.t.Fatalf("round %d: seq %d follows %d", round, ch.Seq, next)
		}
		next++
		seq, ok := want[ch.Record.ID]
		if !ok || seq != ch.Seq {
			k.t.Fatalf("round %d: event %s at seq %d: acknowledged at %d (%v)", round, ch.Record.ID, ch.Seq, seq, ok)
		}
		delete(want, ch.Record.ID)
	}
	if len(want) > 0 {
		k.t.Fatalf("round %d: acknowledged events are lost: %v", round, want)
	}
}
