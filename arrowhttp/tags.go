package arrowhttp

import (
	"context"
	"net/http"
	"time"

	"github.com/trinedb/trine/schema"
)

// Tags name snapshots of a collection's table, which stay readable as long as the
// tag does.
type Tags interface {
	// Tags are a table's, by name; schema.ErrNotFound without a table.
	Tags(ctx context.Context, c *schema.Collection) ([]Tag, error)
	// SetTag has a tag name a snapshot, and tells it; one by that name is moved.
	SetTag(ctx context.Context, c *schema.Collection, name string, at TagAt) (Tag, error)
	// RemoveTag removes a tag; schema.ErrNotFound if there is none by that name.
	RemoveTag(ctx context.Context, c *schema.Collection, name string) error
}

// TagAt says which snapshot a tag is to name: that by id, or that which holds the
// changes to a seq and no others, or if neither is given the newest, brought up to
// date.
type TagAt struct {
	Snapshot int64 // 0: not given
	AtSeq    *schema.Seq
}

// Tag is a snapshot's name.
type Tag struct {
	Name     string     `json:"name"`
	Snapshot int64      `json:"snapshot"`
	NextSeq  schema.Seq `json:"next_seq"` // the snapshot holds the changes below
	Time     time.Time  `json:"time"`     // of the snapshot
	End      *time.Time `json:"end"`      // when the tag goes by itself; null: never
}

// getTags answers GET C/lake/tags.
func getTags(q *request) error {
	c, err := q.collection()
	if err != nil {
		return err
	}
	tags, err := q.s.backend.Tags.Tags(q.ctx(), c)
	if err != nil {
		return err
	}
	if tags == nil {
		tags = []Tag{}
	}
	return q.object(http.StatusOK, map[string]any{"tags": tags})
}

// putTag answers PUT C/lake/tags/{tag}.
func putTag(q *request) error {
	c, err := q.collection()
	if err != nil {
		return err
	}
	var at TagAt
	if at.Snapshot, err = q.number("snapshot", 0, 1, most); err != nil {
		return err
	}
	if at.AtSeq, err = q.atSeq(); err != nil {
		return err
	}
	if at.AtSeq != nil && at.Snapshot != 0 {
		return invalid("parameters at_seq and snapshot: each names a state of its own; give one")
	}
	tag, err := q.s.backend.Tags.SetTag(q.ctx(), c, q.param("tag"), at)
	if err != nil {
		return err
	}
	return q.object(http.StatusOK, tag)
}

// deleteTag answers DELETE C/lake/tags/{tag}.
func deleteTag(q *request) error {
	c, err := q.collection()
	if err != nil {
		return err
	}
	if err := q.s.backend.Tags.RemoveTag(q.ctx(), c, q.param("tag")); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// atSeq reads the parameter at_seq, nil if it is not given.
func (q *request) atSeq() (*schema.Seq, error) {
	if q.query.Get("at_seq") == "" {
		return nil, nil
	}
	n, err := q.number("at_seq", 0, 0, most)
	if err != nil {
		return nil, err
	}
	seq := schema.Seq(n)
	return &seq, nil
}
