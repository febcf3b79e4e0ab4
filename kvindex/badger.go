package kvindex

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// badgerEngine is an engine on Badger in managed mode. The options are
// measured: no compression and no cache, so that reads come from the page
// cache by mmap; no value log in use, for it is not synced with the tables.
type badgerEngine struct {
	db *badger.DB
	// newest reads what is committed at any time. A transaction that only reads, at
	// a timestamp that it was given, holds nothing, and Get changes nothing of it.
	newest *badger.Txn
}

func openBadger(dir string, memTableBytes int64, logger *slog.Logger) (*badgerEngine, error) {
	log := &badgerLogger{slog: logger}
	o := badger.DefaultOptions(dir).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithMemTableSize(memTableBytes).
		WithNumMemtables(3).
		WithNumCompactors(2).
		WithNumVersionsToKeep(1).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithSyncWrites(false).
		WithValueLogFileSize(1 << 20).
		WithValueThreshold(min(1<<20, memTableBytes/8)). // no value is as long
		WithLogger(log)
	db, err := badger.OpenManaged(o)
	if err != nil {
		return nil, err
	}
	if log.ignoredTable.Load() {
		// Badger opens without a table whose checksum is off. The rows are
		// gone, and the position still claims them.
		return nil, errors.Join(errTableIgnored, db.Close())
	}
	db.SetDiscardTs(db.MaxVersion())
	return &badgerEngine{db: db, newest: db.NewTransactionAt(latest, false)}, nil
}

var errTableIgnored = errors.New("a table fails its checksum")

func (e *badgerEngine) get(ts uint64, dst, key []byte) ([]byte, bool, error) {
	txn := e.newest
	if ts != latest {
		txn = e.db.NewTransactionAt(ts, false)
		defer txn.Discard()
	}
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, err
	}
	err = item.Value(func(v []byte) error {
		dst = append(dst, v...)
		return nil
	})
	return dst, err == nil, err
}

func (e *badgerEngine) iterate(ts uint64, prefix []byte, reverse bool) cursor {
	txn := e.db.NewTransactionAt(ts, false)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: reverse})
	return &badgerCursor{txn: txn, it: it}
}

func (e *badgerEngine) tableBytes() (total int64) {
	for _, t := range e.db.Tables() {
		total += int64(t.OnDiskSize)
	}
	return total
}

func (e *badgerEngine) inTables() (highest uint64) {
	for _, t := range e.db.Tables() {
		highest = max(highest, t.MaxVersion)
	}
	return highest
}

func (e *badgerEngine) verify() error { return e.db.VerifyChecksum() }

func (e *badgerEngine) commit(b *batch, ts uint64, done func(error)) {
	txn := e.db.NewTransactionAt(ts-1, true)
	for i := range b.ops {
		op := &b.ops[i]
		var err error
		if op.del {
			err = txn.Delete(op.key)
		} else {
			err = txn.SetEntry(&badger.Entry{Key: op.key, Value: op.val, ExpiresAt: uint64(op.expires)})
		}
		if err != nil {
			txn.Discard()
			go done(fmt.Errorf("operation %d of %d: %w", i, len(b.ops), err))
			return
		}
	}
	if err := txn.CommitAt(ts, done); err != nil {
		go done(err)
	}
}

func (e *badgerEngine) discard(ts uint64) { e.db.SetDiscardTs(ts) }

func (e *badgerEngine) last() uint64 { return e.db.MaxVersion() }

func (e *badgerEngine) Close() error {
	e.newest.Discard()
	return e.db.Close()
}

// badgerCursor is a cursor with a transaction of its own.
type badgerCursor struct {
	txn *badger.Txn
	it  *badger.Iterator
	val []byte
}

func (c *badgerCursor) seek(key []byte) { c.it.Seek(key) }
func (c *badgerCursor) valid() bool     { return c.it.Valid() }
func (c *badgerCursor) next()           { c.it.Next() }
func (c *badgerCursor) key() []byte     { return c.it.Item().Key() }

func (c *badgerCursor) value() ([]byte, error) {
	err := c.it.Item().Value(func(v []byte) error { c.val = v; return nil })
	return c.val, err
}

func (c *badgerCursor) close() {
	c.it.Close()
	c.txn.Discard()
}

// badgerLogger passes Badger's log on and listens for the one message that is
// no mere message.
type badgerLogger struct {
	slog         *slog.Logger
	ignoredTable atomic.Bool
}

func (l *badgerLogger) Errorf(format string, args ...any) {
	msg := message(format, args)
	if strings.HasPrefix(msg, "Ignoring table") {
		l.ignoredTable.Store(true)
	}
	l.slog.Error(msg, "by", "badger")
}

func (l *badgerLogger) Warningf(format string, args ...any) {
	l.slog.Warn(message(format, args), "by", "badger")
}

func (l *badgerLogger) Infof(format string, args ...any) {
	l.slog.Debug(message(format, args), "by", "badger")
}

func (l *badgerLogger) Debugf(string, ...any) {}

func message(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
