package kvindex

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"google.golang.org/protobuf/proto"

	"github.com/trinedb/trine/schema"
)

// Assembly makes an index directory from tables that were those of another. The
// directory is none before Finish has returned.
type Assembly struct {
	dir    string
	levels []uint8
}

// MaxLevel is the highest level of a table.
const MaxLevel = 6

// Assemble begins an index directory, which must not exist.
func Assemble(dir string) (*Assembly, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return nil, noSpace(err)
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		return nil, fmt.Errorf("assemble index: %w", noSpace(err))
	}
	if err := os.Mkdir(filepath.Join(dir, shardDir), 0o750); err != nil {
		return nil, fmt.Errorf("assemble index: %w", noSpace(err))
	}
	return &Assembly{dir: dir}, nil
}

// Create makes the file of the next table, in the order of TableSet; the caller
// writes, syncs and closes it.
func (a *Assembly) Create(level uint8) (*os.File, error) {
	if level > MaxLevel {
		return nil, fmt.Errorf("assemble index: level %d, want at most %d: %w", level, MaxLevel, schema.ErrCorrupt)
	}
	a.levels = append(a.levels, level)
	path := table.NewFilename(uint64(len(a.levels)), filepath.Join(a.dir, shardDir))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("assemble index: %w", noSpace(err))
	}
	return f, nil
}

// Finish makes the directory one that Open takes. All files are closed.
func (a *Assembly) Finish() error {
	shard := filepath.Join(a.dir, shardDir)
	data, err := a.manifest()
	if err == nil {
		err = replaceFile(filepath.Join(shard, badger.ManifestFilename), string(data))
	}
	if err == nil {
		err = checkTables(shard)
	}
	if err == nil {
		err = replaceFile(filepath.Join(a.dir, "FORMAT"), formatVersion)
	}
	if err != nil {
		return fmt.Errorf("assemble index %s: %w", a.dir, err)
	}
	for _, dir := range []string{shard, a.dir} {
		if err := syncDir(dir); err != nil {
			return fmt.Errorf("assemble index %s: %w", a.dir, err)
		}
	}
	return nil
}

// manifest is Badger's list of tables:
//
//	│ "Bdgr" │ 0 2 │ version 2 │ length 4 │ CRC-32C 4 │ set of changes, in protobuf │
func (a *Assembly) manifest() ([]byte, error) {
	const badgerVersion = 8
	var set pb.ManifestChangeSet
	for i, level := range a.levels {
		set.Changes = append(set.Changes, &pb.ManifestChange{
			Id: uint64(i) + 1, Op: pb.ManifestChange_CREATE, Level: uint32(level), EncryptionAlgo: pb.EncryptionAlgo_aes,
		})
	}
	changes, err := proto.Marshal(&set)
	if err != nil {
		return nil, err
	}
	out := binary.BigEndian.AppendUint16([]byte("Bdgr\x00\x00"), badgerVersion)
	out = binary.BigEndian.AppendUint32(out, uint32(len(changes)))
	out = binary.BigEndian.AppendUint32(out, crc32.Checksum(changes, crc32.MakeTable(crc32.Castagnoli)))
	return append(out, changes...), nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Exists reports whether dir holds a database, damaged or not.
func Exists(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, shardDir, badger.ManifestFilename))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("look for an index: %w", err)
	}
	return err == nil, nil
}
