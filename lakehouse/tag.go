package lakehouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/schema"
)

// Limits of tags: each keeps its snapshot in every version's metadata, some 640
// bytes.
const (
	maxTags     = 100
	maxTagBytes = 128
)

// Tag names a snapshot, which stays readable as long as the tag does.
type Tag struct {
	Name     string
	Snapshot int64
	NextSeq  schema.Seq // the snapshot holds the changes below
	Time     time.Time  // of the snapshot
	End      time.Time  // when the tag goes by itself; zero: never
}

// Tags are the table's tags, by name.
func (s *Snapshot) Tags() ([]Tag, error) {
	refs := tagsOf(s.meta)
	tags := make([]Tag, 0, len(refs))
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		snap := s.meta.SnapshotByID(refs[name].SnapshotID)
		if snap == nil || snap.Summary == nil {
			return nil, fmt.Errorf("tag %q names snapshot %d, which the table lacks: %w", name, refs[name].SnapshotID, schema.ErrCorrupt)
		}
		p, err := parseProgress(snap.Summary.Properties)
		if err != nil {
			return nil, fmt.Errorf("tag %q: %w", name, err)
		}
		tag := Tag{Name: name, Snapshot: snap.SnapshotID, NextSeq: p.nextSeq, Time: time.UnixMilli(snap.TimestampMs)}
		tag.End, _ = s.lake.tagEnd(s.meta, refs[name])
		tags = append(tags, tag)
	}
	return tags, nil
}

// AtTag is At for the snapshot that a tag names.
func (s *Snapshot) AtTag(ctx context.Context, name string) (*Snapshot, error) {
	ref, ok := tagsOf(s.meta)[name]
	if !ok {
		return nil, fmt.Errorf("tag %q: %w", name, schema.ErrNotFound)
	}
	return s.At(ctx, ref.SnapshotID)
}

// AtSeq is the oldest snapshot that the version names and that holds all changes
// below next, and no other.
func (s *Snapshot) AtSeq(next schema.Seq) (id int64, err error) {
	for _, snap := range s.meta.Snapshots() {
		if snap.Summary == nil {
			continue
		}
		if p, err := parseProgress(snap.Summary.Properties); err == nil && p.nextSeq == next {
			return snap.SnapshotID, nil
		}
	}
	return 0, fmt.Errorf("no snapshot ends at seq %d: %w", next-1, schema.ErrNotFound)
}

// SetTag makes a version in which name is a tag of a snapshot that base names; if
// there is such a tag, it is moved. Errors are as Commit's; ErrInvalid also means that
// base does not name the snapshot.
func (l *Lake) SetTag(ctx context.Context, c *schema.Collection, base *Snapshot, name string, snapshot int64) (*Snapshot, error) {
	ref := &table.SnapshotRef{SnapshotID: snapshot, SnapshotRefType: table.TagRef}
	next, err := l.tag(ctx, c, base, name, ref)
	if err != nil {
		return nil, fmt.Errorf("tag the table of %s: %w", c, err)
	}
	return next, nil
}

// RemoveTag makes a version without the tag; ErrNotFound without it.
func (l *Lake) RemoveTag(ctx context.Context, c *schema.Collection, base *Snapshot, name string) (*Snapshot, error) {
	next, err := l.tag(ctx, c, base, name, nil)
	if err != nil {
		return nil, fmt.Errorf("remove tag of the table of %s: %w", c, err)
	}
	return next, nil
}

func (l *Lake) tag(ctx context.Context, c *schema.Collection, base *Snapshot, name string, ref *table.SnapshotRef) (*Snapshot, error) {
	if _, ok := tagsOf(base.meta)[name]; !ok && ref == nil {
		return nil, fmt.Errorf("tag %q: %w", name, schema.ErrNotFound)
	}
	change := map[string]*table.SnapshotRef{name: ref}
	if err := checkTags(base.meta, change, nil); err != nil {
		return nil, err
	}
	if old, ok := tagsOf(base.meta)[name]; ok && ref != nil && old.Equals(*ref) {
		return base, nil
	}
	return l.newTask(c, base).follow(ctx, edit{tags: change}, nil)
}

// tagsOf are the references that are tags.
func tagsOf(meta table.Metadata) map[string]table.SnapshotRef {
	tags := map[string]table.SnapshotRef{}
	for name, ref := range meta.Refs() {
		if ref.SnapshotRefType == table.TagRef {
			tags[name] = ref
		}
	}
	return tags
}

// checkTags refuses changes of tags that cannot be made; added is a snapshot that
// the same version brings, or nil.
func checkTags(meta table.Metadata, change map[string]*table.SnapshotRef, added *table.Snapshot) error {
	after := tagsOf(meta)
	for name, ref := range change {
		if ref == nil {
			if _, ok := after[name]; !ok {
				return fmt.Errorf("tag %q: the table has none by that name: %w", name, schema.ErrInvalid)
			}
			delete(after, name)
			continue
		}
		if err := checkTagName(name); err != nil {
			return err
		}
		known := meta.SnapshotByID(ref.SnapshotID) != nil || added != nil && added.SnapshotID == ref.SnapshotID
		if !known {
			return fmt.Errorf("tag %q: the table has no snapshot %d any more, or never had: %w", name, ref.SnapshotID, schema.ErrInvalid)
		}
		after[name] = *ref
	}
	if len(after) > maxTags && len(change) > 0 {
		return fmt.Errorf("%d tags, of which a table has at most %d: remove one: %w", len(after), maxTags, schema.ErrTooLarge)
	}
	return nil
}

// checkTagName refuses names that could be taken for something else.
func checkTagName(name string) error {
	rule := ""
	switch _, err := strconv.ParseInt(name, 10, 64); {
	case name == "" || len(name) > maxTagBytes:
		rule = fmt.Sprintf("a tag's name has 1 to %d bytes", maxTagBytes)
	case !utf8.ValidString(name) || slices.ContainsFunc([]rune(name), func(r rune) bool { return !unicode.IsGraphic(r) }):
		rule = "a tag's name is of characters that can be printed"
	case name == table.MainBranch:
		rule = "main is the table's one branch"
	case err == nil:
		rule = "a number would be taken for a snapshot's id"
	default:
		return nil
	}
	return &schema.FieldError{Field: "tag", Value: name, Rule: rule}
}
