package bench

import (
	"cmp"
	"fmt"
	"time"

	"github.com/trinedb/trine/schema"
)

// Options are what all workloads share. The zero value of a member is its
// default.
type Options struct {
	// Folder is where the workload makes its data directory, which it removes
	// at the end: name one on the disk to be measured. Default: the system's
	// folder for temporary files.
	Folder string
	// Duration is about how long is measured, floors included; making the data
	// comes on top, before and between. Default 10 s.
	Duration time.Duration
	// Seed is what all that is random comes from. Default 1.
	Seed uint64
	// Progress is told how far a phase is, by one goroutine at a time. Default:
	// nobody is.
	Progress func(phase string, done, total int64)
}

// WithDefaults is o with defaults in place of zero values.
func (o Options) WithDefaults() Options {
	o.Duration = cmp.Or(o.Duration, 10*time.Second)
	o.Seed = cmp.Or(o.Seed, 1)
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	return o
}

// limit is a number that an option may have.
type limit struct {
	name      string
	value     int64
	low, high int64
}

func check(limits ...limit) error {
	for _, l := range limits {
		if l.value < l.low || l.value > l.high {
			return fmt.Errorf("%s %d: want %d to %d: %w", l.name, l.value, l.low, l.high, schema.ErrInvalid)
		}
	}
	return nil
}

// The bounds of options of several workloads.
const (
	maxRecords = 100_000_000
	maxClients = 4096
)
