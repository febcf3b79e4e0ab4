package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
)

// Report is what a comparison of one collection's three stores found.
type Report struct {
	Collection  string       `json:"collection"`
	OK          bool         `json:"ok"`
	Changes     uint64       `json:"changes"`
	Rows        int64        `json:"rows"`
	LakeRows    int64        `json:"lake_rows"`
	LakeSeq     uint64       `json:"lake_seq"`
	Differences []Difference `json:"differences,omitempty"`
	More        int          `json:"more,omitempty"` // differences beyond those told
}

// Difference is one place where a store is not what the log says.
type Difference struct {
	Store string `json:"store"`
	Row   string `json:"row"`
	Want  string `json:"want"`
	Got   string `json:"got"`
}

// Verify has the server compare the stores of one collection, or of all if
// only is empty, and yields a report for each.
func (c *Client) Verify(ctx context.Context, only string) iter.Seq2[Report, error] {
	q := url.Values{}
	if only != "" {
		q.Set("collection", only)
	}
	return reports[Report](ctx, c, "verify", request{method: http.MethodPost, path: "/v1/verify", query: q})
}
