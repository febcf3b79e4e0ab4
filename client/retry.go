package client

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// retrySame is what a problem says when the same request may be sent again.
const retrySame = "same_request"

// sendAgain makes the exchange and repeats it while that can help.
func (c *Client) sendAgain(ctx context.Context, r request) (*http.Response, error) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = 50 * time.Millisecond
	wait.MaxInterval = 5 * time.Second
	return backoff.Retry(ctx, func() (*http.Response, error) {
		resp, err := c.sendOnce(ctx, r)
		var p *Problem
		if err == nil || ctx.Err() == nil && (!errors.As(err, &p) || p.Retry == retrySame) {
			return resp, err
		}
		return resp, backoff.Permanent(err)
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(c.retry))
}
