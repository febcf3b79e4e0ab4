package rest

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/trinedb/trine/schema"
)

// namespaces lists the tenants. None has namespaces of its own.
func (q *call) namespaces() error {
	if parent := q.r.URL.Query().Get("parent"); parent != "" {
		if err := q.mustExist(parent); err != nil {
			return err
		}
		return q.json(map[string]any{"namespaces": []any{}, "next-page-token": nil})
	}
	fetch := func(after string, limit int) ([]string, error) {
		return q.source.Namespaces(q.r.Context(), after, limit)
	}
	if q.scope != "" {
		fetch = func(after string, _ int) ([]string, error) {
			ok, err := q.source.Exists(q.r.Context(), q.scope, "")
			if !ok || after >= q.scope {
				return nil, err
			}
			return []string{q.scope}, err
		}
	}
	return q.list("namespaces", fetch, func(name string) any { return []string{name} })
}

func (q *call) mustExist(namespace string) error {
	ok, err := false, error(nil)
	if q.scope == "" || q.scope == namespace {
		ok, err = q.source.Exists(q.r.Context(), namespace, "")
	}
	if err == nil && !ok {
		err = noSuchNamespace(namespace)
	}
	return err
}

func (q *call) namespace(name string) error {
	if err := q.mustExist(name); err != nil {
		return err
	}
	if q.r.Method == http.MethodHead {
		q.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return q.json(map[string]any{"namespace": []string{name}, "properties": map[string]string{}})
}

func (q *call) tables(namespace string) error {
	fetch := func(after string, limit int) ([]string, error) {
		names, err := q.source.Tables(q.r.Context(), namespace, after, limit)
		if errors.Is(err, schema.ErrNotFound) {
			err = noSuchNamespace(namespace)
		}
		return names, err
	}
	return q.list("identifiers", fetch, func(name string) any {
		return map[string]any{"namespace": []string{namespace}, "name": name}
	})
}

// views lists none: there are no views.
func (q *call) views(namespace string) error {
	if err := q.mustExist(namespace); err != nil {
		return err
	}
	return q.json(map[string]any{"identifiers": []any{}, "next-page-token": nil})
}

// list answers with a page if the client can page, else with everything. The
// page token is the last name of the page before.
func (q *call) list(member string, fetch func(after string, limit int) ([]string, error), item func(string) any) error {
	params := q.r.URL.Query()
	size := defaultPageSize
	if text := params.Get("pageSize"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return failure(http.StatusBadRequest, "BadRequestException", "pageSize "+quote(text)+": want a number from 1")
		}
		size = min(n, maxPageSize)
	}
	paged := params.Has("pageToken") || params.Has("pageSize")
	names, err := fetch(params.Get("pageToken"), size)
	if err != nil {
		return err
	}
	// From here on there are bytes under way: a failure cuts the connection, so
	// that no client takes half a list for a whole one.
	q.w.Header().Set("Content-Type", "application/json")
	if q.r.Method == http.MethodHead {
		return nil
	}
	out := bufio.NewWriterSize(q.w, 32<<10)
	_, _ = out.WriteString(`{"` + member + `":[`)
	for first := true; ; {
		for _, name := range names {
			if !first {
				_ = out.WriteByte(',')
			}
			first = false
			text, err := json.Marshal(item(name))
			if err != nil {
				panic(err) // strings always encode
			}
			if _, err := out.Write(text); err != nil {
				return nil // the client is gone
			}
		}
		if paged || len(names) < size {
			break
		}
		if names, err = fetch(names[len(names)-1], size); err != nil {
			q.opts.Logger.Error("catalog list broke off", "path", q.r.URL.Path, "err", err)
			panic(http.ErrAbortHandler)
		}
	}
	next := []byte("null")
	if paged && len(names) == size {
		next, _ = json.Marshal(names[len(names)-1])
	}
	_, _ = out.WriteString(`],"next-page-token":`)
	_, _ = out.Write(next)
	_ = out.WriteByte('}')
	_ = out.Flush()
	return nil
}
