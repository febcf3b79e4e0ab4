package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// NamedSchema is a schema that collections share by its name, as the server tells
// it.
type NamedSchema struct {
	Name       string          `json:"name"`
	Version    uint32          `json:"version"`
	Created    string          `json:"created"`
	Changed    string          `json:"changed"` // when this version came into force
	Key        []string        `json:"key"`
	Fields     []Field         `json:"fields"`
	Definition json.RawMessage `json:"definition"`
	// Collections is how many have the schema; a list leaves it out.
	Collections uint64 `json:"collections"`
}

func schemaPath(name string) string { return "/v1/schemas/" + url.PathEscape(name) }

// ApplySchema creates a named schema or evolves it to a definition, which is JSON,
// for all collections that have it.
func (c *Client) ApplySchema(ctx context.Context, name string, definition []byte, dryRun bool) (Applied, error) {
	var out Applied
	q := url.Values{}
	if dryRun {
		q.Set("dry_run", "true")
	}
	err := c.object(ctx, request{
		method: http.MethodPut, path: schemaPath(name), query: q, again: true,
		header: http.Header{"Content-Type": {JSON}}, body: definition,
	}, &out)
	return out, err
}

// DescribeSchema tells all about a named schema.
func (c *Client) DescribeSchema(ctx context.Context, name string) (NamedSchema, error) {
	var out NamedSchema
	err := c.object(ctx, request{method: http.MethodGet, path: schemaPath(name), again: true}, &out)
	return out, err
}

// DropSchema removes a named schema that no collection has.
func (c *Client) DropSchema(ctx context.Context, name string) error {
	return c.object(ctx, request{method: http.MethodDelete, path: schemaPath(name)}, nil)
}

// Schemas yields the named schemas whose names begin with prefix, by name.
func (c *Client) Schemas(ctx context.Context, prefix string) iter.Seq2[NamedSchema, error] {
	return func(yield func(NamedSchema, error) bool) {
		q := url.Values{"prefix": {prefix}, "limit": {strconv.Itoa(listPage)}}
		for {
			var page struct {
				Schemas []NamedSchema `json:"schemas"`
				After   *string       `json:"after"`
			}
			if err := c.object(ctx, request{method: http.MethodGet, path: "/v1/schemas", query: q, again: true}, &page); err != nil {
				yield(NamedSchema{}, err)
				return
			}
			for _, n := range page.Schemas {
				if !yield(n, nil) {
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
