package arrowhttp

import (
	_ "embed" // for the document
	"encoding/json"
	"fmt"
)

//go:embed openapi.json
var openAPIDocument []byte

// openAPI is the document with the version of what serves it.
func openAPI(version string) ([]byte, error) {
	var doc map[string]json.RawMessage
	var info map[string]json.RawMessage
	if err := json.Unmarshal(openAPIDocument, &doc); err != nil {
		return nil, fmt.Errorf("read openapi.json: %w", err)
	}
	if err := json.Unmarshal(doc["info"], &info); err != nil {
		return nil, fmt.Errorf("read openapi.json: info: %w", err)
	}
	var err error
	if info["version"], err = json.Marshal(version); err != nil {
		return nil, err
	}
	if doc["info"], err = json.Marshal(info); err != nil {
		return nil, err
	}
	return json.Marshal(doc)
}

func getOpenAPI(q *request) error { return q.json(200, append([]byte(nil), q.s.openapi...)) }
