package node_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// zoneBuckets are three fakes of S3 Express and one of S3 Standard, and the
// options of a node on them.
func zoneBuckets(t *testing.T) ([3]*s3test.Server, node.Options) {
	t.Helper()
	lake := s3test.Start(t, s3test.Options{Seed: 9})
	o := node.Options{
		Data: dataDir(t), LakeStore: fmt.Sprintf("s3://%s/deployment?path_style=true&endpoint=%s", lake.Bucket(), lake.URL),
		S3: s3.Options{
			Credentials: lake, RequestTimeout: 500 * time.Millisecond,
			MaxTries: 2, FirstBackoff: time.Millisecond, LastBackoff: time.Millisecond,
		},
		Linger: 1,
	}
	var zones [3]*s3test.Server
	for i := range zones {
		zones[i] = s3test.Start(t, s3test.Options{Express: true, Bucket: fmt.Sprintf("log--zone%d--x-s3", i), Seed: uint64(i)})
		o.Zones = append(o.Zones, fmt.Sprintf("s3express://%s/deployment?endpoint=%s", zones[i].Bucket(), zones[i].URL))
	}
	return zones, o
}

// stopped is a zone that refuses everything, hanging one that answers too late.
func stopped(*s3test.Request) s3test.Fault { return s3test.Internal }
func hanging(*s3test.Request) s3test.Fault { return s3test.Fault{Late: 2 * time.Second} }

// TestThreeZones stops one zone after the other in the middle of writes, reads
// and restarts: nobody notices.
func TestThreeZones(t *testing.T) {
	for i, ill := range []s3test.Hook{stopped, stopped, stopped, hanging} {
		away := i % 3
		t.Run(fmt.Sprintf("case=%d,zone=%d", i, away), func(t *testing.T) {
			t.Parallel() // what takes time is waiting for the zone
			zones, o := zoneBuckets(t)
			n := openNode(t, o)
			c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
			write(t, n, c, ingest.OpUpsert, threeItems...)
			zones[away].SetHook(ill)
			write(t, n, c, ingest.OpPatch, `{"id":2,"name":"B"}`)
			if _, err := n.Engine.Flush(context.Background(), c); err != nil {
				t.Fatal(err)
			}
			write(t, n, c, ingest.OpDelete, `{"id":1}`)
			mustVerify(t, n)
			closeNode(t, n)

			// Anew, without an index, while the zone is still away.
			removeAll(t, filepath.Join(o.Data, "kvindex"))
			n = openNode(t, o)
			write(t, n, c, ingest.OpUpsert, `{"id":4,"name":"d"}`)
			closeNode(t, n)
			zones[away].SetHook(nil)
			n = openNode(t, o)
			zones[(away+1)%3].SetHook(ill) // another; what the first lacks is in the third
			write(t, n, c, ingest.OpUpsert, `{"id":5,"name":"e"}`)
			got := scanRows(t, n, c, query.Scan{})
			if slices.Sort(got); fmt.Sprint(got) != "[2 B 3 c 4 d 5 e]" {
				t.Errorf("scan %v", got)
			}
			mustVerify(t, n)
		})
	}
}

// TestZonesOptions refuses what would not be what its user thinks.
func TestZonesOptions(t *testing.T) {
	zones, good := zoneBuckets(t)
	for _, c := range []struct {
		what   string
		change func(o *node.Options)
		says   string
	}{
		{"two", func(o *node.Options) { o.Zones = o.Zones[:2] }, "2 stores: name one, or three"},
		{"one twice", func(o *node.Options) { o.Zones[1] = o.Zones[0] }, "is named twice"},
		{"no lake", func(o *node.Options) { o.LakeStore = "" }, "needs lake_store"},
		{"lake on disk", func(o *node.Options) { o.LakeStore = "file:///tmp/x" }, "want s3://bucket/prefix"},
		{"lake in a zone", func(o *node.Options) { o.LakeStore = o.Zones[0] }, "want S3 Standard"},
		{"zone on disk", func(o *node.Options) { o.Zones[2] = "file:///tmp/x" }, "want s3 or s3express"},
		{"a store too", func(o *node.Options) { o.Store = o.LakeStore }, "beside three zones"},
	} {
		t.Run(c.what, func(t *testing.T) {
			o := good
			o.Zones = slices.Clone(good.Zones)
			c.change(&o)
			_, err := node.Open(t.Context(), o)
			if !errors.Is(err, schema.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
	t.Run("two zones away", func(t *testing.T) {
		zones[0].SetHook(stopped)
		zones[1].SetHook(stopped)
		_, err := node.Open(t.Context(), good)
		if err == nil || !strings.Contains(err.Error(), "two of three zones are needed") {
			t.Errorf("got %v", err)
		}
	})
}
