package kvindex

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/trinedb/trine/schema"
)

// Options say where an Index lives and what it may use. Dir is required;
// every other zero value means the documented default.
type Options struct {
	// Dir is the index's own directory; it is made when missing.
	Dir string
	// MemTableBytes is the size of a memtable; up to four of them are in
	// memory. Default 32 MiB, least 16 MiB.
	MemTableBytes int64
	// MinFreeBytes is the watermark of free disk space under which Apply
	// refuses. SpaceLow reports true under twice as much, and Open refuses
	// under half. Default 512 MiB; negative: never refuse.
	MinFreeBytes int64
	// ReclaimPerSecond bounds how many keys of dropped collections are deleted
	// in a second. Default 50,000.
	ReclaimPerSecond int
	// DirtyBytes is how many bytes have to wait in a collection that has no table
	// before Dirty tells of it. Default 0: any change does.
	DirtyBytes int64
	// Catalog tells of schemas and secondary indexes. Default none: then there
	// are no secondary indexes.
	Catalog Catalog
	// RememberRows is of how many rows that were applied last it is remembered that
	// they are there and how long they are, for up to twice as many: an update of
	// them needs no lookup. Some 20 bytes each. Default 524,288; negative: none.
	RememberRows int
	// FilterBytes is how much memory the filters may take that tell of a key that
	// its collection does not have it, 2 bytes a row. Only a collection that had no
	// row when it was first written to after Open has one. Default 32 MiB;
	// negative: none have.
	FilterBytes int
	// BuildPerSecond bounds how many rows the builds of secondary indexes read in
	// a second. Default 50,000.
	BuildPerSecond int
	// BootID identifies this boot of the machine: when it is another than at
	// the last Open, memory-mapped files may have been torn by a power failure.
	// Default: the kernel's.
	BootID string
	// Logger gets what is worth telling. Default: none of it.
	Logger *slog.Logger
	// Now is the clock that answers expire by. Default time.Now.
	Now func() time.Time
	// FreeBytes tells the free space of the disk that holds dir. Default statfs.
	FreeBytes func(dir string) (uint64, error)

	// shortRows allows smaller memtables: a transaction on one of the least size
	// just takes the longest row.
	shortRows bool
}

const (
	minMemTableBytes        = 16 << 20
	defaultMemTableBytes    = 32 << 20
	defaultMinFreeBytes     = 512 << 20
	defaultReclaimPerSecond = 50_000
	defaultBuildPerSecond   = 50_000
	defaultRememberRows     = 512 << 10
	defaultFilterBytes      = 32 << 20
)

// Validate reports what is wrong with o.
func (o Options) Validate() error {
	switch {
	case o.Dir == "":
		return fmt.Errorf("index options: Dir: %w: name a directory", schema.ErrInvalid)
	case o.MemTableBytes != 0 && !o.shortRows && (o.MemTableBytes < minMemTableBytes || o.MemTableBytes > 1<<30):
		return fmt.Errorf("index options: MemTableBytes %d: %w: 16 MiB to 1 GiB", o.MemTableBytes, schema.ErrInvalid)
	case o.ReclaimPerSecond < 0:
		return fmt.Errorf("index options: ReclaimPerSecond %d: %w: not below 0", o.ReclaimPerSecond, schema.ErrInvalid)
	case o.DirtyBytes < 0:
		return fmt.Errorf("index options: DirtyBytes %d: %w: not below 0", o.DirtyBytes, schema.ErrInvalid)
	case o.BuildPerSecond < 0:
		return fmt.Errorf("index options: BuildPerSecond %d: %w: not below 0", o.BuildPerSecond, schema.ErrInvalid)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.MemTableBytes == 0 {
		o.MemTableBytes = defaultMemTableBytes
	}
	if o.MinFreeBytes == 0 {
		o.MinFreeBytes = defaultMinFreeBytes
	}
	if o.ReclaimPerSecond == 0 {
		o.ReclaimPerSecond = defaultReclaimPerSecond
	}
	if o.BuildPerSecond == 0 {
		o.BuildPerSecond = defaultBuildPerSecond
	}
	if o.RememberRows == 0 {
		o.RememberRows = defaultRememberRows
	}
	if o.FilterBytes == 0 {
		o.FilterBytes = defaultFilterBytes
	}
	if o.BootID == "" {
		o.BootID = kernelBootID()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FreeBytes == nil {
		o.FreeBytes = freeBytes
	}
	return o
}

// kernelBootID is "" where the kernel does not tell, which Open takes for a
// boot of its own each time.
func kernelBootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
