package s3

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/semaphore"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// Store is a store of package blob in a bucket. It is safe for concurrent use,
// also by several processes. It has no goroutines of its own but those of calls
// that are under way.
type Store struct {
	c Config
	o Options

	client        *awss3.Client
	credentials   *aws.CredentialsCache
	sessions      *sessions // of a directory bucket; without use for others
	meter         *meter
	transport     *http.Transport // to close; nil: not ours
	reads, writes *semaphore.Weighted
	closed        atomic.Bool
}

// Open gives the store in a bucket, which must exist, after it has proved by
// some 15 requests (see probe) that the store keeps its conditions: one that
// does not is refused with schema.ErrUnsupported.
func Open(ctx context.Context, c Config, o Options) (*Store, error) {
	s, err := connect(ctx, c, o)
	if err == nil {
		err = s.probe(ctx)
	}
	if err != nil {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
		return nil, fmt.Errorf("open store %s: %w", c, err)
	}
	return s, nil
}

// connect makes a Store, without a request to it.
func connect(ctx context.Context, c Config, o Options) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", err, schema.ErrInvalid)
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	s := &Store{
		c: c, o: o,
		reads: semaphore.NewWeighted(int64(o.MaxReads)), writes: semaphore.NewWeighted(int64(o.MaxWrites)),
	}
	sdk, err := config.LoadDefaultConfig(ctx, func(l *config.LoadOptions) error {
		l.Region, l.Credentials = c.Region, o.Credentials
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("configuration of the AWS SDK: %w: %w", err, schema.ErrInvalid)
	}
	if sdk.Region == "" && c.Endpoint != "" {
		sdk.Region = "us-east-1"
	}
	if sdk.Region == "" {
		return nil, fmt.Errorf("no region: give the parameter region or set AWS_REGION: %w", schema.ErrInvalid)
	}
	if sdk.Credentials == nil {
		return nil, fmt.Errorf("no credentials: %w", schema.ErrInvalid)
	}
	var cached bool // as config gives them; a second cache would keep what the first forgets
	if s.credentials, cached = sdk.Credentials.(*aws.CredentialsCache); !cached {
		s.credentials = aws.NewCredentialsCache(sdk.Credentials)
	}
	client := o.HTTPClient
	if client == nil {
		s.transport = newTransport(o)
		client = &http.Client{Transport: s.transport}
	}
	s.meter = newMeter(client, c.Bucket, o.Registerer)
	s.sessions = &sessions{s: s}
	s.client = s.newClient(sdk)
	return s, nil
}

func (s *Store) newClient(sdk aws.Config) *awss3.Client {
	return awss3.NewFromConfig(sdk, func(o *awss3.Options) {
		o.Credentials = s.credentials
		o.ExpressCredentials = s.sessions
		o.HTTPClient = s.meter
		// We decide what is tried again: the SDK would repeat a conditional
		// PUT whose answer was lost, and give the 412 to its own first try.
		o.Retryer = aws.NopRetryer{}
		o.UsePathStyle = s.c.PathStyle
		if s.c.Endpoint != "" {
			o.BaseEndpoint = aws.String(s.c.Endpoint)
		}
		// We send a CRC-32C in the header of whatever has a body worth it; the
		// SDK's own would be a trailer, which not all servers know.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
		o.DisableLogOutputChecksumValidationSkipped = true
		o.ContinueHeaderThresholdBytes = -1 // a round trip for each PUT; 412s are rare
		o.DisableS3ExpressSessionAuth = aws.Bool(false)
		if o.BaseEndpoint == nil || strings.HasPrefix(*o.BaseEndpoint, "https:") {
			// TLS and the CRC vouch for the body; SHA-256 is 1 ms a MiB.
			o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
		}
	})
}

// newTransport is net/http's, with as many idle connections as there can be
// requests, so that none pays for a handshake.
func newTransport(o Options) *http.Transport {
	dialer := &net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConns:        o.MaxReads + o.MaxWrites,
		MaxIdleConnsPerHost: o.MaxReads + o.MaxWrites,
		MaxConnsPerHost:     o.MaxReads + o.MaxWrites + 1, // the session's
		IdleConnTimeout:     15 * time.Second,             // before S3 closes it under a PUT
		DisableCompression:  true,
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      64 << 10,
	}
}

// Close refuses further calls with schema.ErrClosed and releases connections;
// calls under way go on. It may be called twice.
func (s *Store) Close() error {
	s.closed.Store(true)
	s.sessions.close()
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
	return nil
}

// Usage tells what each verb has cost since Open, the probe included.
func (s *Store) Usage() map[Verb]Usage {
	s.meter.mu.Lock()
	defer s.meter.mu.Unlock()
	return maps.Clone(s.meter.usage)
}

// Config is where the store lies, as it was given.
func (s *Store) Config() Config { return s.c }

// Region is the region that requests are signed for.
func (s *Store) Region() string { return s.client.Options().Region }

// ready is what every call checks before it does anything.
func (s *Store) ready(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", schema.ErrUnavailable, err)
	}
	if s.closed.Load() {
		return fmt.Errorf("store %s: %w", s.c.Bucket, schema.ErrClosed)
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("object name %q: S3's keys are UTF-8: %w", name, schema.ErrInvalid)
	}
	return blob.CheckName(name)
}

// ref gives bucket and key of an object as the SDK wants them.
func (s *Store) ref(name string) (bucket, key *string) {
	return aws.String(s.c.Bucket), aws.String(s.c.key(name))
}
