package s3

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// List tells the names that begin with prefix and lie after the given one, in
// order of their bytes; one request for each 1,000. It sees what exists
// throughout, and may or may not see what comes or goes meanwhile. Keys that are
// no names of package blob are passed over.
//
// S3 Express lists in no order and from the beginning only: there all names
// below prefix's folder are read before the first is told, and sorted in
// memory. Of more than MaxListNames List fails with schema.ErrTooLarge.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.list(ctx, prefix, after, yield); err != nil {
			yield("", fmt.Errorf("list %s: %w", prefix, err))
		}
	}
}

func (s *Store) list(ctx context.Context, prefix, after string, yield func(string, error) bool) error {
	if folder := prefix[:strings.LastIndexByte(prefix, '/')+1]; folder != "" {
		if err := s.ready(ctx, strings.TrimSuffix(folder, "/")); err != nil {
			return err
		}
	}
	if s.c.Express {
		return s.listUnordered(ctx, prefix, after, yield)
	}
	last := after
	p := page{prefix: s.c.key(prefix), after: s.c.key(after)}
	if after == "" {
		p.after = ""
	}
	for {
		keys, err := s.nextPage(ctx, &p)
		if err != nil {
			return err
		}
		for _, key := range keys {
			name, ok := s.nameOf(key, prefix)
			if !ok || name <= after {
				continue
			}
			if name <= last {
				return fmt.Errorf("the store lists %s after %s: %w", name, last, schema.ErrUnsupported)
			}
			last = name
			if !yield(name, nil) {
				return nil
			}
		}
		if p.token == nil {
			return nil
		}
	}
}

// listUnordered reads all pages, and sorts.
func (s *Store) listUnordered(ctx context.Context, prefix, after string, yield func(string, error) bool) error {
	folder := s.c.key(prefix)
	p := page{prefix: folder[:strings.LastIndexByte(folder, '/')+1]} // Express wants a whole one
	var names []string
	for more := true; more; more = p.token != nil {
		keys, err := s.nextPage(ctx, &p)
		if err != nil {
			return err
		}
		for _, key := range keys {
			name, ok := s.nameOf(key, prefix)
			if !ok || name <= after {
				continue
			}
			if len(names) == s.o.MaxListNames {
				return fmt.Errorf("more than %d names to sort: list folder by folder: %w", s.o.MaxListNames, schema.ErrTooLarge)
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !yield(name, nil) {
			return nil
		}
	}
	return nil
}

// nameOf is the name of a key, if it is one and begins with prefix.
func (s *Store) nameOf(key, prefix string) (string, bool) {
	name, ok := strings.CutPrefix(key, s.c.key(""))
	return name, ok && strings.HasPrefix(name, prefix) && blob.CheckName(name) == nil
}

// page is where a listing has come to.
type page struct {
	prefix, after string
	token         *string // nil: at the beginning, or at the end
}

func (s *Store) nextPage(ctx context.Context, p *page) (keys []string, err error) {
	token := p.token
	f := s.do(ctx, request{
		verb: VerbList, idempotent: true,
		send: func(ctx context.Context, _ *try) error {
			in := &awss3.ListObjectsV2Input{
				Bucket: aws.String(s.c.Bucket), Prefix: aws.String(p.prefix), ContinuationToken: token,
				EncodingType: types.EncodingTypeUrl, // XML cannot hold every character
			}
			if p.after != "" && token == nil {
				in.StartAfter = aws.String(p.after)
			}
			out, err := s.client.ListObjectsV2(ctx, in)
			if err != nil {
				return err
			}
			keys = make([]string, 0, len(out.Contents))
			for _, object := range out.Contents {
				key := aws.ToString(object.Key)
				if out.EncodingType == types.EncodingTypeUrl {
					if key, err = url.QueryUnescape(key); err != nil {
						return fmt.Errorf("listed key %q: %w", aws.ToString(object.Key), err)
					}
				}
				keys = append(keys, key)
			}
			p.token = nil
			if aws.ToBool(out.IsTruncated) {
				if p.token = out.NextContinuationToken; aws.ToString(p.token) == "" {
					return fmt.Errorf("the store cut a listing and gave no way on: %w", schema.ErrUnsupported)
				}
			}
			return nil
		},
	})
	if f != nil {
		return nil, readError(f)
	}
	return keys, nil
}
