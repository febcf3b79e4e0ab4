package node_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

var (
	trimSeed = flag.Uint64("trim.seed", 1, "first seed of the trim simulation")
	trimRuns = flag.Int("trim.runs", 3, "seeds of the trim simulation")
)

// trimmedCollection is a collection and what it has to hold.
type trimmedCollection struct {
	c       *schema.Collection
	changes []string // the rows, by seq; "" for a delete
	keys    []int    // by seq
	first   schema.Seq
}

func (m *trimmedCollection) next() schema.Seq { return schema.Seq(len(m.changes)) }

// rowsBelow are the rows as of a seq: all that there ever were, or the last of each
// key, or what is kept of an append-only collection that has no table.
func (m *trimmedCollection) rowsBelow(to schema.Seq) []string {
	var rows []string
	last := map[int]string{}
	for i, row := range m.changes[:to] {
		last[m.keys[i]] = row
		if m.c.Options.Lake != schema.LakeOff || schema.Seq(i) >= m.first {
			rows = append(rows, row)
		}
	}
	if m.c.Schema.Keyed() {
		rows = rows[:0]
		for _, row := range last {
			if row != "" {
				rows = append(rows, row)
			}
		}
	}
	slices.Sort(rows)
	return rows
}

// TestTrimSimulation writes, trims, flushes, takes snapshots, restarts and loses the
// index at random, while segments are made, trimmed, merged and deleted, and demands that what is kept can be read, that what is not is refused,
// and that no row is lost.
func TestTrimSimulation(t *testing.T) {
	for seed := *trimSeed; seed < *trimSeed+uint64(*trimRuns); seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { simulateTrims(t, seed) })
	}
}

func simulateTrims(t *testing.T, seed uint64) {
	data := t.TempDir()
	o := node.Options{
		Data: data, SegmentBytes: 4 << 10,
		SegmentAge: time.Millisecond, SegmentGrace: time.Millisecond, AnswersKept: time.Millisecond,
		RetainEvery: time.Millisecond,
	}
	if seed%2 == 0 { // rows of keyed collections can come from a snapshot then
		o.IndexSnapshots.Mode = node.SnapshotOn
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	n := openNode(t, o)
	var models []*trimmedCollection
	for i, def := range []string{`"key":["id"]`, `"key":["id"],"options":{"lake":"off"}`, `"options":{"lake":"off"}`, `"options":{}`} {
		models = append(models, &trimmedCollection{c: makeCollection(t, n,
			fmt.Sprintf(`{"tenant":"acme","collection":"c%d","fields":[{"name":"id","type":"long","required":true},{"name":"v","type":"long"}],%s}`, i, def))})
	}
	for step := range 120 {
		m := models[rng.IntN(len(models))]
		switch p := rng.IntN(100); {
		case p < 55:
			writeSome(t, n, m, rng)
		case p < 70:
			trimSome(t, n, m, rng)
		case p < 80 && m.c.Options.Lake != schema.LakeOff:
			if _, err := n.Engine.Flush(t.Context(), m.c); err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
		case p < 85 && seed%2 == 0:
			if _, err := n.TakeIndexSnapshot(t.Context()); err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
		case p < 95:
			checkTrimmed(t, n, m, rng)
		case p < 98:
			closeNode(t, n)
			n = openNode(t, o)
		default:
			closeNode(t, n)
			if err := os.RemoveAll(filepath.Join(data, "kvindex")); err != nil {
				t.Fatal(err)
			}
			n = openNode(t, o)
		}
		if t.Failed() {
			t.Fatalf("at step %d", step)
		}
	}
	for _, m := range models {
		checkTrimmed(t, n, m, rng)
	}
	mustVerify(t, n)
}

func writeSome(t *testing.T, n *node.Node, m *trimmedCollection, rng *rand.Rand) {
	t.Helper()
	op := ingest.OpInsert
	if m.c.Schema.Keyed() {
		if op = ingest.OpUpsert; rng.IntN(5) == 0 {
			op = ingest.OpDelete
		}
	}
	var lines []string
	for _, key := range rng.Perm(20)[:1+rng.IntN(12)] {
		v := rng.IntN(1000)
		if op == ingest.OpDelete {
			lines = append(lines, fmt.Sprintf(`{"id":%d}`, key))
			m.changes = append(m.changes, "")
		} else {
			lines = append(lines, fmt.Sprintf(`{"id":%d,"v":%d}`, key, v))
			m.changes = append(m.changes, fmt.Sprintf("%d %d", key, v))
		}
		m.keys = append(m.keys, key)
	}
	write(t, n, m.c, op, lines...)
}

func trimSome(t *testing.T, n *node.Node, m *trimmedCollection, rng *rand.Rand) {
	t.Helper()
	before := schema.Seq(rng.IntN(len(m.changes) + 3))
	done, err := n.Engine.Trim(t.Context(), m.c, before)
	if before > m.next() {
		var wrong *schema.FieldError
		if !errors.As(err, &wrong) || wrong.Field != "before_seq" {
			t.Errorf("trim before %d of %d: %v", before, m.next(), err)
		}
		return
	}
	m.first = max(m.first, before)
	if err != nil || done.First != m.first {
		t.Errorf("trim before %d: %+v, %v; want first seq %d", before, done, err, m.first)
	}
}

func checkTrimmed(t *testing.T, n *node.Node, m *trimmedCollection, rng *rand.Rand) {
	t.Helper()
	ctx := context.Background()
	from := m.first + schema.Seq(rng.IntN(int(m.next()-m.first)+1))
	for _, desc := range []bool{false, true} {
		var got []schema.Seq
		for ch, err := range n.Engine.Changes(ctx, m.c, sync.ChangesRequest{From: from, To: m.next(), Descending: desc}) {
			if err != nil {
				t.Fatalf("%s: log from %d of %d to %d: %v", m.c, from, m.first, m.next(), err)
			}
			got = append(got, ch.Seq)
		}
		if len(got) != int(m.next()-from) {
			t.Errorf("%s: log from %d to %d (newest first: %v): %v", m.c, from, m.next(), desc, got)
		}
	}
	if m.first > 0 {
		for _, err := range n.Engine.Changes(ctx, m.c, sync.ChangesRequest{From: schema.Seq(rng.IntN(int(m.first))), To: m.next()}) {
			var trimmed *sync.TrimmedError
			if !errors.As(err, &trimmed) || !errors.Is(err, schema.ErrTrimmed) || trimmed.First != m.first {
				t.Errorf("%s: log from before %d: %v", m.c, m.first, err)
			}
			break
		}
	}
	if got := sortedScan(t, n, m, query.Scan{}); !slices.Equal(got, m.rowsBelow(m.next())) {
		t.Errorf("%s: scan: %q, want %q", m.c, got, m.rowsBelow(m.next()))
	}
	checkAsOf(t, n, m, rng)
	st, err := n.Engine.Describe(ctx, m.c)
	if want := len(m.rowsBelow(m.next())); err != nil || st.FirstSeq != m.first || st.NextSeq != m.next() || st.Rows != int64(want) {
		t.Errorf("%s: %+v, %v; want seqs %d to %d, %d rows", m.c, st, err, m.first, m.next(), want)
	}
}

// checkAsOf scans as of a seq: right, or refused because it was trimmed.
func checkAsOf(t *testing.T, n *node.Node, m *trimmedCollection, rng *rand.Rand) {
	t.Helper()
	if m.next() == 0 {
		return
	}
	at := schema.Seq(rng.IntN(len(m.changes)))
	s, err := n.Engine.Scan(context.Background(), m.c, query.Scan{AtSeq: &at, Columns: []string{"id", "v"}})
	if errors.Is(err, schema.ErrTrimmed) {
		if m.first == 0 || at+1 == m.next() {
			t.Errorf("%s: scan at seq %d of %d: %v", m.c, at, m.next(), err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	rows, err := textRows(s)
	slices.Sort(rows)
	if err != nil || !slices.Equal(rows, m.rowsBelow(at+1)) {
		t.Errorf("%s: scan at seq %d: %v, %q, want %q", m.c, at, err, rows, m.rowsBelow(at+1))
	}
}

func sortedScan(t *testing.T, n *node.Node, m *trimmedCollection, q query.Scan) []string {
	t.Helper()
	q.Columns = []string{"id", "v"}
	rows := scanRows(t, n, m.c, q)
	slices.Sort(rows)
	return rows
}
