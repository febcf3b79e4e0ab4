package arrowhttp

import "net/http"

// basePath is C of the API: a collection.
const basePath = "/v1/tenants/{tenant}/collections/{collection}"

// routes is the whole surface but the Iceberg catalog.
func (s *Server) routes() []*route {
	const (
		get, put, post, del = http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete
		list                = "/v1/tenants/{tenant}/collections"
	)
	scanQuery := []string{"columns", "where", "limit", "at_seq", "snapshot"}
	streamQuery := append([]string{"resume"}, scanQuery...)
	return []*route{
		{method: get, pattern: list, query: []string{"prefix", "after", "limit"}, handle: listCollections},
		{method: post, pattern: list, query: []string{"dry_run"}, handle: applyCollections},
		{method: put, pattern: basePath, query: []string{"dry_run"}, handle: putCollection},
		{method: get, pattern: basePath, handle: getCollection},
		{method: del, pattern: basePath, handle: deleteCollection},

		{method: get, pattern: "/v1/schemas", query: []string{"prefix", "after", "limit"}, handle: listSchemas},
		{method: put, pattern: "/v1/schemas/{schema}", query: []string{"dry_run"}, handle: putSchema},
		{method: get, pattern: "/v1/schemas/{schema}", handle: getSchema},
		{method: del, pattern: "/v1/schemas/{schema}", handle: deleteSchema},

		{method: post, pattern: basePath + "/records", query: []string{"op", "on_error", "match", "atomic"}, handle: writeRecords},
		{method: post, pattern: "/v1/tenants/{tenant}/write", query: []string{"on_error"}, handle: writeMany},

		{method: get, pattern: basePath + "/records", handle: rangeRecords,
			query: []string{"prefix", "from", "to", "reverse", "limit", "after", "where", "columns", "index", "allow_scan"}},
		{method: get, pattern: basePath + "/records/{key}", rest: true, query: []string{"columns", "index", "limit", "after"}, handle: getRecord},
		{method: post, pattern: basePath + "/lookup", query: []string{"index", "columns"}, handle: lookup},

		{method: get, pattern: basePath + "/log", handle: getLog,
			query: []string{"from_seq", "from_time", "tail", "clamp", "to_seq", "until_time", "limit", "limit_bytes", "order", "where", "follow", "heartbeat"}},
		{method: get, pattern: basePath + "/log/tail", query: []string{"from_seq", "from_time", "tail", "clamp", "to_seq", "until_time"}, handle: getLogTail},
		{method: post, pattern: basePath + "/fence", handle: setFence},
		{method: post, pattern: basePath + "/trim", handle: trimLog},

		{method: get, pattern: basePath + "/scan", query: streamQuery, handle: scan},
		{method: get, pattern: basePath + "/scan.arrows", query: streamQuery, handle: scanArrows},
		{method: get, pattern: basePath + "/scan.arrow", query: scanQuery, handle: scanFile},

		{method: get, pattern: basePath + "/lake", handle: getLake},
		{method: post, pattern: basePath + "/lake/compact", handle: compactLake},
		{method: post, pattern: basePath + "/lake/expire", handle: expireLake},
		{method: get, pattern: basePath + "/lake/tags", handle: getTags},
		{method: put, pattern: basePath + "/lake/tags/{tag}", query: []string{"snapshot", "at_seq"}, handle: putTag},
		{method: del, pattern: basePath + "/lake/tags/{tag}", handle: deleteTag},

		{method: post, pattern: "/v1/verify", query: []string{"collection"}, handle: verify},

		{method: get, pattern: "/healthz", open: true, lenient: true, handle: getHealth},
		{method: get, pattern: "/readyz", open: true, lenient: true, handle: getReady},
		{method: get, pattern: "/metrics", lenient: true, handle: metricsText},
		{method: get, pattern: "/openapi.json", open: true, lenient: true, handle: getOpenAPI},
	}
}
