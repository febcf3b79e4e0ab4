package ingest

import (
	"fmt"
	"mime"
	"strings"
)

// format is a form in which a batch can come.
type format int

const (
	formatNDJSON format = iota
	formatJSON
	formatCSV
	formatArrow
)

// taken lists the media types for who sent another.
const taken = "send application/x-ndjson, application/json, text/csv or application/vnd.apache.arrow.stream"

// parseFormat reads a media type. What its parameters may say is checked too.
func parseFormat(mediaType string) (format, error) {
	if mediaType == "" {
		return 0, fmt.Errorf("%w: the body's content type is not stated; %s", ErrMediaType, taken)
	}
	name, params, err := mime.ParseMediaType(mediaType)
	if err != nil {
		return 0, fmt.Errorf("%w: content type %.100q: %w; %s", ErrMediaType, mediaType, err, taken)
	}
	if set := params["charset"]; set != "" && !strings.EqualFold(set, "utf-8") && !strings.EqualFold(set, "us-ascii") {
		return 0, fmt.Errorf("%w: charset %.100q; send UTF-8", ErrMediaType, set)
	}
	switch name {
	case "application/x-ndjson", "application/ndjson", "application/json-lines", "application/jsonl", "application/x-jsonlines":
		return formatNDJSON, nil
	case "application/json":
		return formatJSON, nil
	case "text/csv":
		if params["header"] == "absent" {
			return 0, fmt.Errorf("%w: text/csv without a header row; the first row names the columns", ErrMediaType)
		}
		return formatCSV, nil
	case "application/vnd.apache.arrow.stream":
		return formatArrow, nil
	}
	return 0, fmt.Errorf("%w: %.100q; %s", ErrMediaType, name, taken)
}

// String is the format's name in errors.
func (f format) String() string {
	return [...]string{"NDJSON", "JSON", "CSV", "Arrow stream"}[f]
}
