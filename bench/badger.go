package bench

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// rawBadger is Badger as the index sets it up, and nothing above it.
type rawBadger struct {
	db *badger.DB
	ts uint64
}

func openRawBadger(dir string) (*rawBadger, error) {
	db, err := badger.OpenManaged(badger.DefaultOptions(dir).WithCompression(options.None).WithBlockCacheSize(0).
		WithIndexCacheSize(0).WithMemTableSize(32 << 20).WithNumMemtables(3).WithNumCompactors(2).
		WithNumVersionsToKeep(1).WithDetectConflicts(false).WithMetricsEnabled(false).WithSyncWrites(false).
		WithValueLogFileSize(1 << 20).WithValueThreshold(1 << 20).WithLogger(nil))
	if err != nil {
		return nil, fmt.Errorf("open bare badger: %w", err)
	}
	db.SetDiscardTs(db.MaxVersion())
	return &rawBadger{db: db, ts: db.MaxVersion()}, nil
}

// rawKey is as long as the index's own key of a row.
func rawKey(key []byte) []byte { return append(make([]byte, 9, 9+len(key)), key...) }

// rawTransaction is how many rows one transaction of a fill holds.
const rawTransaction = 1000

// fill writes rows until next is at its end, and keeps what it is given.
func (r *rawBadger) fill(next func() (key, value []byte, ok bool)) error {
	for more := true; more; {
		r.ts++
		txn := r.db.NewTransactionAt(r.ts-1, true)
		for range rawTransaction {
			var key, value []byte
			if key, value, more = next(); !more {
				break
			}
			if err := txn.Set(rawKey(key), value); err != nil {
				txn.Discard()
				return fmt.Errorf("fill bare badger: %w", err)
			}
		}
		if err := txn.CommitAt(r.ts, nil); err != nil {
			return fmt.Errorf("fill bare badger: %w", err)
		}
	}
	return nil
}

// get copies a row.
func (r *rawBadger) get(key []byte) ([]byte, error) {
	txn := r.db.NewTransactionAt(r.ts, false)
	defer txn.Discard()
	item, err := txn.Get(rawKey(key))
	if err != nil {
		return nil, fmt.Errorf("bare badger: %w", err)
	}
	return item.ValueCopy(nil)
}

func (r *rawBadger) close() error { return r.db.Close() }
