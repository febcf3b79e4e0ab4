package kvindex

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"

	"github.com/trinedb/trine/schema"
)

// checkTables looks at the footer of every table that the database lists.
// Badger opens tables in goroutines of its own and panics there on a footer
// that makes no sense, which nothing can recover from; what is behind the
// footer it checks itself.
func checkTables(dir string) error {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	manifest, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(dir))
	if err != nil {
		return corrupt("read table list", err)
	}
	for id := range manifest.Tables {
		if err := checkFooter(table.NewFilename(id, dir)); err != nil {
			return fmt.Errorf("table %d: %w", id, err)
		}
	}
	return nil
}

// checkFooter demands that the parts of a table's footer lie in the file:
//
//	… blocks │ index │ index length 4 │ checksum │ checksum length 4 │
func checkFooter(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %w", schema.ErrCorrupt, err)
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at := info.Size()
	for _, part := range [...]string{"checksum", "index"} {
		var length [4]byte
		if at -= 4; at < 0 {
			return fmt.Errorf("no room for a footer: %w", schema.ErrCorrupt)
		}
		if _, err := f.ReadAt(length[:], at); err != nil {
			return err
		}
		n := int64(binary.BigEndian.Uint32(length[:]))
		if at -= n; n == 0 || at < 0 {
			return fmt.Errorf("%s of %d bytes in %d: %w", part, n, info.Size(), schema.ErrCorrupt)
		}
	}
	return nil
}
