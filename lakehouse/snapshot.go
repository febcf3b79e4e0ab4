package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// Snapshot is one version of a table. It is immutable and safe for concurrent
// use; its files stay readable as long as upkeep does not expire them.
type Snapshot struct {
	lake      *Lake
	table     tablePath
	version   int
	raw       []byte // the metadata file
	meta      table.Metadata
	id        int64
	time      time.Time
	progress  progress
	manifests []*manifest
	files     []tableFile // by ascending ordinal
	order     []int       // of files, as they are read; nil: as they are
	weight    int64       // bytes in memory, about
	gone      bool        // the table is withdrawn by it; without meta: its files are gone too
}

// tableFile is a data file with its delete file, if it has one.
type tableFile struct {
	data    *entry
	deletes *entry
}

func (f *tableFile) rows() int64 { return f.data.file.Count() }

func (f *tableFile) deleted() int64 {
	if f.deletes == nil {
		return 0
	}
	return f.deletes.file.Count()
}

// DataFile is a file of rows in a table.
type DataFile struct {
	Ordinal uint32 // dense per table, never given out again
	URI     string // where engines find it
	Rows    int64  // as written
	Deleted int64  // of these, how many are gone
	Bytes   int64
	// DeletesURI is where engines find which ones, "" if none; in a table of format
	// version 3 one object can have those of several files.
	DeletesURI string
}

// ID is Iceberg's snapshot id.
func (s *Snapshot) ID() int64 { return s.id }

// Time is when the snapshot was committed, in milliseconds.
func (s *Snapshot) Time() time.Time { return s.time }

// NextSeq says that the table holds the changes below it.
func (s *Snapshot) NextSeq() schema.Seq { return s.progress.nextSeq }

// Position is the log position that NextSeq belongs to.
func (s *Snapshot) Position() schema.Position { return s.progress.position }

// Files are the table's data files by ascending ordinal.
func (s *Snapshot) Files() []DataFile {
	files := make([]DataFile, len(s.files))
	for i := range s.files {
		f := &s.files[i]
		files[i] = DataFile{
			Ordinal: f.data.ordinal, URI: f.data.file.FilePath(),
			Rows: f.rows(), Deleted: f.deleted(), Bytes: f.data.file.FileSizeBytes(),
		}
		if f.deletes != nil {
			files[i].DeletesURI = f.deletes.file.FilePath()
		}
	}
	return files
}

// Rows is the number of rows: those written less those deleted.
func (s *Snapshot) Rows() int64 {
	var n int64
	for i := range s.files {
		n += s.files[i].rows() - s.files[i].deleted()
	}
	return n
}

// Bytes is the size of the data and delete files.
func (s *Snapshot) Bytes() int64 {
	var n int64
	for i := range s.files {
		n += s.files[i].data.file.FileSizeBytes()
		if d := s.files[i].deletes; d != nil {
			n += d.bytes()
		}
	}
	return n
}

// Location is the URI of the table's folder.
func (s *Snapshot) Location() string { return s.lake.uri(string(s.table)) }

// MetadataLocation is the URI of the version's metadata file.
func (s *Snapshot) MetadataLocation() string { return s.lake.uri(s.table.version(s.version)) }

// Metadata is the version's metadata file, Iceberg's JSON. The caller must not
// change it.
func (s *Snapshot) Metadata() []byte { return s.raw }

// Deleted are the rows of a data file that are gone, ascending. The caller
// must not change them. schema.ErrNotFound: the table has no such file.
func (s *Snapshot) Deleted(ctx context.Context, file uint32) ([]uint32, error) {
	f := s.file(file)
	if f == nil {
		return nil, fmt.Errorf("data file %d: %w", file, schema.ErrNotFound)
	}
	return s.lake.deletedRows(ctx, f.deletes)
}

// file finds a data file, or nil.
func (s *Snapshot) file(ordinal uint32) *tableFile {
	i, found := slices.BinarySearchFunc(s.files, ordinal, func(f tableFile, o uint32) int {
		return int(int64(f.data.ordinal) - int64(o))
	})
	if !found {
		return nil
	}
	return &s.files[i]
}

// At is an older version of the table: the snapshot by that id, if the
// metadata still names it, else schema.ErrNotFound. It can be read, but no
// commit can follow it.
func (s *Snapshot) At(ctx context.Context, id int64) (*Snapshot, error) {
	if id == s.id {
		return s, nil
	}
	snap := s.meta.SnapshotByID(id)
	if snap == nil {
		return nil, fmt.Errorf("snapshot %d: %w", id, schema.ErrNotFound)
	}
	old := &Snapshot{lake: s.lake, table: s.table, version: pastVersion, raw: s.raw, meta: s.meta}
	return old, old.fill(ctx, snap)
}

// pastVersion marks a Snapshot that was reached through a newer version's
// metadata; no commit can be based on it.
const pastVersion = -1

// progress is what a snapshot's summary says of the log.
type progress struct {
	nextSeq     schema.Seq
	position    schema.Position
	instance    schema.Instance
	nextFile    uint32 // ordinal of the next file that a flush writes
	nextRewrite uint32 // of the next that compaction writes
}

// rewriteOrdinals is the first ordinal of files that compaction writes. They
// are numbered apart, so that flushes and one compaction need not wait for each
// other to number theirs.
const rewriteOrdinals = 1 << 31

// The summary properties that are Trine's.
const (
	propNextSeq     = "trine.next-seq"
	propPosition    = "trine.position"
	propInstance    = "trine.instance"
	propNextFile    = "trine.next-file"
	propNextRewrite = "trine.next-rewrite"
	propCommitted   = "trine.committed-ms" // of the table: when this version was made
	propCollection  = "trine.collection"
)

func parseProgress(p iceberg.Properties) (progress, error) {
	seq, err1 := strconv.ParseUint(p[propNextSeq], 10, 64)
	position, err2 := schema.ParsePosition(p[propPosition])
	instance, err3 := strconv.ParseUint(p[propInstance], 16, 64)
	file, err4 := strconv.ParseUint(p[propNextFile], 10, 32)
	rewrite, err5 := uint64(rewriteOrdinals), error(nil)
	if text, ok := p[propNextRewrite]; ok {
		rewrite, err5 = strconv.ParseUint(text, 10, 32)
	}
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return progress{}, fmt.Errorf("snapshot summary, perhaps of another writer's commit: %w: %w", schema.ErrCorrupt, err)
	}
	if file > rewriteOrdinals || rewrite < rewriteOrdinals {
		return progress{}, fmt.Errorf("snapshot summary: next files are %d and %d: %w", file, rewrite, schema.ErrCorrupt)
	}
	return progress{schema.Seq(seq), position, schema.Instance(instance), uint32(file), uint32(rewrite)}, nil
}

func (p progress) addTo(props iceberg.Properties) {
	props[propNextSeq] = strconv.FormatUint(uint64(p.nextSeq), 10)
	props[propPosition] = p.position.String()
	props[propInstance] = fmt.Sprintf("%016x", uint64(p.instance))
	props[propNextFile] = strconv.FormatUint(uint64(p.nextFile), 10)
	props[propNextRewrite] = strconv.FormatUint(uint64(p.nextRewrite), 10)
}

// load reads a version back.
func (l *Lake) load(ctx context.Context, c *schema.Collection, path tablePath, version int) (_ *Snapshot, err error) {
	defer damage(&err)
	name := path.version(version)
	raw, err := l.opts.Objects.Get(ctx, name)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, fmt.Errorf("read %s: dropped meanwhile: %w", name, schema.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, storeError(err))
	}
	meta, err := table.ParseMetadataBytes(raw)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w: %w", name, schema.ErrCorrupt, err)
	}
	current := meta.CurrentSnapshot()
	if current == nil {
		return nil, fmt.Errorf("parse %s: no current snapshot: %w", name, schema.ErrCorrupt)
	}
	s := &Snapshot{lake: l, table: path, version: version, raw: raw, meta: meta, gone: withdraws(meta)}
	if err := s.fill(ctx, current); err != nil {
		return nil, err
	}
	if s.progress.instance != c.Instance {
		return nil, fmt.Errorf("%s belongs to instance %d, not %d: %w", name, s.progress.instance, c.Instance, schema.ErrCorrupt)
	}
	return s, nil
}

// fill reads what a snapshot consists of.
func (s *Snapshot) fill(ctx context.Context, snap *table.Snapshot) error {
	if snap.Summary == nil {
		return fmt.Errorf("snapshot %d has no summary: %w", snap.SnapshotID, schema.ErrCorrupt)
	}
	p, err := parseProgress(snap.Summary.Properties)
	if err != nil {
		return err
	}
	manifests, err := s.lake.readManifests(ctx, snap.ManifestList)
	if err != nil {
		return err
	}
	s.id, s.time, s.progress, s.manifests = snap.SnapshotID, time.UnixMilli(snap.TimestampMs), p, manifests
	return s.index()
}

// index orders the entries of the manifests and pairs delete files with their
// data files.
func (s *Snapshot) index() error {
	if err := s.placePartitions(); err != nil {
		return err
	}
	if err := s.pairVectors(); err != nil {
		return fmt.Errorf("snapshot %d: %w", s.id, err)
	}
	deletes := map[uint32]*entry{} // by ordinal of the data file
	for _, m := range s.manifests {
		for _, e := range m.entries {
			if e.file.ContentType() == iceberg.EntryContentData {
				s.files = append(s.files, tableFile{data: e})
				continue
			}
			// Two delete files of one data file would make rows come back when
			// one of them is superseded.
			if deletes[e.ordinal] != nil {
				return fmt.Errorf("snapshot %d: data file %d has two delete files: %w", s.id, e.ordinal, schema.ErrCorrupt)
			}
			deletes[e.ordinal] = e
		}
	}
	slices.SortFunc(s.files, func(a, b tableFile) int { return int(int64(a.data.ordinal) - int64(b.data.ordinal)) })
	for i := range s.files {
		f := &s.files[i]
		if i > 0 && s.files[i-1].data.ordinal == f.data.ordinal {
			return fmt.Errorf("snapshot %d: two data files have ordinal %d: %w", s.id, f.data.ordinal, schema.ErrCorrupt)
		}
		if f.deletes = deletes[f.data.ordinal]; f.deletes != nil {
			if err := f.checkDeletes(); err != nil {
				return fmt.Errorf("snapshot %d: %w", s.id, err)
			}
			delete(deletes, f.data.ordinal)
		}
	}
	for ordinal := range deletes {
		return fmt.Errorf("snapshot %d: deletes of data file %d, which the table lacks: %w", s.id, ordinal, schema.ErrCorrupt)
	}
	s.order = readOrder(s.files)
	const perFile, perTable, parsed = 2 << 10, 8 << 10, 4
	s.weight = perTable + parsed*int64(len(s.raw)) + perFile*int64(len(s.files))
	for i := range s.files {
		s.weight += 4 * s.files[i].deleted()
	}
	return nil
}
