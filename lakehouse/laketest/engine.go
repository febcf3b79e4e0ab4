// Package laketest is an SQL engine for tests: Apache Iceberg's Go library on the
// store of a lake, which plans, reads and writes as an engine does that knows
// nothing of Trine.
package laketest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	icebergio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/lakehouse"
)

// Engine works on tables of a store whose base is URI.
type Engine struct {
	Objects lakehouse.Objects
	URI     string
}

// Append writes a batch to data files and tells the commit that adds them.
func (e *Engine) Append(ctx context.Context, snap *lakehouse.Snapshot, batch arrow.RecordBatch) (lakehouse.EngineCommit, error) {
	return e.transact(ctx, snap, snap.Metadata(), func(tx *table.Transaction) error {
		rows, err := array.NewRecordReader(batch.Schema(), []arrow.RecordBatch{batch})
		if err != nil {
			return err
		}
		defer rows.Release()
		return tx.Append(ctx, rows, nil)
	})
}

// Rewrite writes all live rows of a snapshot to new data files, and tells the
// commit that exchanges them.
func (e *Engine) Rewrite(ctx context.Context, snap *lakehouse.Snapshot) (lakehouse.EngineCommit, error) {
	return e.rewrite(ctx, snap, snap.Metadata())
}

// RewriteWithoutLineage is Rewrite by an engine that knows nothing of row lineage.
func (e *Engine) RewriteWithoutLineage(ctx context.Context, snap *lakehouse.Snapshot) (lakehouse.EngineCommit, error) {
	metadata := bytes.Replace(snap.Metadata(), []byte(`"format-version":3`), []byte(`"format-version":2`), 1)
	return e.rewrite(ctx, snap, newerFields.ReplaceAll(metadata, nil))
}

// newerFields are those of format version 3, none of which comes last in its object.
var newerFields = regexp.MustCompile(`"(next-row-id|first-row-id|added-rows)":[0-9]+,`)

func (e *Engine) rewrite(ctx context.Context, snap *lakehouse.Snapshot, metadata []byte) (lakehouse.EngineCommit, error) {
	return e.transact(ctx, snap, metadata, func(tx *table.Transaction) error {
		scan, err := tx.Scan()
		if err != nil {
			return err
		}
		tasks, err := scan.PlanFiles(ctx)
		if err != nil {
			return err
		}
		_, err = tx.RewriteDataFiles(ctx, []table.CompactionTaskGroup{{Tasks: tasks}}, table.RewriteDataFilesOptions{})
		return err
	})
}

// transact makes the commit of a transaction, in the form that it has on the wire.
func (e *Engine) transact(ctx context.Context, snap *lakehouse.Snapshot, metadata []byte, do func(*table.Transaction) error) (lakehouse.EngineCommit, error) {
	meta, err := table.ParseMetadataBytes(metadata)
	if err != nil {
		return lakehouse.EngineCommit{}, err
	}
	caught := &catalog{}
	files := func(context.Context) (icebergio.IO, error) { return store{ctx, e.Objects, e.URI}, nil }
	tx := table.New(table.Identifier{"t", "t"}, meta, snap.MetadataLocation(), files, caught).NewTransaction()
	if err := do(tx); err != nil {
		return lakehouse.EngineCommit{}, err
	}
	if _, err := tx.Commit(ctx); !errors.Is(err, errCaught) {
		return lakehouse.EngineCommit{}, fmt.Errorf("commit: %w", err)
	}
	return caught.commit()
}

// catalog catches a commit.
type catalog struct {
	requirements []table.Requirement
	updates      []table.Update
}

var errCaught = errors.New("caught")

func (c *catalog) LoadTable(context.Context, table.Identifier) (*table.Table, error) {
	return nil, errCaught
}

func (c *catalog) CommitTable(_ context.Context, _ table.Identifier, r []table.Requirement, u []table.Update) (table.Metadata, string, error) {
	c.requirements, c.updates = r, u
	return nil, "", errCaught
}

func (c *catalog) commit() (ask lakehouse.EngineCommit, err error) {
	ask.Require = c.requirements
	for _, u := range c.updates {
		if u.Action() != table.UpdateAddSnapshot {
			continue
		}
		text, err := json.Marshal(u)
		if err != nil {
			return ask, err
		}
		var body struct {
			Snapshot *table.Snapshot `json:"snapshot"`
		}
		if err := json.Unmarshal(text, &body); err != nil {
			return ask, err
		}
		ask.Snapshot = body.Snapshot
	}
	return ask, nil
}

// store is a lake's store as Iceberg's library sees one.
type store struct {
	ctx     context.Context
	objects lakehouse.Objects
	uri     string
}

func (s store) name(uri string) string { return strings.TrimPrefix(uri, s.uri+"/") }

func (s store) Open(uri string) (icebergio.File, error) {
	data, err := s.objects.Get(s.ctx, s.name(uri))
	if errors.Is(err, blob.ErrNotFound) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: uri, Err: err}
	}
	return &file{Reader: bytes.NewReader(data), name: uri}, nil
}

func (s store) Remove(uri string) error { return s.objects.Delete(s.ctx, s.name(uri)) }

func (s store) Create(uri string) (icebergio.FileWriter, error) {
	w, err := s.objects.Create(s.ctx, s.name(uri))
	return writer{w}, err
}

func (s store) WriteFile(uri string, p []byte) error {
	return s.objects.PutIfAbsent(s.ctx, s.name(uri), p)
}

type writer struct{ blob.Writer }

func (w writer) Close() error { return w.Commit() }

func (w writer) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{w.Writer}, r)
}

// file is an object that was read.
type file struct {
	*bytes.Reader
	name string
}

func (f *file) Close() error               { return nil }
func (f *file) Stat() (fs.FileInfo, error) { return f, nil }
func (f *file) Name() string               { return f.name }
func (f *file) Size() int64                { return f.Reader.Size() }
func (f *file) Mode() fs.FileMode          { return 0o444 }
func (f *file) ModTime() time.Time         { return time.Time{} }
func (f *file) IsDir() bool                { return false }
func (f *file) Sys() any                   { return nil }
