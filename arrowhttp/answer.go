package arrowhttp

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// json answers with a JSON body that is already encoded.
func (q *request) json(status int, body []byte) error {
	h, values := q.w.Header(), []string{typeJSON, strconv.Itoa(len(body) + 1), "no-store"}
	h["Content-Type"], h["Content-Length"], h["Cache-Control"] = values[0:1:1], values[1:2:2], values[2:3:3]
	q.w.WriteHeader(status)
	_, _ = q.w.Write(append(body, '\n')) // a client that is gone needs no answer
	return nil
}

// object answers with v as JSON.
func (q *request) object(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return q.json(status, body)
}

// mediaType reads Content-Type without its parameters; "" when there is none.
// A charset other than UTF-8 is refused rather than misread.
func (q *request) mediaType() (string, error) {
	text := q.r.Header.Get("Content-Type")
	if text == "" {
		return "", nil
	}
	name, params, err := mime.ParseMediaType(text)
	if err != nil {
		return "", fmt.Errorf("header Content-Type %q: %v: %w", text, err, errMediaType)
	}
	if cs := params["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") && !strings.EqualFold(cs, "us-ascii") {
		return "", fmt.Errorf("header Content-Type %q: %w: only UTF-8", text, errMediaType)
	}
	return name, nil
}

// wantType demands one of the media types of the body, or none being named;
// and a body that is not compressed.
func (q *request) wantType(types ...string) error {
	name, err := q.mediaType()
	if err != nil {
		return err
	}
	if name != "" && !slices.Contains(types, name) {
		return fmt.Errorf("header Content-Type %q: %w; want %s", name, errMediaType, strings.Join(types, " or "))
	}
	if enc := q.r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return fmt.Errorf("header Content-Encoding %q: %w; send it plain", enc, errMediaType)
	}
	return nil
}

// contentEncoding reads how the body of a write is compressed.
func (q *request) contentEncoding() (string, error) {
	switch enc := strings.ToLower(strings.TrimSpace(strings.Join(q.r.Header.Values("Content-Encoding"), ","))); enc {
	case "", "identity":
		return "", nil
	case "gzip", "x-gzip":
		return "gzip", nil
	case "zstd":
		return "zstd", nil
	default:
		return "", fmt.Errorf("header Content-Encoding %q: %w; want gzip or zstd", enc, errMediaType)
	}
}

func getHealth(q *request) error { return q.json(http.StatusOK, []byte(`{"status":"ok"}`)) }

func getReady(q *request) error {
	if err := q.s.opts.Ready(q.ctx()); err != nil {
		return notReady(err)
	}
	return q.json(http.StatusOK, []byte(`{"status":"ready"}`))
}
