package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// Step is one thing that an apply does.
type Step struct {
	Kind   string `json:"kind"`
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Applied is what an apply did, or with a dry run would do.
type Applied struct {
	DryRun  bool   `json:"dry_run"`
	Created bool   `json:"created"`
	Steps   []Step `json:"steps"`
}

// Apply creates a collection or evolves it to a definition, which is JSON.
func (c *Client) Apply(ctx context.Context, ref Ref, definition []byte, dryRun bool) (Applied, error) {
	var out Applied
	q := url.Values{}
	if dryRun {
		q.Set("dry_run", "true")
	}
	err := c.object(ctx, request{
		method: http.MethodPut, path: ref.path(), query: q, again: true,
		header: http.Header{"Content-Type": {"application/json"}}, body: definition,
	}, &out)
	return out, err
}

// Most of what ApplyMany takes.
const (
	MaxApply      = 1000
	MaxApplyBytes = 4 << 20
)

// ApplyMany is Apply for up to MaxApply collections of a tenant, each a
// definition in JSON that names its collection, of MaxApplyBytes in all: all of
// them come to what they say, or none.
func (c *Client) ApplyMany(ctx context.Context, tenant string, definitions []json.RawMessage, dryRun bool) ([]Applied, error) {
	_, out, err := c.ApplyFile(ctx, tenant, nil, definitions, dryRun)
	return out, err
}

// ApplyFile is ApplyMany for collections and up to MaxApply named schemas, each a
// definition in JSON that names its schema.
func (c *Client) ApplyFile(ctx context.Context, tenant string, schemas, definitions []json.RawMessage, dryRun bool) (named, collections []Applied, err error) {
	body, err := json.Marshal(append(schemas[:len(schemas):len(schemas)], definitions...))
	if err != nil {
		return nil, nil, fmt.Errorf("encode definitions: %w", err)
	}
	q := url.Values{}
	if dryRun {
		q.Set("dry_run", "true")
	}
	var out struct {
		Schemas     []Applied `json:"schemas"`
		Collections []Applied `json:"collections"`
	}
	err = c.object(ctx, request{
		method: http.MethodPost, path: "/v1/tenants/" + url.PathEscape(tenant) + "/collections", query: q, again: true,
		header: http.Header{"Content-Type": {JSON}}, body: body,
	}, &out)
	if err == nil && (len(out.Collections) != len(definitions) || len(out.Schemas) != len(schemas)) {
		return nil, nil, fmt.Errorf("server tells of %d collections and %d schemas, want %d and %d",
			len(out.Collections), len(out.Schemas), len(definitions), len(schemas))
	}
	for _, list := range [][]Applied{out.Schemas, out.Collections} {
		for i := range list {
			list[i].DryRun = dryRun
		}
	}
	return out.Schemas, out.Collections, err
}

// StoreStatus is how far a store is with a collection.
type StoreStatus struct {
	NextSeq    uint64 `json:"next_seq"`
	LagChanges uint64 `json:"lag_changes"`
	LagMS      int64  `json:"lag_ms"`
	Bytes      int64  `json:"bytes"`
}

// Field is a column of a collection.
type Field struct {
	ID       int    `json:"id"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Required bool   `json:"required"`
	Doc      string `json:"doc"`
}

// Collection is a collection as the server tells it. A list leaves out what
// follows Definition.
type Collection struct {
	Tenant     string   `json:"tenant"`
	Collection string   `json:"collection"`
	Created    string   `json:"created"`
	Keyed      bool     `json:"keyed"`
	Key        []string `json:"key"`
	Schema     struct {
		Name    string  `json:"name"` // of a named schema, else empty
		Version uint32  `json:"version"`
		Fields  []Field `json:"fields"`
	} `json:"schema"`
	Definition json.RawMessage `json:"definition"`

	Rows     int64       `json:"rows"`
	FirstSeq uint64      `json:"first_seq"` // of the log: changes below are forgotten
	NextSeq  uint64      `json:"next_seq"`
	Position string      `json:"position"`
	Log      StoreStatus `json:"log"`
	Index    StoreStatus `json:"index"`
	Lake     struct {
		StoreStatus
		Location string `json:"location"`
		Snapshot int64  `json:"snapshot"`
		Files    int64  `json:"files"`
	} `json:"lake"`
	Indexes []IndexStatus `json:"indexes"`
}

// IndexStatus is how far a secondary index is.
type IndexStatus struct {
	Name     string   `json:"name"`
	Fields   []string `json:"fields"`
	Unique   bool     `json:"unique"`
	State    string   `json:"state"`     // building, ready or failed
	RowsDone int64    `json:"rows_done"` // that its build has read
	Rows     int64    `json:"rows"`
	Reason   string   `json:"reason"` // why it failed
}

// Describe tells all about a collection.
func (c *Client) Describe(ctx context.Context, ref Ref) (Collection, error) {
	var out Collection
	err := c.object(ctx, request{method: http.MethodGet, path: ref.path(), again: true}, &out)
	return out, err
}

// Drop removes a collection.
func (c *Client) Drop(ctx context.Context, ref Ref) error {
	return c.object(ctx, request{method: http.MethodDelete, path: ref.path()}, nil)
}

// listPage is how many collections are asked for at a time.
const listPage = 1000

// List yields a tenant's collections by name.
func (c *Client) List(ctx context.Context, tenant, prefix string) iter.Seq2[Collection, error] {
	return func(yield func(Collection, error) bool) {
		q := url.Values{"prefix": {prefix}, "limit": {strconv.Itoa(listPage)}}
		for {
			var page struct {
				Collections []Collection `json:"collections"`
				After       *string      `json:"after"`
			}
			path := "/v1/tenants/" + url.PathEscape(tenant) + "/collections"
			if err := c.object(ctx, request{method: http.MethodGet, path: path, query: q, again: true}, &page); err != nil {
				yield(Collection{}, err)
				return
			}
			for _, col := range page.Collections {
				if !yield(col, nil) {
					return
				}
			}
			if page.After == nil {
				return
			}
			q.Set("after", *page.After)
		}
	}
}
