package s3

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// Config says where a store lies. It holds no secrets and can be logged.
type Config struct {
	Bucket    string // name; Express: base--zone--x-s3
	Prefix    string // of all keys, without a slash at either end; may be empty
	Express   bool   // a directory bucket of S3 Express One Zone
	Region    string // default: the SDK's chain; with an Endpoint us-east-1
	Endpoint  string // scheme://host[:port] of another server; default: AWS
	PathStyle bool   // the bucket in the path instead of the host name
}

// expressSuffix ends the name of every directory bucket, and only those.
const expressSuffix = "--x-s3"

// maxPrefixBytes leaves room for the longest name in a key of 1,024 bytes, and
// for the probe's.
const maxPrefixBytes = 1024 - blob.MaxNameBytes - 1

// parameters are what a store's URL may say after its question mark.
var parameters = []string{"endpoint", "path_style", "region"}

// Parse reads a store's URL:
//
//	s3://bucket/prefix?region=eu-central-1
//	s3://bucket/prefix?endpoint=http://127.0.0.1:7070&path_style=true
//	s3express://base--use1-az4--x-s3/prefix
//
// Its errors are of the kind schema.ErrInvalid.
func Parse(text string) (Config, error) {
	c, err := parse(text)
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		return Config{}, fmt.Errorf("store URL: %w: %w", err, schema.ErrInvalid)
	}
	return c, nil
}

func parse(text string) (c Config, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return c, fmt.Errorf("not a URL") // err quotes it, and it may hold a password
	}
	switch u.Scheme {
	case "s3":
	case "s3express":
		c.Express = true
	default:
		return c, fmt.Errorf("scheme %q: want s3 or s3express", u.Scheme)
	}
	if u.User != nil {
		return c, fmt.Errorf("has a user or a password: credentials come from the environment, from ~/.aws or from the machine's role")
	}
	if u.Port() != "" {
		return c, fmt.Errorf("bucket %q has a port: name another server by the parameter endpoint", u.Host)
	}
	if u.Fragment != "" {
		return c, fmt.Errorf("has a fragment, #%s", u.Fragment)
	}
	c.Bucket, c.Prefix = u.Host, strings.Trim(u.Path, "/")
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return c, fmt.Errorf("parameters %q: %w", u.RawQuery, err)
	}
	for key, values := range query {
		if !slices.Contains(parameters, key) {
			return c, fmt.Errorf("unknown parameter %q: want one of %s", key, strings.Join(parameters, ", "))
		}
		if len(values) != 1 || values[0] == "" {
			return c, fmt.Errorf("parameter %s: want one value, not %d or an empty one", key, len(values))
		}
	}
	c.Region, c.Endpoint = query.Get("region"), strings.TrimSuffix(query.Get("endpoint"), "/")
	if v := query.Get("path_style"); v != "" {
		if c.PathStyle, err = strconv.ParseBool(v); err != nil {
			return c, fmt.Errorf("parameter path_style: %q: want true or false", v)
		}
	}
	return c, nil
}

// Validate reports what is wrong with a Config.
func (c Config) Validate() error {
	if c.Bucket == "" {
		return fmt.Errorf("no bucket: want s3://bucket/prefix")
	}
	if is := strings.HasSuffix(c.Bucket, expressSuffix); is != c.Express {
		if is {
			return fmt.Errorf("bucket %s is a directory bucket: its scheme is s3express", c.Bucket)
		}
		return fmt.Errorf("bucket %s is not a directory bucket, whose names end with --<zone>%s: its scheme is s3", c.Bucket, expressSuffix)
	}
	if c.Express && len(strings.Split(c.Bucket, "--")) < 3 {
		return fmt.Errorf("bucket %s names no zone: want <base>--<zone>%s", c.Bucket, expressSuffix)
	}
	if c.Express && c.PathStyle {
		return fmt.Errorf("path_style: S3 Express has no such requests")
	}
	if c.Prefix != "" {
		if err := blob.CheckName(c.Prefix); err != nil {
			return fmt.Errorf("prefix: %w", err)
		}
	}
	if len(c.Prefix) > maxPrefixBytes {
		return fmt.Errorf("prefix of %d bytes: at most %d", len(c.Prefix), maxPrefixBytes)
	}
	if c.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("endpoint: want http://host[:port] or https://host[:port], without a path or a password")
	}
	return nil
}

// String is the URL of the store, which Parse reads.
func (c Config) String() string {
	u := url.URL{Scheme: "s3", Host: c.Bucket, Path: "/" + c.Prefix}
	if c.Express {
		u.Scheme = "s3express"
	}
	query := url.Values{}
	if c.Region != "" {
		query.Set("region", c.Region)
	}
	if c.Endpoint != "" {
		query.Set("endpoint", c.Endpoint)
	}
	if c.PathStyle {
		query.Set("path_style", "true")
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// Under is the store in a folder below this one, as a node keeps its log and its
// lake apart. Validate tells whether the prefix became too long.
func (c Config) Under(folder string) Config {
	c.Prefix = c.key(folder)
	return c
}

// BaseURI is the store as engines that read the lake write it in object names:
// s3://bucket/prefix, for Express too.
func (c Config) BaseURI() string {
	return "s3://" + c.Bucket + strings.TrimSuffix("/"+c.Prefix, "/")
}

// key is the key of an object. Names that it gets were checked.
func (c Config) key(name string) string {
	if c.Prefix == "" {
		return name
	}
	return c.Prefix + "/" + name
}
