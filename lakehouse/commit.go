package lakehouse

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"github.com/google/uuid"

	"github.com/trinedb/trine/schema"
)

// Row is one row to be written. Values are in the order of the collection's
// schema and need only be valid until the next Row is asked for.
type Row struct {
	Values     []schema.Value
	Seq        schema.Seq
	TimeMicros int64

	lineage lineage // of a row that moves
}

// Commit is the change from one version of a table to the next.
type Commit struct {
	Collection *schema.Collection
	Base       *Snapshot             // the version that this one follows; nil creates the table
	NextSeq    schema.Seq            // changes below it are in the table
	Position   schema.Position       // the log position that NextSeq belongs to
	Rows       iter.Seq2[Row, error] // new rows, in key order where there is a key; nil means none
	Deletes    map[uint32][]uint32   // data file → rows of it that are gone; any order
	// Since is the log's time of the oldest change that this commit adds, and
	// becomes the snapshot's time; zero if it adds none. Engines that read a table
	// as of the moment their statement began, such as DuckDB, pass over a snapshot
	// that is younger. A statement older than Since finds all that it may ask for
	// in Base, and a younger one gets this snapshot: so the time of the commit
	// itself would be wrong, and that of the newest change as well.
	Since time.Time
	// BeforePublish, when set, is called once, when all but the file that makes
	// the version current is written. Readers may be held off from there on.
	BeforePublish func()
}

// Written tells where rows went: the first Rows rows to the first File, the
// next ones to the next.
type Written struct {
	File uint32
	Rows int
	// Order, when it is not nil, tells which of the rows went here instead: for each
	// row of the file, its place among all that were given.
	Order []uint32
}

// Commit writes the rows and deletes and makes them the table's next version.
// When Base is not the newest version, or another committer was faster, it
// fails with schema.ErrConflict and has no effect. schema.ErrUnknownOutcome
// means that the store did not say; Current tells, once it answers again. Any
// other error means that nothing was committed.
func (l *Lake) Commit(ctx context.Context, commit Commit) (*Snapshot, []Written, error) {
	next, written, err := l.commit(ctx, commit)
	if err != nil {
		return nil, nil, fmt.Errorf("commit to the table of %s: %w", commit.Collection, err)
	}
	return next, written, nil
}

func (l *Lake) commit(ctx context.Context, commit Commit) (*Snapshot, []Written, error) {
	t, err := l.begin(ctx, commit)
	if err != nil {
		return nil, nil, err
	}
	defer func() { t.cleanUp(ctx) }()
	written, err := t.writeRows(ctx, commit.Rows)
	if err != nil {
		return nil, nil, err
	}
	if err := t.deleteAll(ctx, commit.Deletes); err != nil {
		return nil, nil, err
	}
	next, err := t.finishVersion(ctx, commit.BeforePublish)
	if err != nil {
		return nil, nil, err
	}
	return next, written, nil
}

// finishVersion makes the next version from the files written, and makes it
// current.
func (t *commitTask) finishVersion(ctx context.Context, beforePublish func()) (*Snapshot, error) {
	next, err := t.writeVersion(ctx)
	if err != nil {
		return nil, err
	}
	return next, t.makeCurrent(ctx, next, beforePublish)
}

func (t *commitTask) makeCurrent(ctx context.Context, next *Snapshot, beforePublish func()) error {
	if beforePublish != nil {
		beforePublish()
	}
	if err := t.publish(ctx, next); err != nil {
		return err
	}
	t.lake.cache.put(next)
	if next.version%hintEvery == 0 {
		t.lake.putHint(ctx, t.path, next.version)
	}
	return nil
}

// commitTask is one commit being made.
type commitTask struct {
	lake       *Lake
	collection *schema.Collection
	base       *Snapshot // nil: the table is created
	after      int       // without base: the version that withdrew an earlier table, 0 if there was none
	path       tablePath
	id         uuid.UUID // in the names of its metadata files
	progress   progress
	layout     layout             // of what is written
	time       time.Time          // Commit.Since
	began      time.Time          // before the first of its files
	rewrites   bool               // the rows stay what they are: see Replace
	asked      bool               // an engine asked for it: see CommitByEngine
	snapshot   int64              // the id that the snapshot is to have; 0: any
	edit       edit               // what else changes
	extra      iceberg.Properties // more for the snapshot's summary

	added    []*entry          // data files
	gone     map[uint32]bool   // data files that leave, with their delete files
	worn     []fileDeletes     // data files that stay and lose rows
	deletes  map[uint32]*entry // new delete files by data file
	deletesN int64             // rows that this commit deletes

	mu      sync.Mutex // also of gone, worn and deletesN while they are filled
	objects []string   // written so far, removed when the commit surely failed
	keep    bool       // the commit happened, or may have
}

func (l *Lake) begin(ctx context.Context, commit Commit) (*commitTask, error) {
	c, base := commit.Collection, commit.Base
	if err := checkFormat(c); err != nil {
		return nil, err
	}
	t := l.newTask(c, base)
	t.time = commit.Since
	t.progress = progress{nextSeq: commit.NextSeq, position: commit.Position, instance: c.Instance, nextRewrite: rewriteOrdinals}
	if base != nil {
		if err := t.checkBase(); err != nil {
			return nil, err
		}
		if commit.NextSeq < base.NextSeq() {
			return nil, fmt.Errorf("next seq %d lies before the table's %d: %w", commit.NextSeq, base.NextSeq(), schema.ErrInvalid)
		}
		t.progress.nextFile, t.progress.nextRewrite = base.progress.nextFile, base.progress.nextRewrite
	}
	if err := t.arrange(); err != nil {
		return nil, err
	}
	return t, t.checkFree(ctx)
}

// arrange finds how the collection wants its rows laid out.
func (t *commitTask) arrange() error {
	s, err := icebergSchema(t.collection.Schema)
	if err != nil {
		return err
	}
	var meta table.Metadata
	if t.base != nil {
		meta = t.base.meta
	}
	t.layout, err = layoutFor(meta, t.collection, s)
	return err
}

func (l *Lake) newTask(c *schema.Collection, base *Snapshot) *commitTask {
	t := &commitTask{
		lake: l, collection: c, base: base, path: tableOf(c), id: l.newID(), began: l.opts.Now(),
		gone: map[uint32]bool{}, deletes: map[uint32]*entry{},
	}
	// Who creates a table has just seen that there is none. If the memory of that was
	// lost, the commit is a conflict, by the floor.
	if last := l.cache.get(t.path); base == nil && last != nil && last.gone {
		t.after = last.version
	}
	return t
}

// checkBase refuses a base that no version can follow.
func (t *commitTask) checkBase() error {
	if t.base.table != t.path || t.base.version == pastVersion {
		return fmt.Errorf("base is version %d of %s: %w", t.base.version, t.base.table, schema.ErrInvalid)
	}
	return nil
}

// checkFree finds a stale base out before data is written. The decision is
// publish's.
func (t *commitTask) checkFree(ctx context.Context) error {
	taken, err := t.lake.exists(ctx, t.path.version(t.version()))
	if err == nil && taken {
		err = fmt.Errorf("version %d exists: %w", t.version(), schema.ErrConflict)
	}
	return err
}

// version is the number of the version being made.
func (t *commitTask) version() int {
	if t.base == nil {
		return t.after + 1
	}
	return t.base.version + 1
}

// wrote notes an object, for cleanUp.
func (t *commitTask) wrote(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.objects = append(t.objects, name)
}

// cleanUp removes what a failed commit wrote. No version names these objects
// and, their names being random, none ever will.
func (t *commitTask) cleanUp(ctx context.Context) {
	if t.keep {
		return
	}
	ctx = context.WithoutCancel(ctx)
	for _, name := range t.objects {
		if err := t.lake.opts.Objects.Delete(ctx, name); err != nil {
			t.lake.opts.Logger.Warn("file of a failed commit is left behind", "name", name, "err", err)
			return
		}
	}
}

// manifests encodes the manifests that change, has put write them, and returns
// all of the version's.
func (t *commitTask) manifests(s *iceberg.Schema, snapshot, seq int64, put func(name string, data []byte)) ([]*manifest, error) {
	var old []*manifest
	if t.base != nil {
		old = t.base.manifests
	}
	gone := func(e *entry) bool { return t.gone[e.ordinal] }
	keep, edits := editSpecs(old, iceberg.ManifestContentData, gone, t.added)
	superseded := func(e *entry) bool { return t.gone[e.ordinal] || t.deletes[e.ordinal] != nil }
	added := make([]*entry, 0, len(t.deletes))
	for _, ordinal := range slices.Sorted(maps.Keys(t.deletes)) {
		added = append(added, t.deletes[ordinal])
	}
	keepDeletes, deleteEdits := editSpecs(old, iceberg.ManifestContentDeletes, superseded, added)
	all := append(keep, keepDeletes...)
	for i, edit := range append(edits, deleteEdits...) {
		name := t.path.manifest(t.id, i)
		file, data, err := edit.encode(t.lake.uri(name), t.format(), s, snapshot, seq)
		if err != nil {
			return nil, err
		}
		all = append(all, &manifest{file: file, entries: append(edit.existing, edit.added...)})
		put(name, data)
	}
	return all, nil
}

func (t *commitTask) put(ctx context.Context, name string, data []byte) error {
	if err := t.lake.opts.Objects.PutIfAbsent(ctx, name, data); err != nil {
		return fmt.Errorf("put %s: %w", name, storeError(err))
	}
	t.wrote(name)
	return nil
}
