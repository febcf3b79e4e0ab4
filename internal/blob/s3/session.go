package s3

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	smithy "github.com/aws/smithy-go"
)

// sessionSlack is how long before its end a session is replaced. Sessions last
// five minutes.
const sessionSlack = time.Minute

// sessions keeps the session of a directory bucket, which signs every request
// there but CreateSession. It stands in for the SDK's own, which asks for a
// session with the context of whichever request came first, so that cancelling
// that one fails all that wait, and which cannot drop a session that the server
// no longer accepts.
type sessions struct {
	s *Store

	mu      sync.Mutex
	current aws.Credentials
	asking  chan struct{} // closed when the request under way ends; nil: none
	cancel  func()        // ends it
	err     error         // of the last request
}

// Retrieve gives a session that is good for a while. Of many callers one asks
// for it, without regard to who gives up waiting.
func (x *sessions) Retrieve(ctx context.Context, bucket string) (aws.Credentials, error) {
	c, err := x.retrieve(ctx, bucket)
	if t, ok := ctx.Value(tryKey{}).(*try); ok {
		t.token = c.SessionToken
	}
	return c, err
}

func (x *sessions) retrieve(ctx context.Context, bucket string) (aws.Credentials, error) {
	x.mu.Lock()
	if x.current.HasKeys() && time.Until(x.current.Expires) > sessionSlack {
		defer x.mu.Unlock()
		return x.current, nil
	}
	asking := x.asking
	if asking == nil {
		asking = make(chan struct{})
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), x.s.o.RequestTimeout)
		x.asking, x.cancel = asking, cancel
		go x.ask(limited, bucket, asking) // ends by its time-out, or close
	}
	x.mu.Unlock()
	select {
	case <-asking:
	case <-ctx.Done():
		return aws.Credentials{}, fmt.Errorf("wait for a session of bucket %s: %w", bucket, context.Cause(ctx))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.current.HasKeys() && time.Now().Before(x.current.Expires) {
		return x.current, nil // also the old one, when there is no new one yet
	}
	return aws.Credentials{}, fmt.Errorf("session of bucket %s: %w", bucket, x.err)
}

func (x *sessions) ask(ctx context.Context, bucket string, asking chan struct{}) {
	ctx = context.WithValue(ctx, tryKey{}, &try{verb: VerbSession})
	out, err := x.s.client.CreateSession(ctx, &awss3.CreateSessionInput{Bucket: aws.String(bucket)})
	var api smithy.APIError
	if errors.As(err, &api) && staleCodes[api.ErrorCode()] {
		x.s.credentials.Invalidate() // here, for the SDK passes the error on as text
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.err = err
	if err == nil {
		c := out.Credentials
		if c == nil || c.AccessKeyId == nil || c.SecretAccessKey == nil || c.SessionToken == nil || c.Expiration == nil {
			x.err = errors.New("the store's answer lacks a part")
		} else {
			x.current = aws.Credentials{
				AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken,
				CanExpire: true, Expires: *c.Expiration, Source: "CreateSession",
			}
		}
	}
	x.cancel()
	x.asking = nil
	close(asking)
}

// invalidate drops the session of that token: the server did not accept it.
func (x *sessions) invalidate(token string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.current.SessionToken == token {
		x.current = aws.Credentials{}
	}
}

// close ends a request for a session and waits for that.
func (x *sessions) close() {
	x.mu.Lock()
	asking := x.asking
	if asking != nil {
		x.cancel()
	}
	x.mu.Unlock()
	if asking != nil {
		<-asking
	}
}
