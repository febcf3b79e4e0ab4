package kvindex

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/trinedb/trine/schema"
)

// freeBytes is the space that the disk under dir has for us.
func freeBytes(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// Percent of MinFreeBytes under which a kind of write is refused. Intake stops
// first, so that what was acknowledged can be applied; reclaiming dropped
// collections goes on longest, for it is the way out. Open writes tables too.
const (
	intakePercent  = 200
	applyPercent   = 100
	reclaimPercent = 50
	openPercent    = 50
)

// SpaceLow reports that the disk has less than twice the watermark left: the
// time to refuse writes.
func (x *Index) SpaceLow() bool { return x.checkSpace(intakePercent) != nil }

// checkSpace fails with ErrNoSpace below percent of the watermark. It costs a
// statfs, about a microsecond.
func (x *Index) checkSpace(percent uint64) error { return x.opts.checkSpace(percent) }

func (o Options) checkSpace(percent uint64) error {
	if o.MinFreeBytes < 0 {
		return nil
	}
	free, err := o.FreeBytes(o.Dir)
	if err != nil {
		return fmt.Errorf("free space of index %s: %w", o.Dir, err)
	}
	if want := uint64(o.MinFreeBytes) / 100 * percent; free < want {
		return fmt.Errorf("index %s: %d bytes free, want %d: %w", o.Dir, free, want, schema.ErrNoSpace)
	}
	return nil
}

// TableBytes is how much the index's tables take on disk: about what a snapshot does.
func (x *Index) TableBytes() int64 { return x.eng.tableBytes() }
