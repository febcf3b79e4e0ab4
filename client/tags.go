package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Tag is the name of a snapshot of a collection's table, which stays readable as
// long as the tag does.
type Tag struct {
	Name     string     `json:"name"`
	Snapshot int64      `json:"snapshot"`
	NextSeq  uint64     `json:"next_seq"` // the snapshot holds the changes below
	Time     time.Time  `json:"time"`     // of the snapshot
	End      *time.Time `json:"end"`      // when the tag goes by itself; nil: never
}

// TagOptions say which snapshot a tag names: by id, or by the last change that it
// holds; the zero value means the newest, brought up to date.
type TagOptions struct {
	Snapshot int64
	AtSeq    *uint64
}

// Tags are a table's, by name.
func (c *Client) Tags(ctx context.Context, ref Ref) ([]Tag, error) {
	var out struct {
		Tags []Tag `json:"tags"`
	}
	err := c.object(ctx, request{method: http.MethodGet, path: ref.path() + "/lake/tags", again: true}, &out)
	return out.Tags, err
}

// SetTag has a tag name a snapshot; one by that name is moved.
func (c *Client) SetTag(ctx context.Context, ref Ref, name string, o TagOptions) (Tag, error) {
	q := url.Values{}
	if o.Snapshot != 0 {
		q.Set("snapshot", strconv.FormatInt(o.Snapshot, 10))
	}
	if o.AtSeq != nil {
		q.Set("at_seq", strconv.FormatUint(*o.AtSeq, 10))
	}
	var out Tag
	err := c.object(ctx, request{method: http.MethodPut, path: ref.path() + "/lake/tags/" + url.PathEscape(name), query: q, again: true}, &out)
	return out, err
}

// RemoveTag removes a tag.
func (c *Client) RemoveTag(ctx context.Context, ref Ref, name string) error {
	return c.object(ctx, request{method: http.MethodDelete, path: ref.path() + "/lake/tags/" + url.PathEscape(name)}, nil)
}
