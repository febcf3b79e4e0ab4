package sync

import (
	"context"
	"fmt"

	"github.com/zeebo/xxh3"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// version is the last change of a key, as a hash.
type version struct {
	seq     schema.Seq
	sum     uint64
	deleted bool
	seen    bool // in the store that is being compared
}

// keyID is a hash of a key, wide enough to be taken for the key.
type keyID = xxh3.Uint128

func keyOf(key []byte) keyID { return xxh3.Hash128(key) }

// keyed compares the lake at its seq, folds on, and compares the index. Where the
// log was trimmed, rows that it does not touch any more are the lake's: they have
// to be the index's too.
func (v *verifier) keyed(ctx context.Context) (err error) {
	if v.first, err = v.engine.firstSeq(ctx, v.c.Instance); err != nil {
		return err
	}
	snap, err := v.snapshot(ctx)
	if err != nil {
		return err
	}
	versions := map[keyID]*version{}
	from := max(v.first, nextSeqOf(snap))
	if v.lone = v.first > 0 && snap == nil; snap != nil {
		if err := v.foldVersions(ctx, versions, v.first, from); err != nil {
			return err
		}
		if err := v.keyedLake(ctx, snap, versions); err != nil {
			return err
		}
	}
	next, err := v.engine.log.NextSeq(ctx, v.c.Instance)
	if err != nil {
		return err
	}
	if err := v.foldVersions(ctx, versions, from, next); err != nil {
		return err
	}
	v.report.Changes = next - v.first
	for _, known := range versions {
		known.seen = false
		if !known.deleted {
			v.report.Rows++
		}
	}
	if err := v.keyedIndex(ctx, versions, next); err != nil {
		return err
	}
	if err := v.secondaries(ctx); err != nil {
		return err
	}
	return v.counts(ctx, next, v.report.Rows)
}

// secondaries compares the entries of secondary indexes with the rows of the
// index, which are compared with the log by themselves.
func (v *verifier) secondaries(ctx context.Context) error {
	_, err := v.engine.index.VerifySecondaries(ctx, v.c.Instance, func(d kvindex.EntryDifference) error {
		row := fmt.Sprintf("%s by %s", v.keyText(d.Key), d.Index)
		if d.Lacks {
			v.report.differ("index", row, "an entry", "absent")
		} else {
			v.report.differ("index", row, "absent", fmt.Sprintf("entry %x", d.Entry))
		}
		return nil
	})
	return err
}

func (v *verifier) foldVersions(ctx context.Context, versions map[keyID]*version, from, to schema.Seq) error {
	end, err := v.engine.someChanges(ctx, v.c.Instance, from, to, func(ch schema.Change) (bool, error) {
		id := keyOf(ch.Key)
		if err := v.image(ctx, &ch, versions[id]); err != nil {
			return false, err
		}
		now, err := v.versionOf(ctx, ch)
		versions[id] = now
		return true, err
	})
	if err == nil && end != to {
		v.report.differ("index", fmt.Sprintf("seq %d", end), fmt.Sprintf("changes below %d", to), "no pointer to the log")
	}
	return err
}

// image compares a change's before image with what the change before left of the
// key; nil: there is none, or it is not in the log any more.
func (v *verifier) image(ctx context.Context, ch *schema.Change, was *version) error {
	if len(ch.Before) == 0 || was == nil {
		return nil
	}
	sum, err := v.sumRow(ctx, ch.Before)
	if err == nil && (was.deleted || was.sum != sum) {
		want := fmt.Sprintf("the row of seq %d before it", was.seq)
		if was.deleted {
			want = fmt.Sprintf("no row before it since seq %d", was.seq)
		}
		v.report.differ("log", fmt.Sprintf("seq %d", ch.Seq), want, fmt.Sprintf("row %016x", sum))
	}
	return err
}

func (v *verifier) versionOf(ctx context.Context, ch schema.Change) (*version, error) {
	if ch.Op == schema.OpDelete {
		return &version{seq: ch.Seq, deleted: true}, nil
	}
	sum, err := v.sumRow(ctx, ch.Row)
	return &version{seq: ch.Seq, sum: sum}, err
}

func (v *verifier) keyedLake(ctx context.Context, snap *lakehouse.Snapshot, versions map[keyID]*version) error {
	v.report.LakeSeq = snap.NextSeq()
	var key []byte
	err := v.lakeRows(ctx, snap, func(values []schema.Value, seq schema.Seq) error {
		v.report.LakeRows++
		key = v.c.Schema.AppendKey(key[:0], values)
		known := versions[keyOf(key)]
		got := fmt.Sprintf("seq %d row %016x", seq, v.sum(values))
		if known == nil && seq < v.first {
			versions[keyOf(key)] = &version{seq: seq, sum: v.sum(values), seen: true}
			return nil
		}
		switch {
		case known == nil || known.deleted:
			v.report.differ("lake", v.keyText(key), "absent", got)
		case known.seen:
			v.report.differ("lake", v.keyText(key), "one row", "the key twice, here "+got)
		case known.seq != seq || known.sum != v.sum(values):
			v.report.differ("lake", v.keyText(key), fmt.Sprintf("seq %d row %016x", known.seq, known.sum), got)
			known.seen = true
		default:
			known.seen = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, known := range versions {
		if !known.deleted && !known.seen {
			v.report.differ("lake", fmt.Sprintf("seq %d", known.seq), "a row", "absent")
		}
	}
	return v.places(ctx, snap)
}

// places compares the index's places of rows with where the table holds them.
func (v *verifier) places(ctx context.Context, snap *lakehouse.Snapshot) error {
	stats, err := v.engine.index.Stats(ctx, v.c.Instance)
	if err != nil || stats.LakeSnapshot != snap.ID() {
		return err // a flush came between, or the next scan reconciles
	}
	var wrong []Difference
	for _, file := range snap.Files() {
		err := snap.ReadKeys(ctx, v.c.Schema, file.Ordinal, func(row uint32, parts []schema.Value) error {
			key := v.c.Schema.AppendKeyParts(nil, parts)
			want := kvindex.Location{File: file.Ordinal, Row: row}
			return v.engine.index.Locate(ctx, v.c.Instance, [][]byte{key}, func(_ int, got kvindex.Location, ok bool) {
				if !ok {
					wrong = append(wrong, Difference{Row: v.keyText(key), Want: place(want), Got: "no place"})
				} else if got != want {
					wrong = append(wrong, Difference{Row: v.keyText(key), Want: place(want), Got: place(got)})
				}
			})
		})
		if err != nil {
			return err
		}
	}
	// The index is told of new places once they are current, so that as long as
	// this snapshot is, none of another were among them.
	again, err := v.engine.currentSnapshot(ctx, v.c)
	if err != nil || again == nil || again.ID() != snap.ID() {
		return err
	}
	for _, d := range wrong {
		v.report.differ("index", d.Row, d.Want, d.Got)
	}
	return nil
}

// suspect is a key whose row in the index is not what the fold says.
type suspect struct {
	text   string
	want   string
	got    string
	sum    uint64
	absent bool
}

func (v *verifier) keyedIndex(ctx context.Context, versions map[keyID]*version, next schema.Seq) error {
	suspects := map[keyID]suspect{}
	err := v.engine.index.RangeRows(ctx, v.c.Instance, kvindex.KeyRange{}, func(key []byte, row kvindex.Row) (bool, error) {
		sum, err := v.sumRow(ctx, row.Bytes)
		if err != nil {
			return false, fmt.Errorf("row of %s: %w", v.keyText(key), err)
		}
		known := versions[keyOf(key)]
		if known != nil {
			known.seen = true
		}
		if known == nil && v.lone && row.Seq < v.first {
			v.report.Rows++
			return true, nil // nothing else has it
		}
		if known == nil || known.deleted || known.sum != sum {
			want := "absent"
			if known != nil && !known.deleted {
				want = fmt.Sprintf("seq %d row %016x", known.seq, known.sum)
			}
			suspects[keyOf(key)] = suspect{text: v.keyText(key), want: want, got: fmt.Sprintf("row %016x", sum), sum: sum}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for id, known := range versions {
		if !known.deleted && !known.seen {
			suspects[id] = suspect{text: fmt.Sprintf("the key of seq %d", known.seq), want: "a row", got: "absent", absent: true}
		}
	}
	return v.clear(ctx, suspects, next)
}

// clear reports the suspects that no change since explains.
func (v *verifier) clear(ctx context.Context, suspects map[keyID]suspect, from schema.Seq) error {
	if len(suspects) > 0 {
		_, err := v.engine.changes(ctx, v.c.Instance, from, seqEnd, func(ch schema.Change) (bool, error) {
			s, ok := suspects[keyOf(ch.Key)]
			if !ok {
				return true, nil
			}
			now, err := v.versionOf(ctx, ch)
			if err == nil && now.deleted == s.absent && (s.absent || now.sum == s.sum) {
				delete(suspects, keyOf(ch.Key))
			}
			return true, err
		})
		if err != nil {
			return err
		}
	}
	for _, s := range suspects {
		v.report.differ("index", s.text, s.want, s.got)
	}
	return nil
}

// keyText is a key as a user would write it.
func (v *verifier) keyText(key []byte) string {
	parts, err := v.c.Schema.DecodeKey(key, nil)
	if err != nil {
		return fmt.Sprintf("key %x", key)
	}
	text := []byte("key [")
	for i, t := range v.c.Schema.KeyTypes() {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = schema.AppendText(text, t, parts[i])
	}
	return string(append(text, ']'))
}
