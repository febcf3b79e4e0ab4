package kvindex

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
)

// badgerPin keeps Badger's tables by an open iterator: an iterator without a
// prefix refers to every table, and a file goes with its last reference.
type badgerPin struct {
	txn    *badger.Txn
	all    *badger.Iterator // refers to all tables
	newer  *badger.Iterator // over what is above the tables' timestamps
	tables []TableFile
	opts   badger.Options
}

// pinTables pins the tables, and what is in memory as of ts. No commit may be
// under way. It fails with errMoving when tables came or went meanwhile.
//
// Badger reads its levels one after the other, in Tables and for an iterator. A
// table's id is never used again and stays in its level, so a level that is the
// same before and after was so in between: the iterator has what the lists
// have. The MANIFEST is a step ahead of the levels, hence the comparison with it.
func (e *badgerEngine) pinTables(ts uint64) (tablePin, error) {
	before := e.db.Tables()
	var since uint64
	for _, t := range before {
		since = max(since, t.MaxVersion)
	}
	p := &badgerPin{txn: e.db.NewTransactionAt(ts, false), opts: e.db.Opts()}
	p.all = p.txn.NewIterator(badger.IteratorOptions{})
	p.newer = p.txn.NewIterator(badger.IteratorOptions{AllVersions: true, SinceTs: since})
	err := p.compare(before, e.db.Tables())
	if err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

// compare fills tables if the lists before and after are what the MANIFEST says.
func (p *badgerPin) compare(before, after []badger.TableInfo) error {
	same := slices.EqualFunc(before, after, func(a, b badger.TableInfo) bool { return a.ID == b.ID && a.Level == b.Level })
	if !same {
		return errMoving
	}
	f, err := os.Open(filepath.Join(p.opts.Dir, badger.ManifestFilename))
	if err != nil {
		return errMoving // it is being rewritten; a real error goes on for all tries
	}
	defer func() { _ = f.Close() }()
	manifest, _, err := badger.ReplayManifestFile(f, 0, p.opts)
	if err != nil || len(manifest.Tables) != len(before) {
		return errMoving // the last entry is being written
	}
	for _, t := range before {
		m, ok := manifest.Tables[t.ID]
		if !ok || int(m.Level) != t.Level {
			return errMoving
		}
		if m.Compression != options.None || m.KeyID != 0 {
			return fmt.Errorf("table %d is compressed or encrypted, which this index never does", t.ID)
		}
		path := table.NewFilename(t.ID, p.opts.Dir)
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("table %d: %w", t.ID, err)
		}
		p.tables = append(p.tables, TableFile{ID: t.ID, Level: m.Level, Bytes: info.Size(), path: path})
	}
	return nil
}

func (p *badgerPin) files() []TableFile { return p.tables }

func (p *badgerPin) release() {
	p.newer.Close()
	p.all.Close()
	p.txn.Discard()
}

// recentTableBytes is the size of a table made from memory; they are made one
// at a time.
const recentTableBytes = 16 << 20

// metaDelete is Badger's mark of a deletion (bitDelete), which it does not export.
const metaDelete = 1

func (p *badgerPin) recent(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var last []byte
		b, size := p.builder(), 0
		defer func() { b.Close() }()
		for p.newer.Rewind(); p.newer.Valid(); p.newer.Next() {
			item := p.newer.Item()
			if bytes.Equal(item.Key(), last) {
				continue // an older version
			}
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			last = append(last[:0], item.Key()...)
			n, err := addItem(b, item)
			if err != nil {
				yield(nil, fmt.Errorf("key %x in memory: %w", last, err))
				return
			}
			if size += n; size < recentTableBytes {
				continue
			}
			data := b.Finish()
			b.Close()
			b, size = p.builder(), 0
			if !yield(data, nil) {
				return
			}
		}
		if !b.Empty() {
			yield(b.Finish(), nil)
		}
	}
}

func (p *badgerPin) builder() *table.Builder {
	return table.NewTableBuilder(table.Options{
		TableSize: recentTableBytes, BlockSize: p.opts.BlockSize,
		BloomFalsePositive: p.opts.BloomFalsePositive, Compression: options.None,
	})
}

// addItem writes a version as Badger would from its memtable. It tells about how
// many bytes that takes.
func addItem(b *table.Builder, item *badger.Item) (int, error) {
	v := y.ValueStruct{ExpiresAt: item.ExpiresAt(), UserMeta: item.UserMeta()}
	// What expires is never deleted, so what is gone and has no expiry is.
	if item.ExpiresAt() == 0 && item.IsDeletedOrExpired() {
		v.Meta = metaDelete
	} else if err := item.Value(func(val []byte) error { v.Value = val; return nil }); err != nil {
		return 0, err
	}
	b.Add(y.KeyWithTs(item.Key(), item.Version()), v, 0)
	return len(item.Key()) + len(v.Value) + opOverheadBytes, nil
}
