package node

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/vend"
	"github.com/trinedb/trine/lakehouse/rest"
	"github.com/trinedb/trine/schema"
)

// EngineRole has the catalog hand out credentials for the lake's bucket to engines that
// ask for them: of a role, for the table's folder only.
type EngineRole struct {
	ARN string // "": none are handed out
	// Write lets engines put data files and manifests, as commits need.
	Write bool
	// Endpoint is of the Security Token Service; default AWS's.
	Endpoint string
}

// vendor is vend as the catalog sees it.
type vendor struct {
	vend   *vend.Vendor
	bucket string
	write  bool
}

// newVendor is nil if none is asked for.
func newVendor(ctx context.Context, o Options, lake s3.Config, region string) (rest.Vendor, error) {
	if o.EngineRole.ARN == "" {
		return nil, nil
	}
	if lake.Express {
		return nil, fmt.Errorf("role for engines: a directory bucket (%s) has no credentials for a part of it: %w", lake.Bucket, schema.ErrInvalid)
	}
	v, err := vend.New(ctx, vend.Options{
		RoleARN: o.EngineRole.ARN, Bucket: lake.Bucket, Region: region, Endpoint: o.EngineRole.Endpoint, Provider: o.S3.Credentials,
	})
	if err != nil {
		return nil, fmt.Errorf("role for engines: %w", err)
	}
	return vendor{v, lake.Bucket, o.EngineRole.Write}, nil
}

// Vend gives credentials as Iceberg's S3 properties.
func (v vendor) Vend(ctx context.Context, location string) (map[string]string, error) {
	prefix, ok := strings.CutPrefix(location, "s3://"+v.bucket+"/")
	if !ok || prefix == "" {
		return nil, fmt.Errorf("table at %s lies outside bucket %s: %w", location, v.bucket, schema.ErrCorrupt)
	}
	c, err := v.vend.Vend(ctx, prefix, v.write)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"s3.access-key-id": c.AccessKeyID, "s3.secret-access-key": c.SecretAccessKey, "s3.session-token": c.SessionToken,
		"s3.session-token-expires-at-ms": strconv.FormatInt(c.Expires.UnixMilli(), 10),
	}, nil
}
