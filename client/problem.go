package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/trinedb/trine/schema"
)

// Problem is what the server answers when it does not do what was asked (RFC
// 9457).
type Problem struct {
	Status int                `json:"status"`
	Code   string             `json:"code"`
	Title  string             `json:"title"`
	Detail string             `json:"detail"`
	Retry  string             `json:"retry"` // never, same_request or after_change
	Errors schema.FieldErrors `json:"errors"`
	// What a condition of the request was compared with, if one did not hold.
	NextSeq    *uint64 `json:"next_seq"`    // of the collection
	FirstSeq   *uint64 `json:"first_seq"`   // of what the log keeps
	FenceToken *string `json:"fence_token"` // "": it has none
}

// Error tells what the server said: each bad field on a line of its own, or
// else what happened.
func (p *Problem) Error() string {
	if len(p.Errors) > 0 {
		lines := make([]string, len(p.Errors))
		for i, e := range p.Errors {
			lines[i] = e.Error()
			if e.Line > 0 {
				lines[i] = fmt.Sprintf("line %d: %s", e.Line, e)
			}
		}
		return strings.Join(lines, "\n")
	}
	if p.Detail == "" {
		return fmt.Sprintf("%d %s", p.Status, p.Title)
	}
	return p.Detail
}

// IsNotFound reports whether err says that what was asked for does not exist.
func IsNotFound(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status == http.StatusNotFound
}

// maxProblemBytes bounds what is read of an error.
const maxProblemBytes = 1 << 20

func readProblem(resp *http.Response) error {
	p := &Problem{Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode)}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxProblemBytes))
	if err != nil {
		return fmt.Errorf("%s, and its text could not be read: %w", resp.Status, err)
	}
	if json.Unmarshal(data, p) != nil {
		p.Detail = fmt.Sprintf("%s: %.200s", resp.Status, data)
	}
	p.Status = resp.StatusCode
	return p
}
