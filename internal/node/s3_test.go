package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
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

// s3Options are a node's on a fake of S3.
func s3Options(t *testing.T, express bool) node.Options {
	t.Helper()
	server := s3test.Start(t, s3test.Options{Express: express, Seed: 1})
	url := "s3://%s/deployment?path_style=true&endpoint=%s"
	if express {
		url = "s3express://%s/deployment?endpoint=%s"
	}
	return node.Options{
		Data:  dataDir(t),
		Store: fmt.Sprintf(url, server.Bucket(), server.URL),
		S3:    s3.Options{Credentials: server}, Linger: 1,
	}
}

// TestNodeOnS3 runs the whole way with log and lake in S3: nothing but the
// index is on the local disk, and losing that loses nothing.
func TestNodeOnS3(t *testing.T) {
	for name, express := range map[string]bool{"standard": false, "express": true} {
		t.Run(name, func(t *testing.T) {
			o := s3Options(t, express)
			n := openNode(t, o)
			c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
			write(t, n, c, ingest.OpUpsert, threeItems...)
			snap, err := n.Engine.Flush(context.Background(), c)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(snap.MetadataLocation(), "s3://") {
				t.Errorf("metadata at %s", snap.MetadataLocation())
			}
			write(t, n, c, ingest.OpPatch, `{"id":2,"name":"B"}`)
			write(t, n, c, ingest.OpDelete, `{"id":1}`)
			closeNode(t, n)

			removeAll(t, filepath.Join(o.Data, "kvindex"))
			n = openNode(t, o)
			got := scanRows(t, n, c, query.Scan{})
			if slices.Sort(got); fmt.Sprint(got) != "[2 B 3 c]" {
				t.Errorf("scan %v", got)
			}
			if _, err := n.Engine.Flush(context.Background(), c); err != nil {
				t.Fatal(err)
			}
			mustVerify(t, n)
		})
	}
}

// TestTakeOver opens a second node on the same store: from then on the first
// one's writes are refused, and all that it acknowledged is there.
func TestTakeOver(t *testing.T) {
	o := s3Options(t, false)
	first, err := node.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	c := makeCollection(t, first, fmt.Sprintf(itemsDef, ""))
	write(t, first, c, ingest.OpUpsert, threeItems...)

	o.Data = dataDir(t)
	second := openNode(t, o)
	if got := scanRows(t, second, c, query.Scan{}); len(got) != 3 {
		t.Errorf("after the take-over: %v", got)
	}
	_, err = first.Writer.Write(context.Background(), ingest.Request{
		Tenant: c.Tenant, Collection: c.Name, Format: "application/x-ndjson", Body: strings.NewReader(`{"id":9}`),
	})
	if !errors.Is(err, schema.ErrFenced) {
		t.Errorf("a write of the first: %v", err)
	}
	if err := first.Close(context.Background()); err != nil && !errors.Is(err, schema.ErrFenced) {
		t.Errorf("close the first: %v", err)
	}
	write(t, second, c, ingest.OpUpsert, `{"id":4,"name":"d"}`)
	mustVerify(t, second)
}

// TestEnginesFindTheStore has the catalog tell where the tables' store is, also
// before any table is loaded.
func TestEnginesFindTheStore(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-south-9") // the URL names none
	o := s3Options(t, false)
	n := openNode(t, o)
	makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	server := httptest.NewServer(n.Iceberg())
	t.Cleanup(server.Close)
	_, endpoint, _ := strings.Cut(o.Store, "endpoint=")
	want := map[string]string{
		"s3.endpoint": endpoint, "s3.region": "eu-south-9", "client.region": "eu-south-9", "s3.path-style-access": "true",
	}
	for path, member := range map[string]string{"/v1/config": "defaults", "/v1/namespaces/shop/tables/items": "config"} {
		var all map[string]json.RawMessage
		var got map[string]string
		getJSON(t, server.URL+path, &all)
		if err := json.Unmarshal(all[member], &got); err != nil || !maps.Equal(got, want) {
			t.Errorf("%s of %s: %v, want %v (%v)", member, path, got, want, err)
		}
	}
}

// TestEngineRole has the catalog give an engine credentials for its table's folder,
// if there is a role for that, and tells who cannot have one.
func TestEngineRole(t *testing.T) {
	sts := s3test.StartSTS(t, time.Now)
	o := s3Options(t, false)
	o.EngineRole = node.EngineRole{ARN: "arn:aws:iam::123456789012:role/engines", Endpoint: sts.URL}
	n := openNode(t, o)
	c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	server := httptest.NewServer(n.Iceberg())
	t.Cleanup(server.Close)
	var answer struct {
		Storage []struct {
			Prefix string
			Config map[string]string
		} `json:"storage-credentials"`
	}
	getJSON(t, server.URL+"/v1/namespaces/shop/tables/items/credentials", &answer)
	folder := fmt.Sprintf("deployment/lake/shop/items-%016x/", uint64(c.Instance))
	if len(answer.Storage) != 1 || !strings.HasSuffix(answer.Storage[0].Prefix, folder) || answer.Storage[0].Config["s3.access-key-id"] != "id-1" {
		t.Errorf("%+v", answer)
	}
	if asked := sts.Asked(); len(asked) != 1 || !strings.Contains(asked[0].Get("Policy"), folder+"*") || strings.Contains(asked[0].Get("Policy"), "PutObject") {
		t.Errorf("asked for %v", asked)
	}
	express := s3Options(t, true)
	express.EngineRole = o.EngineRole
	for what, o := range map[string]node.Options{
		"a folder": {Data: dataDir(t), EngineRole: o.EngineRole}, "a directory bucket": express,
	} {
		if _, err := node.Open(t.Context(), o); !errors.Is(err, schema.ErrInvalid) || !strings.Contains(err.Error(), "role for engines") {
			t.Errorf("a role for %s: %v", what, err)
		}
	}
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
}
