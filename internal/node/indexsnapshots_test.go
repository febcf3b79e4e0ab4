package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// snapshotOptions are a node's whose index comes back from snapshots, and the log
// of what it says.
func snapshotOptions(t *testing.T) (node.Options, *bytes.Buffer) {
	said := new(bytes.Buffer)
	return node.Options{
		Data: dataDir(t), IndexSnapshots: node.IndexSnapshots{Mode: node.SnapshotOn, BytesPerSecond: -1},
		Logger: slog.New(slog.NewTextHandler(said, nil)),
	}, said
}

// countReplayed counts the chunks with records that the next Open replays.
func countReplayed(o *node.Options) *int {
	n := new(int)
	o.Replayed = func(c *schema.Chunk, _ uint64) {
		if len(c.Groups) > 0 {
			*n++
		}
	}
	return n
}

func takeSnapshot(t *testing.T, n *node.Node) {
	t.Helper()
	if _, err := n.TakeIndexSnapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestRestoreAndReplayTheRest loses the index: what was written before the
// snapshot is not replayed, what was written after it is; rows, tables and answers to
// idempotent writes are what they were.
func TestRestoreAndReplayTheRest(t *testing.T) {
	for _, lost := range []string{"removed", "empty", "damaged", "damaged while open"} {
		t.Run(lost, func(t *testing.T) {
			o, said := snapshotOptions(t)
			n := openNode(t, o)
			c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
			write(t, n, c, ingest.OpUpsert, threeItems...)
			first := writeIdempotent(t, n, c, "before")
			if _, err := n.Engine.Flush(context.Background(), c); err != nil {
				t.Fatal(err)
			}
			takeSnapshot(t, n)
			if n.LastSnapshot().IsZero() {
				t.Error("no last snapshot")
			}
			write(t, n, c, ingest.OpDelete, `{"id":1}`)
			second := writeIdempotent(t, n, c, "after")
			if _, err := n.Engine.Flush(context.Background(), c); err != nil {
				t.Fatal(err) // the table is ahead of the snapshot's places
			}
			write(t, n, c, ingest.OpPatch, `{"id":2,"name":"B"}`)
			n.AwaitSnapshots(t)
			want := sorted(scanRows(t, n, c, query.Scan{}))
			index := filepath.Join(o.Data, "kvindex")
			if lost == "damaged while open" {
				n.NoteIndexDamage(fmt.Errorf("read row: %w", schema.ErrCorrupt))
			}
			closeNode(t, n)
			switch lost {
			case "removed":
				removeAll(t, index)
			case "empty":
				removeAll(t, index)
				if err := os.Mkdir(index, 0o755); err != nil {
					t.Fatal(err)
				}
			case "damaged":
				if err := os.WriteFile(filepath.Join(index, "00", "MANIFEST"), []byte("zzz"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			replayed := countReplayed(&o)
			n = openNode(t, o)
			if *replayed != 3 {
				t.Errorf("%d chunks were replayed, want the 3 after the snapshot", *replayed)
			}
			if !strings.Contains(said.String(), "index restored from a snapshot") {
				t.Errorf("it said %s", said)
			}
			if got := sorted(scanRows(t, n, c, query.Scan{})); !slices.Equal(got, want) {
				t.Errorf("scan %v, want %v", got, want)
			}
			for key, want := range map[string]ingest.Result{"before": first, "after": second} {
				if got := writeIdempotent(t, n, c, key); !got.Replayed || got.FirstSeq != want.FirstSeq {
					t.Errorf("retry of %s: %+v, want %+v", key, got, want)
				}
			}
			mustVerify(t, n)
			if _, err := n.Engine.Flush(context.Background(), c); err != nil {
				t.Fatal(err)
			}
			mustVerify(t, n)
		})
	}
}

func sorted(rows []string) []string { slices.Sort(rows); return rows }

func writeIdempotent(t *testing.T, n *node.Node, c *schema.Collection, key string) ingest.Result {
	t.Helper()
	res, err := n.Writer.Write(context.Background(), ingest.Request{
		Tenant: c.Tenant, Collection: c.Name, Op: ingest.OpUpsert, Format: "application/x-ndjson",
		Body: strings.NewReader(fmt.Sprintf(`{"id":%d,"name":%q}`, 100+len(key), key)), IdempotencyKey: key,
	})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestSnapshotAheadOfTheLog puts the log back to an earlier state: the snapshot that
// is ahead of it is refused, and the one before is taken.
func TestSnapshotAheadOfTheLog(t *testing.T) {
	o, said := snapshotOptions(t)
	n := openNode(t, o)
	c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	write(t, n, c, ingest.OpUpsert, threeItems...)
	takeSnapshot(t, n)
	closeNode(t, n)
	backup := filepath.Join(t.TempDir(), "log")
	if err := os.CopyFS(backup, os.DirFS(filepath.Join(o.Data, "log"))); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, o)
	write(t, n, c, ingest.OpDelete, `{"id":1}`)
	takeSnapshot(t, n)
	closeNode(t, n)

	removeAll(t, filepath.Join(o.Data, "log"))
	removeAll(t, filepath.Join(o.Data, "kvindex"))
	if err := os.CopyFS(filepath.Join(o.Data, "log"), os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, o)
	if got := scanRows(t, n, c, query.Scan{}); len(got) != 3 {
		t.Errorf("scan %v, want what the log has", got)
	}
	if !strings.Contains(said.String(), "index snapshot cannot be used") {
		t.Errorf("it said %s", said)
	}
	mustVerify(t, n)
}

// TestSnapshotsByProgress takes them as the index moves on: by bytes, by time, not
// more than one a minute, and none while nothing is written.
func TestSnapshotsByProgress(t *testing.T) {
	o, _ := snapshotOptions(t)
	var ahead atomic.Int64
	start := time.Now()
	o.Now = func() time.Time { return start.Add(time.Duration(ahead.Load())) }
	o.IndexSnapshots.Bytes = 1
	n := openNode(t, o)
	c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	n.AwaitSnapshots(t)
	first := n.LastSnapshot()
	if first.IsZero() {
		t.Fatal("no snapshot by bytes")
	}
	write(t, n, c, ingest.OpUpsert, threeItems...)
	n.AwaitSnapshots(t)
	if n.LastSnapshot() != first {
		t.Error("a second one in the same minute")
	}
	closeNode(t, n)

	o.IndexSnapshots.Bytes, o.IndexSnapshots.Interval = 1<<40, time.Hour
	n = openNode(t, o)
	if n.LastSnapshot() != first {
		t.Errorf("last snapshot %s after a start, want %s", n.LastSnapshot(), first)
	}
	write(t, n, c, ingest.OpUpsert, `{"id":4,"name":"d"}`)
	n.AwaitSnapshots(t)
	if n.LastSnapshot() != first {
		t.Error("one before the interval was over")
	}
	ahead.Store(int64(time.Hour))
	write(t, n, c, ingest.OpUpsert, `{"id":5,"name":"e"}`)
	n.AwaitSnapshots(t)
	if n.LastSnapshot().Compare(first) <= 0 {
		t.Error("none after the interval")
	}
}

// TestSnapshotModes has none if they are off, and some on S3.
func TestSnapshotModes(t *testing.T) {
	n := openNode(t, node.Options{Data: dataDir(t), IndexSnapshots: node.IndexSnapshots{Mode: node.SnapshotOff}})
	if _, err := n.TakeIndexSnapshot(context.Background()); !errors.Is(err, schema.ErrUnsupported) || !strings.Contains(err.Error(), "index_snapshot") {
		t.Errorf("off: %v", err)
	}
	_, zones := zoneBuckets(t)
	for where, o := range map[string]node.Options{"S3": s3Options(t, false), "three zones": zones} {
		n := openNode(t, o)
		c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
		write(t, n, c, ingest.OpUpsert, threeItems...)
		takeSnapshot(t, n)
		closeNode(t, n)
		o.Data = dataDir(t) // another machine
		replayed := countReplayed(&o)
		n = openNode(t, o)
		if got := scanRows(t, n, c, query.Scan{}); len(got) != 3 || *replayed != 0 {
			t.Errorf("%s: on another machine: %v, %d chunks replayed", where, got, *replayed)
		}
		mustVerify(t, n)
	}
}

// TestIndexed is what the log may forget of: the newest snapshot, or what the disk has.
func TestIndexed(t *testing.T) {
	for _, mode := range []node.SnapshotMode{node.SnapshotOn, node.SnapshotOff} {
		o, _ := snapshotOptions(t)
		o.IndexSnapshots.Mode = mode
		n := openNode(t, o)
		c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
		write(t, n, c, ingest.OpUpsert, threeItems...)
		if pos := n.Indexed(); !pos.IsZero() {
			t.Errorf("%s: %s at first", mode, pos)
		}
		if mode == node.SnapshotOn {
			takeSnapshot(t, n)
		}
		want := n.Engine.Position()
		closeNode(t, n)
		n = openNode(t, o)
		if pos := n.Indexed(); pos.Compare(want) < 0 || pos.Compare(n.Engine.Position()) > 0 {
			t.Errorf("%s: %s after a start, want at least %s", mode, pos, want)
		}
	}
}

// TestDamagedSnapshotIsNotReliedOn: the log must keep what only a damaged snapshot
// holds, until there is another.
func TestDamagedSnapshotIsNotReliedOn(t *testing.T) {
	for _, how := range []string{"cut", "gone"} {
		o, _ := snapshotOptions(t)
		n := openNode(t, o)
		c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
		takeSnapshot(t, n)
		first := n.LastSnapshot()
		write(t, n, c, ingest.OpUpsert, threeItems...)
		takeSnapshot(t, n)
		second := n.LastSnapshot()
		closeNode(t, n)
		tables, err := filepath.Glob(filepath.Join(o.Data, "index", "0", "sst", "*-0000000000000002-*"))
		if err != nil || len(tables) == 0 {
			t.Fatalf("no table of the second: %v", err)
		}
		if how == "gone" {
			removeAll(t, tables[0]) // and the index is still there
		} else {
			if err := os.Truncate(tables[0], 100); err != nil {
				t.Fatal(err)
			}
			removeAll(t, filepath.Join(o.Data, "kvindex"))
		}
		n = openNode(t, o)
		if got := n.LastSnapshot(); got != first {
			t.Errorf("%s: last snapshot %s, want %s", how, got, first)
		}
		takeSnapshot(t, n)
		if got := n.LastSnapshot(); got.Compare(second) <= 0 {
			t.Errorf("%s: last snapshot %s after another", how, got)
		}
		closeNode(t, n)
		removeAll(t, filepath.Join(o.Data, "kvindex"))
		replayed := countReplayed(&o)
		n = openNode(t, o)
		if got := scanRows(t, n, c, query.Scan{}); len(got) != 3 || *replayed != 0 {
			t.Errorf("%s: %v, %d chunks replayed", how, got, *replayed)
		}
	}
}
