package s3

import (
	"errors"
	"fmt"
	"net"
	"net/http"

	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// failure is what became of one try of a request, other than success.
type failure struct {
	err error // of the SDK, or the time-out
	// kind is one of the errors that promise no effect; nil: the request may
	// have been done, or may still be.
	kind error
	// again: another try may go better.
	again bool
	code  string // S3's; empty: there was no answer
}

// result is the failure as an error of a write.
func (f *failure) result() error {
	if f.kind != nil {
		return fmt.Errorf("%w: %w", f.kind, f.err)
	}
	return &unknownError{f.err}
}

// unknownError is of no kind that promises anything, whatever it stems from,
// and still tells a cancelled context.
type unknownError struct{ cause error }

func (e *unknownError) Error() string { return "outcome unknown: " + e.cause.Error() }

func (e *unknownError) Is(target error) bool {
	return !blob.NoEffect(target) && errors.Is(e.cause, target)
}

// Codes of S3 that are told apart. All others go by their status.
const (
	codeNoSuchKey    = "NoSuchKey"
	codeNoSuchUpload = "NoSuchUpload"
)

// staleCodes tell that a token is no longer good; a new one may be.
var staleCodes = map[string]bool{
	"ExpiredToken": true, "ExpiredTokenException": true, "InvalidToken": true, "TokenRefreshRequired": true,
}

// fleeting are answers below 500 that another try may not get.
var fleeting = map[string]bool{
	"ConditionalRequestConflict": true, "OperationAborted": true, "RequestTimeTooSkewed": true,
	"RequestTimeout": true, "SlowDown": true, "TooManyRequests": true, "BadDigest": true,
}

// classify sorts what the SDK gave for one try. sent says whether the request
// got as far as the transport; refusal is what a failed condition means, missing
// what it means that there is no object, blob.ErrNotFound if nil.
func classify(err error, sent bool, refusal, missing error) *failure {
	f := &failure{err: err}
	var response *smithyhttp.ResponseError
	var api smithy.APIError
	status, code := 0, ""
	if errors.As(err, &response) && response.Response != nil {
		status = response.HTTPStatusCode()
	}
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	f.code = code
	var dial *net.OpError
	switch {
	case !sent: // no credentials, no session, no address
		f.kind, f.again = schema.ErrUnavailable, true
	case status == 0 && errors.As(err, &dial) && dial.Op == "dial":
		f.kind, f.again = schema.ErrUnavailable, true
	case status == http.StatusPreconditionFailed && refusal != nil:
		f.kind = refusal
	case code == codeNoSuchKey:
		f.kind = blob.ErrNotFound
		if missing != nil {
			f.kind = missing
		}
	case ours(err):
	case status == http.StatusRequestTimeout: // a gateway's; S3's own is a 400
		f.again = true
	case code == "EntityTooLarge", code == "KeyTooLongError":
		f.kind = schema.ErrInvalid
	case status >= 400 && status < 500:
		f.kind = schema.ErrUnavailable
		f.again = staleCodes[code] || fleeting[code] || status == http.StatusTooManyRequests
	default: // 5xx, an error in a 200, no answer, an answer that broke off
		f.again = true
	}
	return f
}

// ours reports whether err is what we made of an answer that would be the same
// another time.
func ours(err error) bool {
	return errors.Is(err, schema.ErrTooLarge) || errors.Is(err, schema.ErrUnsupported)
}
