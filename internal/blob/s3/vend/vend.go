// Package vend gives credentials for a part of a bucket, that others may be handed: of
// a role, by AWS's Security Token Service, with a session policy that allows what lies
// below one prefix and nothing else.
//
// Credentials are good for an hour, and are given out again for the first three
// quarters of it. Of many who ask for the same at once, one asks the service.
//
// Caveats: what a policy allows, the role has to allow as well. There is no session
// policy for S3 Express, whose sessions are for whole buckets.
package vend

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/trinedb/trine/schema"
)

// Limits.
const (
	lifetime   = time.Hour    // the longest that a role of a role may have
	least      = lifetime / 4 // that what is given out is still good for
	maxKept    = 10_000       // credentials in memory, some 2 KiB each
	askTimeout = 10 * time.Second
)

// Options say what is given out. RoleARN, Bucket and Region are needed.
type Options struct {
	RoleARN  string
	Bucket   string
	Region   string
	Endpoint string                  // of the service; default AWS's in the region
	Provider aws.CredentialsProvider // who assumes the role; default: the SDK's chain
	Now      func() time.Time        // default time.Now
}

// Credentials are good for one prefix, until they expire.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time
}

// Vendor gives out credentials. It is safe for concurrent use.
type Vendor struct {
	o         Options
	partition string // AWS's: aws, aws-cn, …
	client    *sts.Client
	kept      *lru.Cache[scope, Credentials]
	asking    singleflight.Group
}

// scope is what credentials are for.
type scope struct {
	prefix string
	write  bool
}

// New makes a Vendor, without a request.
func New(ctx context.Context, o Options) (*Vendor, error) {
	role, err := arn.Parse(o.RoleARN)
	if err != nil || role.Service != "iam" || !strings.HasPrefix(role.Resource, "role/") {
		return nil, fmt.Errorf("role %q: want its ARN, as arn:aws:iam::123456789012:role/name: %w", o.RoleARN, schema.ErrInvalid)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	sdk, err := config.LoadDefaultConfig(ctx, func(l *config.LoadOptions) error {
		l.Region, l.Credentials = o.Region, o.Provider
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("configuration of the AWS SDK: %w: %w", err, schema.ErrInvalid)
	}
	kept, err := lru.New[scope, Credentials](maxKept)
	if err != nil {
		return nil, err
	}
	client := sts.NewFromConfig(sdk, func(s *sts.Options) {
		if o.Endpoint != "" {
			s.BaseEndpoint = aws.String(o.Endpoint)
		}
	})
	return &Vendor{o: o, partition: role.Partition, client: client, kept: kept}, nil
}

// Vend gives credentials to read what lies below a prefix of the bucket, that ends
// with no slash; with write also to put data files and manifests of an Iceberg table
// there, but not its versions. schema.ErrUnavailable: the service does not give any.
func (v *Vendor) Vend(ctx context.Context, prefix string, write bool) (Credentials, error) {
	of := scope{prefix, write}
	if c, ok := v.good(of); ok {
		return c, nil
	}
	done := v.asking.DoChan(fmt.Sprint(write, prefix), func() (any, error) {
		if c, ok := v.good(of); ok { // another was asking until now
			return c, nil
		}
		// Others wait for it: whoever came first may go away.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		defer cancel()
		c, err := v.ask(ctx, of)
		if err == nil {
			v.kept.Add(of, c)
		}
		return c, err
	})
	select {
	case <-ctx.Done():
		return Credentials{}, fmt.Errorf("wait for credentials: %w: %w", schema.ErrUnavailable, ctx.Err())
	case r := <-done:
		if r.Err != nil {
			return Credentials{}, fmt.Errorf("credentials for %s: %w: %w", prefix, schema.ErrUnavailable, r.Err)
		}
		c, _ := r.Val.(Credentials)
		return c, nil
	}
}

// good are credentials in memory that will be good for a while.
func (v *Vendor) good(of scope) (Credentials, bool) {
	c, ok := v.kept.Get(of)
	return c, ok && c.Expires.Sub(v.o.Now()) >= least
}

func (v *Vendor) ask(ctx context.Context, of scope) (Credentials, error) {
	policy, err := v.policy(of)
	if err != nil {
		return Credentials{}, err
	}
	out, err := v.client.AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: aws.String(v.o.RoleARN), RoleSessionName: aws.String("trine"), Policy: aws.String(policy),
		DurationSeconds: aws.Int32(int32(lifetime / time.Second)),
	})
	if err != nil {
		return Credentials{}, err
	}
	c := out.Credentials
	if c == nil || c.AccessKeyId == nil || c.SecretAccessKey == nil || c.SessionToken == nil || c.Expiration == nil {
		return Credentials{}, errors.New("the service's answer lacks a part")
	}
	return Credentials{*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken, *c.Expiration}, nil
}
