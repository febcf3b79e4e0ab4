package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// retrySame is what a problem says when the same request may be sent again.
const retrySame = "same_request"

// firstContact is how long a server that never answered is tried: it may be
// about to start, but more likely is not there, and somebody waits to be told.
const firstContact = 3 * time.Second

// again makes an attempt, and repeats it while r may be repeated and that can
// help.
func again[T any](ctx context.Context, c *Client, r request, attempt func() (T, error)) (T, error) {
	if !r.again || c.retry <= 0 {
		return attempt()
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = 50 * time.Millisecond
	wait.MaxInterval = 5 * time.Second
	start := time.Now()
	return backoff.Retry(ctx, func() (T, error) {
		out, err := attempt()
		if err == nil || ctx.Err() == nil && c.mayHelp(err, time.Since(start)) {
			return out, err
		}
		return out, backoff.Permanent(err)
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(c.retry))
}

// mayHelp reports whether another attempt may end otherwise than with err.
func (c *Client) mayHelp(err error, tried time.Duration) bool {
	var p *Problem
	var op *net.OpError
	switch {
	case errors.As(err, &p):
		return p.Retry == retrySame || p.Code == "" && fromProxy(p.Status)
	case errors.As(err, &op) && op.Op == "dial" && !c.reached.Load():
		return tried < firstContact
	default:
		return true
	}
}

// fromProxy reports whether a status that came without a problem is what
// proxies answer for a server that they cannot reach just now.
func fromProxy(status int) bool {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		return true
	default:
		return false
	}
}
