package kvindex

import (
	"context"
	"errors"

	"github.com/trinedb/trine/schema"
)

var errSkeleton = errors.New("not yet built")

func (x *Index) Stage(pos schema.Position, groups []schema.Group) {}
func (x *Index) Publish(c *schema.Chunk)                          {}
func (x *Index) Discard(from schema.Position)                     {}
func (x *Index) Apply(ctx context.Context, c *schema.Chunk) error { return errSkeleton }
func (x *Index) NextSeq(ctx context.Context, inst schema.Instance) (schema.Seq, error) {
	return 0, errSkeleton
}
func (x *Index) Answer(ctx context.Context, key schema.DedupKey) (schema.Answer, bool, error) {
	return schema.Answer{}, false, errSkeleton
}
func (x *Index) Get(ctx context.Context, inst schema.Instance, key []byte) (row []byte, ok bool, err error) {
	return nil, false, errSkeleton
}
func (x *Index) GetRow(ctx context.Context, inst schema.Instance, key []byte) (row Row, ok bool, err error) {
	return Row{}, false, errSkeleton
}
func (x *Index) GetSequenced(inst schema.Instance, key []byte) (row []byte, ok bool, err error) {
	return nil, false, errSkeleton
}
func (x *Index) GetMany(ctx context.Context, inst schema.Instance, keys [][]byte, fn func(i int, row []byte)) error {
	return errSkeleton
}
func (x *Index) GetManyRows(ctx context.Context, inst schema.Instance, keys [][]byte, fn func(i int, row Row, ok bool)) error {
	return errSkeleton
}
func (x *Index) Range(ctx context.Context, inst schema.Instance, r KeyRange, fn func(key, row []byte) (more bool, err error)) error {
	return errSkeleton
}
func (x *Index) RangeRows(ctx context.Context, inst schema.Instance, r KeyRange, fn func(key []byte, row Row) (more bool, err error)) error {
	return errSkeleton
}
func (x *Index) Stats(ctx context.Context, inst schema.Instance) (Stats, error) {
	return Stats{}, errSkeleton
}
func (x *Index) Dirty(ctx context.Context, fn func(inst schema.Instance, s Stats) (more bool, err error)) error {
	return errSkeleton
}
func (x *Index) Groups(ctx context.Context, inst schema.Instance, from schema.Seq, fn func(GroupRef) (more bool, err error)) error {
	return errSkeleton
}
func (x *Index) GroupsBackward(ctx context.Context, inst schema.Instance, before schema.Seq, fn func(GroupRef) (more bool, err error)) error {
	return errSkeleton
}
func (x *Index) GroupAt(ctx context.Context, inst schema.Instance, timeMicros int64) (GroupRef, bool, error) {
	return GroupRef{}, false, errSkeleton
}
func (x *Index) Locate(ctx context.Context, inst schema.Instance, keys [][]byte, fn func(i int, loc Location, ok bool)) error {
	return errSkeleton
}
func (x *Index) RecordFlush(ctx context.Context, inst schema.Instance, f Flush) error {
	return errSkeleton
}
func (x *Index) Drop(ctx context.Context, inst schema.Instance) error { return errSkeleton }
