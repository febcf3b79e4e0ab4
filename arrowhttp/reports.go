package arrowhttp

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
)

// reports answers a line of NDJSON for each report, as it comes. An error before
// the first is a problem, one after it ends the stream as failed.
func reports[T any](q *request, all iter.Seq2[T, error]) error {
	var out *stream
	begin := func() (err error) {
		if out == nil {
			if out, err = newStream(q.w, typeNDJSON, ""); err == nil {
				q.w.WriteHeader(http.StatusOK)
			}
		}
		return err
	}
	for report, err := range all {
		if err != nil && out == nil {
			return err
		}
		if err != nil {
			return q.abort(err, &textSink{out: out})
		}
		if err := begin(); err != nil {
			return err
		}
		line, err := json.Marshal(report)
		if err != nil {
			return fmt.Errorf("encode report: %w", err)
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
		if err := out.flush(); err != nil {
			return err
		}
	}
	if err := begin(); err != nil { // there was none
		return err
	}
	return out.end(statusComplete)
}
