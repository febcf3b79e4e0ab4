package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// reports sends a request and yields each line of its answer. The answer says at
// its end that it is whole.
func reports[T any](ctx context.Context, c *Client, what string, q request) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		resp, err := c.send(ctx, q)
		if err != nil {
			yield(none, err)
			return
		}
		defer resp.Body.Close()
		lines := json.NewDecoder(resp.Body)
		for {
			var line json.RawMessage
			err := lines.Decode(&line)
			if errors.Is(err, io.EOF) {
				if resp.Trailer.Get("Trine-Status") != "complete" {
					yield(none, fmt.Errorf("%s: %w", what, ErrIncomplete))
				}
				return
			}
			var report T
			if err == nil {
				err = decodeReport(what, line, &report)
			}
			if !yield(report, err) || err != nil {
				return
			}
		}
	}
}

// decodeReport reads a line, which is a problem if the server could not go on.
func decodeReport(what string, line []byte, report any) error {
	var end struct {
		Problem *Problem `json:"problem"`
	}
	if err := json.Unmarshal(line, &end); err != nil {
		return fmt.Errorf("%s: read report: %w", what, err)
	}
	if end.Problem != nil {
		return fmt.Errorf("%s: %w", what, end.Problem)
	}
	if err := json.Unmarshal(line, report); err != nil {
		return fmt.Errorf("%s: read report: %w", what, err)
	}
	return nil
}
