package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/kvindex/snapshot"
	"github.com/trinedb/trine/log"
)

// IndexStatus is what is known of the index from outside: a server may be running.
type IndexStatus struct {
	There     bool            // there is an index in the data directory
	Damage    string          // what damage it met, if it is to be rebuilt
	Snapshots []snapshot.Info // the newest first
	Log       log.Extent
}

// ReadIndexStatus looks at a data directory and its stores, and changes nothing.
func ReadIndexStatus(ctx context.Context, o Options) (st IndexStatus, err error) {
	o.setDefaults()
	if o.Data, err = filepath.Abs(o.Data); err != nil {
		return st, fmt.Errorf("data directory %q: %w", o.Data, err)
	}
	n := &Node{opts: o}
	if err := n.mustExist(); err != nil {
		return st, err
	}
	if n.opts.IndexSnapshots.Mode, err = snapshotsThere(o); err != nil {
		return st, err
	}
	if n.stores, err = openStores(ctx, n.opts); err != nil {
		return st, err
	}
	defer func() { err = errors.Join(err, n.stores.close()) }()
	dir := filepath.Join(o.Data, "kvindex")
	if st.There, err = kvindex.Exists(dir); err != nil {
		return st, err
	}
	if err := kvindex.CheckDamaged(dir); err != nil {
		st.Damage = err.Error()
	}
	st.Log, err = n.stores.extent(ctx)
	if err != nil {
		return st, err
	}
	if n.stores.index != nil {
		st.Snapshots, err = snapshot.New(snapshot.Options{Store: n.stores.index, Logger: o.Logger}).List(ctx)
	}
	return st, err
}

// snapshotsThere is on unless opening their store would make its folder.
func snapshotsThere(o Options) (SnapshotMode, error) {
	folder, local, err := localStore(cmp.Or(o.LakeStore, o.Store), o.Data)
	if err != nil || !local {
		return SnapshotOn, err
	}
	_, err = os.Stat(filepath.Join(folder, "index"))
	if errors.Is(err, os.ErrNotExist) {
		return SnapshotOff, nil
	}
	return SnapshotOn, err
}
