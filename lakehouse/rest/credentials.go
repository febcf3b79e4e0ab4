package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/trinedb/trine/schema"
)

// Vendor gives engines credentials for tables' files. It is used concurrently.
type Vendor interface {
	// Vend gives what an engine needs to reach the files below a location, a URI
	// without a final slash, as "s3.access-key-id". schema.ErrUnavailable: not now.
	Vend(ctx context.Context, location string) (map[string]string, error)
}

// delegated reports whether the engine asks for credentials. It may name other ways
// of delegation as well, of which there is none.
func (q *call) delegated() bool {
	if q.opts.Vendor == nil {
		return false
	}
	for _, header := range q.r.Header.Values("X-Iceberg-Access-Delegation") {
		for way := range strings.SplitSeq(header, ",") {
			if strings.TrimSpace(way) == "vended-credentials" {
				return true
			}
		}
	}
	return false
}

// answer tells a table, with credentials for its files if the engine asks for them.
// They are in the table's configuration too, where older engines look.
func (q *call) answer(namespace, table, location string, metadata []byte) error {
	body := map[string]any{
		"metadata-location": location, "metadata": json.RawMessage(metadata), "config": q.opts.TableConfig,
	}
	if q.delegated() {
		var meta struct {
			Location string `json:"location"`
		}
		if err := json.Unmarshal(metadata, &meta); err != nil {
			return fmt.Errorf("metadata at %s: %w", location, err)
		}
		vended, err := q.opts.Vendor.Vend(q.r.Context(), meta.Location)
		if err != nil {
			return err
		}
		config := maps.Clone(q.opts.TableConfig)
		maps.Copy(config, vended)
		config["client.refresh-credentials-endpoint"] = q.credentialsPath(namespace, table)
		body["config"], body["storage-credentials"] = config, storageCredentials(meta.Location, vended)
		q.w.Header().Set("Cache-Control", "no-store")
	}
	return q.json(body)
}

// credentialsPath is where an engine gets further credentials, after the catalog's URI.
func (q *call) credentialsPath(namespace, table string) string {
	path := "v1/"
	if q.scope != "" {
		path += url.PathEscape(q.scope) + "/"
	}
	return path + "namespaces/" + url.PathEscape(namespace) + "/tables/" + url.PathEscape(table) + "/credentials"
}

func storageCredentials(location string, config map[string]string) []any {
	return []any{map[string]any{"prefix": location + "/", "config": config}}
}

// credentials answers GET of a table's credentials, by which engines renew theirs.
// Without a Vendor there are none.
func (q *call) credentials(namespace, name string) error {
	location, err := q.source.Location(q.r.Context(), namespace, name)
	if errors.Is(err, schema.ErrNotFound) {
		return noSuchTable(namespace, name)
	}
	if err != nil {
		return err
	}
	all := []any{}
	if q.opts.Vendor != nil && q.r.Method == http.MethodGet {
		vended, err := q.opts.Vendor.Vend(q.r.Context(), location)
		if err != nil {
			return err
		}
		all = storageCredentials(location, vended)
		q.w.Header().Set("Cache-Control", "no-store")
	}
	return q.json(map[string]any{"storage-credentials": all})
}
