package lakehouse

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync/atomic"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/schema"
)

// maxManifestEntries is how many files one manifest holds: what a commit that
// adds one file rewrites at most, about 5 KB and a millisecond.
const maxManifestEntries = 256

// entry is a file of the table as its manifest has it: a data file, or the deletes
// of one, in a file of their own or in one that they share. It is immutable once a
// snapshot has it, but for rows, which is a cache.
type entry struct {
	file     iceberg.DataFile
	spec     *partitionSpec
	part     tuple      // of its spec
	ordinal  uint32     // of the data file
	unpaired bool       // a deletion vector whose data file was not looked for yet
	firstSeq schema.Seq // of a data file: its lowest _seq, 0 if the bounds do not tell, the last if there is none
	snapshot int64      // that added it
	seq      int64      // data sequence number
	fileSeq  int64
	rows     atomic.Pointer[[]uint32] // of deletes: the positions, once they were read
}

// manifest is a manifest file with its live entries. It is immutable.
type manifest struct {
	file    iceberg.ManifestFile
	entries []*entry
}

// readManifests loads a snapshot's manifests.
func (l *Lake) readManifests(ctx context.Context, list string) (manifests []*manifest, err error) {
	defer damage(&err)
	raw, err := l.readURI(ctx, list)
	if err != nil {
		return nil, err
	}
	files, err := iceberg.ReadManifestList(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read manifest list %s: %w: %w", list, schema.ErrCorrupt, err)
	}
	for _, f := range files {
		m, err := l.readManifest(ctx, f)
		if err != nil {
			return nil, err
		}
		manifests = append(manifests, m)
	}
	return manifests, nil
}

func (l *Lake) readManifest(ctx context.Context, f iceberg.ManifestFile) (*manifest, error) {
	raw, err := l.readURI(ctx, f.FilePath())
	if err != nil {
		return nil, err
	}
	return parseManifest(f, raw)
}

func parseManifest(f iceberg.ManifestFile, raw []byte) (_ *manifest, err error) {
	defer damage(&err)
	entries, err := iceberg.ReadManifest(f, bytes.NewReader(raw), true)
	if err != nil {
		return nil, fmt.Errorf("read manifest %s: %w: %w", f.FilePath(), schema.ErrCorrupt, err)
	}
	m := &manifest{file: f}
	for _, e := range entries {
		file := e.DataFile()
		if file.ContentType() == iceberg.EntryContentEqDeletes {
			return nil, fmt.Errorf("manifest %s: equality deletes are not Trine's: %w", f.FilePath(), schema.ErrUnsupported)
		}
		x := &entry{
			file: file, firstSeq: firstSeq(file),
			snapshot: e.SnapshotID(), seq: e.SequenceNum(), fileSeq: e.SequenceNum(),
		}
		if x.unpaired = file.FileFormat() == iceberg.PuffinFile; !x.unpaired {
			if x.ordinal, err = ordinalOf(file); err != nil {
				return nil, err
			}
		}
		if n := e.FileSequenceNum(); n != nil {
			x.fileSeq = *n
		}
		m.entries = append(m.entries, x)
	}
	return m, nil
}

func firstSeq(f iceberg.DataFile) schema.Seq {
	v, ok := decodeBound(schema.Type{Kind: schema.KindLong}, f.LowerBoundValues()[schema.SeqColumnID])
	if none := f.NullValueCounts()[schema.SeqColumnID] == f.Count(); none && f.Count() > 0 {
		return math.MaxInt64
	}
	if !ok || v.IsNull() {
		return 0
	}
	return schema.Seq(v.Int())
}

// manifestEdit is a manifest about to be written.
type manifestEdit struct {
	content  iceberg.ManifestContent
	existing []*entry
	deleted  []*entry
	added    []*entry
}

// spec is that of all entries, of which there is at least one.
func (e *manifestEdit) spec() *partitionSpec {
	for _, entries := range [][]*entry{e.existing, e.deleted} {
		if len(entries) > 0 {
			return entries[0].spec
		}
	}
	return e.added[0].spec
}

// encode writes the manifest for a commit, under the name it will have.
func (e *manifestEdit) encode(uri string, format int, s *iceberg.Schema, snapshot, seq int64) (iceberg.ManifestFile, []byte, error) {
	var buf bytes.Buffer
	w, err := iceberg.NewManifestWriter(format, &buf, e.spec().iceberg, s, snapshot,
		iceberg.WithManifestWriterContent(e.content))
	if err != nil {
		return nil, nil, fmt.Errorf("encode manifest: %w", err)
	}
	write := func(entries []*entry, status iceberg.ManifestEntryStatus, add func(iceberg.ManifestEntry) error) error {
		for _, x := range entries {
			if err := add(iceberg.NewManifestEntry(status, &x.snapshot, &x.seq, &x.fileSeq, x.file)); err != nil {
				return fmt.Errorf("encode manifest entry of %s: %w", x.file.FilePath(), err)
			}
		}
		return nil
	}
	if err := write(e.existing, iceberg.EntryStatusEXISTING, w.Existing); err != nil {
		return nil, nil, err
	}
	if err := write(e.deleted, iceberg.EntryStatusDELETED, w.Delete); err != nil {
		return nil, nil, err
	}
	for _, x := range e.added {
		// Sequence numbers of what this snapshot adds are left to be inherited.
		added := iceberg.NewManifestEntry(iceberg.EntryStatusADDED, &snapshot, nil, nil, x.file)
		if err := w.Add(added); err != nil {
			return nil, nil, fmt.Errorf("encode manifest entry of %s: %w", x.file.FilePath(), err)
		}
		x.snapshot, x.seq, x.fileSeq = snapshot, seq, seq
	}
	if err := w.Close(); err != nil {
		return nil, nil, fmt.Errorf("encode manifest: %w", err)
	}
	file, err := w.ToManifestFile(uri, int64(buf.Len()))
	if err != nil {
		return nil, nil, fmt.Errorf("describe manifest: %w", err)
	}
	return file, buf.Bytes(), nil
}

// editSpecs plans the manifests of one content. A manifest is of one partition spec.
func editSpecs(old []*manifest, content iceberg.ManifestContent, gone func(*entry) bool, added []*entry) (keep []*manifest, edits []*manifestEdit) {
	manifests, files := map[int][]*manifest{}, map[int][]*entry{}
	ids := map[int]bool{}
	for _, m := range old {
		id := int(m.file.PartitionSpecID())
		manifests[id], ids[id] = append(manifests[id], m), true
	}
	for _, e := range added {
		files[e.spec.id()], ids[e.spec.id()] = append(files[e.spec.id()], e), true
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		k, e := editManifests(manifests[id], content, gone, files[id])
		keep, edits = append(keep, k...), append(edits, e...)
	}
	return keep, edits
}

// editManifests plans the manifests of one content and spec: entries that are gone
// leave theirs, new ones join. Those at most half full are made one as far as
// they fit, so that there never are many: each but one or two holds more than
// half of what it may. A commit rewrites those that it changes, which it must, and
// one that was left at most half full before. keep are those that stay as they are.
func editManifests(old []*manifest, content iceberg.ManifestContent, gone func(*entry) bool, added []*entry) (keep []*manifest, edits []*manifestEdit) {
	pool := &manifestEdit{content: content, added: added}
	var open []*manifest // at most half full, and whole
	for _, m := range old {
		if m.file.ManifestContent() != content || len(m.entries) == 0 {
			continue
		}
		edit := &manifestEdit{content: content}
		for _, e := range m.entries {
			if gone(e) {
				edit.deleted = append(edit.deleted, e)
			} else {
				edit.existing = append(edit.existing, e)
			}
		}
		half := len(edit.existing) <= maxManifestEntries/2
		switch {
		case len(edit.deleted) == 0 && half:
			open = append(open, m)
		case len(edit.deleted) == 0:
			keep = append(keep, m)
		case half:
			pool.existing, pool.deleted = append(pool.existing, edit.existing...), append(pool.deleted, edit.deleted...)
		default:
			edits = append(edits, edit)
		}
	}
	if len(pool.added)+len(pool.deleted) == 0 && len(open) < 2 {
		return append(keep, open...), edits
	}
	for _, m := range open {
		pool.existing = append(pool.existing, m.entries...)
	}
	return keep, append(edits, pool.split()...)
}

// split makes edits of no more entries than a manifest may hold.
func (e *manifestEdit) split() (parts []*manifestEdit) {
	take := func(from *[]*entry, room int) []*entry {
		n := min(room, len(*from))
		taken := (*from)[:n:n]
		*from = (*from)[n:]
		return taken
	}
	for left := *e; len(left.existing)+len(left.added)+len(left.deleted) > 0; {
		part := &manifestEdit{content: e.content, deleted: left.deleted}
		left.deleted = nil
		part.existing = take(&left.existing, maxManifestEntries)
		part.added = take(&left.added, maxManifestEntries-len(part.existing))
		parts = append(parts, part)
	}
	return parts
}
