package definition_test

import (
	"bytes"
	"encoding/json"
)

// encodeJSON is v as JSON on one line, without escapes for HTML.
func encodeJSON(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "! " + err.Error()
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
