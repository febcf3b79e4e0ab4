package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"

	"github.com/trinedb/trine/schema"
)

// table loads a table, or tells whether it exists.
func (q *call) table(namespace, name string) error {
	if q.r.Method == http.MethodHead {
		ok, err := q.source.Exists(q.r.Context(), namespace, name)
		if err == nil && !ok {
			err = noSuchTable(namespace, name)
		}
		if err == nil {
			q.w.WriteHeader(http.StatusNoContent)
		}
		return err
	}
	mode := q.r.URL.Query().Get("snapshots")
	if mode != "" && mode != "all" && mode != "refs" {
		return failure(http.StatusBadRequest, "BadRequestException", "snapshots "+quote(mode)+": want all or refs")
	}
	location, metadata, err := q.source.Load(q.r.Context(), namespace, name)
	if errors.Is(err, schema.ErrNotFound) {
		return noSuchTable(namespace, name)
	}
	if err != nil {
		return err
	}
	tag := etag(location, mode)
	q.w.Header().Set("ETag", tag)
	if matches(q.r.Header.Get("If-None-Match"), tag) {
		q.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if mode == "refs" {
		if metadata, err = referenced(metadata); err != nil {
			return fmt.Errorf("metadata at %s: %w", location, err)
		}
	}
	return q.answer(namespace, name, location, metadata)
}

// etag stands for a metadata file, which never changes, and the form it is
// answered in.
func etag(location, mode string) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(mode + " " + location))
	return fmt.Sprintf(`"%x"`, h.Sum(nil))
}

func matches(header, tag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == tag || candidate == "*" {
			return true
		}
	}
	return false
}

// referenced is the metadata with only the snapshots that a branch or tag
// points at.
func referenced(metadata []byte) ([]byte, error) {
	var all map[string]json.RawMessage
	var part struct {
		Snapshots []json.RawMessage `json:"snapshots"`
		Refs      map[string]struct {
			ID int64 `json:"snapshot-id"`
		} `json:"refs"`
	}
	if err := errors.Join(json.Unmarshal(metadata, &all), json.Unmarshal(metadata, &part)); err != nil {
		return nil, err
	}
	wanted := map[int64]bool{}
	for _, ref := range part.Refs {
		wanted[ref.ID] = true
	}
	kept := []json.RawMessage{}
	for _, raw := range part.Snapshots {
		var s struct {
			ID int64 `json:"snapshot-id"`
		}
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, err
		}
		if wanted[s.ID] {
			kept = append(kept, raw)
		}
	}
	var err error
	if all["snapshots"], err = json.Marshal(kept); err != nil {
		return nil, err
	}
	out, err := json.Marshal(all)
	return bytes.TrimSpace(out), err
}
