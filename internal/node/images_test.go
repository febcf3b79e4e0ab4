package node_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	stdsync "sync"
	"testing"
	"time"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

const imagesDef = `{"tenant":"shop","collection":"items","key":["id"],"fields":[
	{"name":"id","type":"long","required":true},{"name":"name","type":"string"}%s],"options":{"before_images":%t}}`

// told is a change as it should be told.
type told struct {
	op          schema.Op
	key         int
	row, before string // in JSON; "" for none
}

// imageModel is a collection as a map, and all changes that were made of it.
type imageModel struct {
	rows    map[int]string
	changes []told
	keep    bool // images
	fields  string
}

// apply is one record's change; it reports whether there is any.
func (m *imageModel) apply(op ingest.Op, key int, row string) bool {
	was, exists := m.rows[key]
	if op == ingest.OpInsert && exists || op == ingest.OpPatch && !exists {
		return false
	}
	c := told{op: schema.OpInsert, key: key, row: row}
	switch {
	case op == ingest.OpDelete:
		c.op, c.row = schema.OpDelete, ""
	case op == ingest.OpPatch:
		c.op = schema.OpUpdate
	case op == ingest.OpUpsert && !m.keep:
		c.op = schema.OpUpsert
	case exists:
		c.op = schema.OpUpdate
	}
	if m.keep {
		c.before = was
	}
	if delete(m.rows, key); op != ingest.OpDelete {
		m.rows[key] = row
	}
	m.changes = append(m.changes, c)
	return true
}

// write makes a random batch, now and then as one of many collections.
func (m *imageModel) write(t *testing.T, n *node.Node, r *rand.Rand, round int) {
	t.Helper()
	op := []ingest.Op{ingest.OpUpsert, ingest.OpUpsert, ingest.OpInsert, ingest.OpPatch, ingest.OpDelete}[r.IntN(5)]
	many := r.IntN(3) == 0
	var lines []string
	for _, key := range r.Perm(25)[:1+r.IntN(6)] {
		row := fmt.Sprintf(`{"id":%d,"name":"%d %x"}`, key, round, r.Uint64())
		m.apply(op, key, row)
		if many {
			row = fmt.Sprintf(`{"collection":"items","op":%q,"record":%s}`, op, row)
		}
		lines = append(lines, row)
	}
	body := strings.NewReader(strings.Join(lines, "\n"))
	var err error
	if many {
		_, err = n.Writer.WriteMany(t.Context(), ingest.ManyRequest{Tenant: "shop", Body: body, SkipBad: true})
	} else {
		_, err = n.Writer.Write(t.Context(), ingest.Request{Tenant: "shop", Collection: "items", Op: op,
			Format: "application/x-ndjson", Body: body, SkipBad: true})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// compare reads the log, one way or the other, against what should be told.
func (m *imageModel) compare(t *testing.T, n *node.Node, c *schema.Collection, descending bool) {
	t.Helper()
	got := 0
	req := sync.ChangesRequest{To: schema.Seq(len(m.changes)), Descending: descending}
	for ch, err := range n.Engine.Changes(t.Context(), c, req) {
		if err != nil {
			t.Fatal(err)
		}
		got++
		key, err := c.Schema.DecodeKey(ch.Key, nil)
		if err != nil {
			t.Fatal(err)
		}
		is := told{ch.Op, int(key[0].Int()), rowText(t, n, ch.Row), rowText(t, n, ch.Before)}
		if want := m.changes[ch.Seq]; is != want {
			t.Fatalf("seq %d is %+v, want %+v", ch.Seq, is, want)
		}
	}
	if next, err := n.Engine.NextSeq(t.Context(), c); err != nil || got != len(m.changes) || int(next) != got {
		t.Fatalf("%d changes, next seq %d, want %d (%v)", got, next, len(m.changes), err)
	}
}

// rowText is the id and name of an encoded row, of whatever schema.
func rowText(t *testing.T, n *node.Node, row []byte) string {
	t.Helper()
	if len(row) == 0 {
		return ""
	}
	id, err := schema.RowSchemaID(row)
	if err != nil {
		t.Fatal(err)
	}
	s, err := n.Registry.Schema(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	v, err := schema.NewRowDecoder(s, s).Decode(row, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"id":%d,"name":%q}`, v[0].Int(), v[1].Bytes())
}

// TestBeforeImages makes random batches while the option is switched, the schema
// evolves, the node restarts, chunks become segments and go, and the index is made
// anew: each change of the log is what a map says.
func TestBeforeImages(t *testing.T) {
	r := seedtest.Rand(t)
	o := node.Options{Data: dataDir(t), SegmentBytes: 4 << 10,
		SegmentAge: time.Millisecond, SegmentGrace: time.Millisecond, AnswersKept: time.Millisecond}
	n := openNode(t, o)
	m := &imageModel{rows: map[int]string{}, keep: true}
	c := makeCollection(t, n, fmt.Sprintf(imagesDef, "", true))
	for round := range 600 {
		m.write(t, n, r, round)
		switch r.IntN(60) {
		case 0:
			m.keep = !m.keep
			c = makeCollection(t, n, fmt.Sprintf(imagesDef, m.fields, m.keep))
		case 1:
			m.fields += fmt.Sprintf(`,{"name":"f%d","type":"int"}`, round)
			c = makeCollection(t, n, fmt.Sprintf(imagesDef, m.fields, m.keep))
		case 2:
			closeNode(t, n)
			n = openNode(t, o)
		case 3:
			if _, err := n.Engine.Flush(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		case 4:
			m.compare(t, n, c, r.IntN(2) == 0)
		}
	}
	merged := func() bool {
		found, err := filepath.Glob(filepath.Join(o.Data, "log", "seg", "0", "0", "2", "*"))
		return err == nil && len(found) > 0
	}
	for round := 600; !merged(); round++ {
		if round == 10_000 {
			t.Fatal("no segments were merged")
		}
		m.write(t, n, r, round)
	}
	m.compare(t, n, c, false)
	m.compare(t, n, c, true)
	mustVerify(t, n)
	closeNode(t, n)
	if err := os.RemoveAll(filepath.Join(o.Data, "kvindex")); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, o)
	m.compare(t, n, c, false)
	m.compare(t, n, c, true)
	mustVerify(t, n)
}

// mustChain demands of a collection that always kept images that each change tells
// of the row that the one before it left, and counts the changes.
func mustChain(t *testing.T, n *node.Node, c *schema.Collection) (count int) {
	t.Helper()
	next, err := n.Engine.NextSeq(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for ch, err := range n.Engine.Changes(t.Context(), c, sync.ChangesRequest{To: next}) {
		if err != nil {
			t.Fatal(err)
		}
		was, exists := rows[string(ch.Key)]
		op := schema.OpInsert
		switch {
		case ch.Op == schema.OpDelete:
			op = schema.OpDelete
		case exists:
			op = schema.OpUpdate
		}
		if string(ch.Before) != was || ch.Op != op {
			t.Fatalf("seq %d: %v with image %q, want %v of row %q", ch.Seq, ch.Op, ch.Before, op, was)
		}
		if delete(rows, string(ch.Key)); ch.Op != schema.OpDelete {
			rows[string(ch.Key)] = string(ch.Row)
		}
		count++
	}
	return count
}

// Writers of the same few keys, at once: the images are as exact as the order.
func TestBeforeImagesOfConcurrentWriters(t *testing.T) {
	n := openNode(t, node.Options{Data: dataDir(t)})
	c := makeCollection(t, n, fmt.Sprintf(imagesDef, "", true))
	var busy stdsync.WaitGroup
	for w := range 8 {
		busy.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 2))
			for i := range 100 {
				op := []ingest.Op{ingest.OpUpsert, ingest.OpInsert, ingest.OpPatch, ingest.OpDelete}[r.IntN(4)]
				var lines []string
				for _, key := range r.Perm(6)[:1+r.IntN(3)] {
					lines = append(lines, fmt.Sprintf(`{"id":%d,"name":"%d-%d"}`, key, w, i))
				}
				_, err := n.Writer.Write(context.Background(), ingest.Request{Tenant: "shop", Collection: "items", Op: op,
					Format: "application/x-ndjson", Body: strings.NewReader(strings.Join(lines, "\n")), SkipBad: true})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	busy.Wait()
	if got := mustChain(t, n, c); got < 400 {
		t.Errorf("%d changes", got)
	}
	mustVerify(t, n)
}

// A node that is killed under writers comes back with images that fit: what was
// staged and lost is in none of them.
func TestBeforeImagesThroughKills(t *testing.T) {
	dir := dataDir(t)
	n := openNode(t, node.Options{Data: dir})
	c := makeCollection(t, n, fmt.Sprintf(imagesDef, "", true))
	closeNode(t, n)
	for life := range 4 {
		p := startProcess(t, dir)
		var busy stdsync.WaitGroup
		var acked stdsync.WaitGroup
		acked.Add(40)
		for w := range 4 {
			busy.Go(func() {
				for i := 0; ; i++ {
					op := []string{"upsert", "upsert", "delete"}[(i+w)%3]
					body := fmt.Sprintf(`{"id":%d,"name":"%d-%d-%d"}`, (i*7+w)%5, life, w, i)
					res, err := http.Post("http://"+p.addr+"/v1/tenants/shop/collections/items/records?op="+op,
						"application/x-ndjson", strings.NewReader(body))
					if err != nil {
						for ; i < 10; i++ {
							acked.Done()
						}
						return
					}
					_ = res.Body.Close()
					if i < 10 {
						acked.Done()
					}
				}
			})
		}
		acked.Wait()
		p.wait()
		busy.Wait()
	}
	http.DefaultClient.CloseIdleConnections()
	n = openNode(t, node.Options{Data: dir})
	if got := mustChain(t, n, c); got < 160 {
		t.Errorf("%d changes", got)
	}
	mustVerify(t, n)
}
