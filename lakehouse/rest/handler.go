// Package rest serves the read part of the Iceberg REST catalog, through which
// SQL engines find and load tables.
package rest

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/trinedb/trine/schema"
)

// Source is what the catalog shows: tenants as namespaces, collections as
// tables. Errors wrap the sentinels of package schema.
type Source interface {
	// Namespaces lists tenants in order, after the one given, at most limit.
	Namespaces(ctx context.Context, after string, limit int) ([]string, error)
	// Tables lists a tenant's collections that can be tables, in order;
	// schema.ErrNotFound if there is no such tenant.
	Tables(ctx context.Context, namespace, after string, limit int) ([]string, error)
	// Load brings a table up to date and returns its newest metadata file:
	// its URI and its content.
	Load(ctx context.Context, namespace, table string) (location string, metadata []byte, err error)
	// Exists reports whether the tenant (table == "") or the collection
	// exists, without bringing it up to date.
	Exists(ctx context.Context, namespace, table string) (bool, error)
}

// Options configure the handler. The zero value of a member is its default.
type Options struct {
	Logger *slog.Logger // default: discards
}

// NewHandler serves /v1/…; mount it with http.StripPrefix.
func NewHandler(source Source, opts Options) http.Handler {
	_ = schema.ErrUnsupported
	return http.NotFoundHandler()
}
