package arrowhttp

import (
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Media types.
const (
	typeArrowStream = "application/vnd.apache.arrow.stream"
	typeArrowFile   = "application/vnd.apache.arrow.file"
	typeParquet     = "application/vnd.apache.parquet"
	typeNDJSON      = "application/x-ndjson"
	typeJSON        = "application/json"
	typeCSV         = "text/csv"
	typeSSE         = "text/event-stream"
)

// ndjsonNames are the other names that NDJSON goes by.
var ndjsonNames = []string{"application/ndjson", "application/jsonl", "application/x-jsonlines"}

// accepted is one range of an Accept or Accept-Encoding header.
type accepted struct {
	name   string // media range or coding, in lower case
	params map[string]string
	q      float64
}

// parseAccept reads a header of ranges. What does not parse is left out, as a
// header is a wish and not a command.
func parseAccept(values []string) []accepted {
	var out []accepted
	for _, part := range splitList(strings.Join(values, ",")) {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		if slices.Contains(ndjsonNames, name) {
			name = typeNDJSON
		}
		a := accepted{name: name, params: params, q: 1}
		if text, ok := params["q"]; ok {
			if a.q, err = strconv.ParseFloat(text, 64); err != nil || a.q < 0 || a.q > 1 {
				continue
			}
			delete(params, "q")
		}
		out = append(out, a)
	}
	return out
}

// splitList splits at commas that stand outside of quotes: codecs="zstd, lz4"
// is one parameter.
func splitList(text string) []string {
	var out []string
	quoted, start := false, 0
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quoted:
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ',' && !quoted:
			out = append(out, strings.TrimSpace(text[start:i]))
			start = i + 1
		}
	}
	return append(out, strings.TrimSpace(text[min(start, len(text)):]))
}

// specificity tells how closely a media range names a type: 0 not at all.
func (a accepted) specificity(mediaType string) int {
	major, _, _ := strings.Cut(mediaType, "/")
	switch a.name {
	case mediaType:
		return 3
	case major + "/*":
		return 2
	case "*/*", "*":
		return 1
	}
	return 0
}

// negotiate chooses among offers, best first, by the Accept header; the range
// that speaks of the choice comes with it, for its parameters. A range that
// names a type wins over a wildcard of the same weight, so that "text/csv, */*"
// is CSV.
func negotiate(h http.Header, offers ...string) (string, accepted, error) {
	values := h.Values("Accept")
	ranges := parseAccept(values)
	if len(ranges) == 0 {
		return offers[0], accepted{}, nil
	}
	var best string
	var by accepted
	for _, offer := range offers {
		var about accepted
		for _, a := range ranges {
			if a.specificity(offer) > about.specificity(offer) {
				about = a // the closest range decides, as RFC 9110 has it
			}
		}
		if about.q == 0 {
			continue
		}
		if best == "" || about.q > by.q || about.q == by.q && about.specificity(offer) > by.specificity(best) {
			best, by = offer, about
		}
	}
	if best == "" {
		return "", accepted{}, fmt.Errorf("header Accept %q: %w; on offer: %s",
			strings.Join(values, ", "), errNotAcceptable, strings.Join(offers, ", "))
	}
	return best, by, nil
}

// coding is how an answer is compressed: inside the Arrow format, or outside
// by HTTP, never both.
type coding struct {
	ipc  string // "", "lz4", "zstd"
	http string // "", "gzip", "zstd"
}

// negotiateCoding chooses the compression of an Arrow stream. It is sent plain
// unless the client asks: a raw reader of Arrow does not undo Content-Encoding,
// and not every reader knows compressed IPC.
func negotiateCoding(by accepted, h http.Header) (coding, error) {
	for _, codec := range strings.Split(by.params["codecs"], ",") {
		switch strings.ToLower(strings.TrimSpace(codec)) {
		case "zstd":
			return coding{ipc: "zstd"}, nil
		case "lz4", "lz4_frame":
			return coding{ipc: "lz4"}, nil
		}
	}
	enc, err := negotiateEncoding(h)
	return coding{http: enc}, err
}

// negotiateEncoding chooses a content coding that the client names; a "*" is
// not a wish for one. It fails only when the client excludes sending it plain
// and names nothing else that is known.
func negotiateEncoding(h http.Header) (string, error) {
	var best string
	var bestQ float64
	identity, starQ, named := -1.0, -1.0, map[string]bool{}
	for _, a := range parseAccept(h.Values("Accept-Encoding")) {
		name := strings.TrimPrefix(a.name, "x-")
		named[name] = true
		switch name {
		case "gzip", "zstd":
			if a.q > bestQ || a.q == bestQ && a.q > 0 && name == "zstd" {
				best, bestQ = name, a.q
			}
		case "identity":
			identity = a.q
		case "*":
			starQ = a.q
		}
	}
	if identity < 0 {
		identity = 1 // allowed unless excluded
		if starQ == 0 {
			identity = 0
		} else if best != "" {
			identity = bestQ // naming a coding and not identity is asking for the coding
		}
	}
	if best != "" && bestQ >= identity {
		return best, nil
	}
	if identity > 0 {
		return "", nil
	}
	if best != "" {
		return best, nil
	}
	if starQ > 0 && !named["gzip"] {
		return "gzip", nil
	}
	return "", fmt.Errorf("header Accept-Encoding %q: %w; on offer: identity, gzip, zstd",
		strings.Join(h.Values("Accept-Encoding"), ", "), errNotAcceptable)
}
