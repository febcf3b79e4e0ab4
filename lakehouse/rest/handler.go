package rest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/trinedb/trine/lakehouse"
)

// Source is what the catalog shows: tenants as namespaces, collections as
// tables. Errors wrap the sentinels of package schema. It is used concurrently.
type Source interface {
	// Namespaces lists tenants in order, after the one given, at most limit.
	Namespaces(ctx context.Context, after string, limit int) ([]string, error)
	// Tables lists a tenant's collections that can be tables, in order, after
	// the one given, at most limit; schema.ErrNotFound if there is no such
	// tenant.
	Tables(ctx context.Context, namespace, after string, limit int) ([]string, error)
	// Load brings a table up to date and returns its newest metadata file:
	// its URI and its content.
	Load(ctx context.Context, namespace, table string) (location string, metadata []byte, err error)
	// Commit makes what an engine asks of a table its next version, and returns that
	// as Load does. schema.ErrConflict: the table is not as the engine requires, or
	// it was overtaken; schema.ErrUnsupported, with what to do instead:
	// such changes are not an engine's to make; schema.ErrUnknownOutcome: it may
	// have happened.
	Commit(ctx context.Context, namespace, table string, ask lakehouse.EngineCommit) (location string, metadata []byte, err error)
	// Create makes a table, and returns it as Load does; ErrExists if it is there,
	// schema.ErrInvalid or schema.ErrUnsupported if there can be no such table.
	Create(ctx context.Context, namespace, table string, want NewTable) (location string, metadata []byte, err error)
	// Drop removes a table, and all that it was made from.
	Drop(ctx context.Context, namespace, table string) error
	// CheckNamespace refuses a name that no tenant can have.
	CheckNamespace(name string) error
	// Location is the URI of a table's folder, whether it was loaded yet or not.
	Location(ctx context.Context, namespace, table string) (string, error)
	// Exists reports whether the tenant (table == "") or the table exists,
	// without bringing it up to date.
	Exists(ctx context.Context, namespace, table string) (bool, error)
}

// Options configure the handler. The zero value of a member is its default.
type Options struct {
	Logger *slog.Logger // default: discards
	// TableConfig is what engines need to reach the tables' store, as
	// "s3.endpoint". It is handed out with every table, and as the defaults of
	// the catalog, which an engine's own settings go before; default none.
	TableConfig map[string]string
	// Vendor has engines that ask for it be given credentials; default: none are.
	Vendor Vendor
	// Drops lets engines drop tables, which end with their logs.
	Drops bool
}

// Limits of the catalog.
const (
	defaultPageSize = 1000  // of a paged list whose client names no size
	maxPageSize     = 10000 // larger sizes are cut to it
	maxReportBytes  = 1 << 20
)

// NewHandler serves /v1/…; what comes before it is to be stripped.
func NewHandler(source Source, opts Options) http.Handler {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.TableConfig == nil {
		opts.TableConfig = map[string]string{}
	}
	return &catalog{source: source, opts: opts}
}

type catalog struct {
	source Source
	opts   Options
}

// call is one request, its path taken apart.
type call struct {
	*catalog
	w     http.ResponseWriter
	r     *http.Request
	scope string   // the one namespace that is visible, by the path's prefix; "" means all
	rest  []string // path segments after the prefix
}

func (c *catalog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &call{catalog: c, w: w, r: r}
	if err := q.route(); err != nil {
		q.fail(err)
	}
}

// route finds what is asked for.
//
//	config
//	[prefix/]namespaces[/{ns}[/tables[/{table}[/metrics|credentials]]]]
//	[prefix/]namespaces/{ns}/views[/{view}]
//	[prefix/]transactions/commit
//	[prefix/]tables/rename
func (q *call) route() error {
	segments, err := pathSegments(q.r.URL.EscapedPath())
	if err != nil || len(segments) < 2 || segments[0] != "v1" {
		return q.noSuchRoute()
	}
	q.rest = segments[1:]
	if len(q.rest) == 1 && q.rest[0] == "config" {
		return q.reading(q.config)
	}
	if q.rest[0] != "namespaces" && len(q.rest) > 1 && !q.is("transactions", "commit") && !q.is("tables", "rename") {
		q.scope, q.rest = q.rest[0], q.rest[1:]
	}
	switch {
	case q.is("transactions", "commit") && q.r.Method == http.MethodPost:
		return q.transaction()
	case q.is("tables", "rename") && q.r.Method == http.MethodPost:
		return q.rename()
	case q.rest[0] != "namespaces":
		return q.elsewhere()
	case len(q.rest) == 1 && q.r.Method == http.MethodPost:
		return q.createNamespace()
	case len(q.rest) == 1:
		return q.reading(q.namespaces)
	}
	return q.inNamespace(q.rest[1])
}

func (q *call) is(path ...string) bool { return slices.Equal(q.rest, path) }

// inNamespace finds what is asked for of one namespace.
func (q *call) inNamespace(namespace string) error {
	if q.scope != "" && q.scope != namespace {
		return noSuchNamespace(namespace)
	}
	switch rest := q.rest[2:]; {
	case len(rest) == 0 && q.r.Method == http.MethodDelete:
		return q.dropNamespace(namespace)
	case len(rest) == 0:
		return q.reading(func() error { return q.namespace(namespace) })
	case rest[0] == "tables" && len(rest) == 1 && q.r.Method == http.MethodPost:
		return q.create(namespace)
	case rest[0] == "tables" && len(rest) == 1:
		return q.reading(func() error { return q.tables(namespace) })
	case rest[0] == "tables" && len(rest) == 2 && q.r.Method == http.MethodPost:
		return q.commit(namespace, rest[1])
	case rest[0] == "tables" && len(rest) == 2 && q.r.Method == http.MethodDelete:
		return q.drop(namespace, rest[1])
	case rest[0] == "tables" && len(rest) == 2:
		return q.reading(func() error { return q.table(namespace, rest[1]) })
	case rest[0] == "tables" && len(rest) == 3 && rest[2] == "metrics" && q.r.Method == http.MethodPost:
		return q.metrics()
	case rest[0] == "tables" && len(rest) == 3 && rest[2] == "credentials":
		return q.reading(func() error { return q.credentials(namespace, rest[1]) })
	case rest[0] == "views" && len(rest) == 1:
		return q.reading(func() error { return q.views(namespace) })
	case rest[0] == "views" && len(rest) == 2:
		return q.reading(func() error { return failure(http.StatusNotFound, "NoSuchViewException", "there are no views") })
	}
	return q.elsewhere()
}

func pathSegments(path string) ([]string, error) {
	segments := strings.Split(strings.Trim(path, "/"), "/")
	for i, s := range segments {
		var err error
		if segments[i], err = url.PathUnescape(s); err != nil {
			return nil, err
		}
	}
	return segments, nil
}

// reading runs fn for GET and HEAD, and refuses what would change something.
func (q *call) reading(fn func() error) error {
	if q.r.Method == http.MethodGet || q.r.Method == http.MethodHead {
		return fn()
	}
	return q.unsupported()
}

// elsewhere answers a path that the catalog does not serve.
func (q *call) elsewhere() error {
	if q.r.Method == http.MethodGet || q.r.Method == http.MethodHead {
		return q.noSuchRoute()
	}
	return q.unsupported()
}

// metrics takes an engine's report of a scan, of which nothing is made.
func (q *call) metrics() error {
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(q.w, q.r.Body, maxReportBytes)); err != nil {
		return failure(http.StatusBadRequest, "BadRequestException", "the report cannot be read: "+err.Error())
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// endpoints are what the catalog tells clients that it serves.
var endpoints = []string{
	"GET /v1/{prefix}/namespaces",
	"POST /v1/{prefix}/namespaces",
	"GET /v1/{prefix}/namespaces/{namespace}",
	"HEAD /v1/{prefix}/namespaces/{namespace}",
	"DELETE /v1/{prefix}/namespaces/{namespace}",
	"GET /v1/{prefix}/namespaces/{namespace}/tables",
	"POST /v1/{prefix}/namespaces/{namespace}/tables",
	"GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
	"POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
	"HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
	"DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}",
	"GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials",
	"POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
}

// config tells a client how to go on. warehouse narrows the catalog to one
// tenant, by a prefix to all further paths.
func (q *call) config() error {
	overrides := map[string]string{}
	if warehouse := q.r.URL.Query().Get("warehouse"); warehouse != "" {
		ok, err := q.source.Exists(q.r.Context(), warehouse, "")
		if err != nil {
			return err
		}
		if !ok {
			return failure(http.StatusNotFound, "NoSuchWarehouseException",
				"warehouse "+quote(warehouse)+": no tenant has that name; leave warehouse out to see all tenants")
		}
		if warehouse != "namespaces" { // which could not be told from a path without prefix
			overrides["prefix"] = warehouse
		}
	}
	return q.json(map[string]any{"defaults": q.opts.TableConfig, "overrides": overrides, "endpoints": endpoints})
}
