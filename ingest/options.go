package ingest

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options set up a Writer. Zero values are the defaults that are named.
type Options struct {
	Registry Registry  // required
	Log      Appender  // required
	Index    KeyReader // required

	// MaxRecordBytes bounds a record's encoded key and row. Default 1 MiB.
	MaxRecordBytes int
	// MaxKeyBytes bounds a record's encoded key. Default 16 KiB.
	MaxKeyBytes int
	// MaxTextBytes bounds a record as it is sent, before it is decoded: escapes
	// and field names make it longer than its encoded form. Default 8 MiB.
	MaxTextBytes int
	// MaxBatchBytes bounds a batch: decompressed, and again encoded. Default
	// 64 MiB.
	MaxBatchBytes int64
	// MaxBatchRecords bounds a batch. Default 1,000,000.
	MaxBatchRecords int
	// MaxCollections bounds how many collections one batch writes to. Default
	// 1,000.
	MaxCollections int
	// MaxRatio bounds how many times larger than sent a body may become,
	// after the first MiB. Default 100.
	MaxRatio int64
	// MaxInFlightBytes bounds the decompressed bytes of all batches that are
	// being read or appended. Default 256 MiB; at least MaxBatchBytes.
	MaxInFlightBytes int64
	// Registerer takes the writer's metrics. Default: none.
	Registerer prometheus.Registerer
	// InFlightWait is how long a batch waits for its share of that, each time,
	// before it is schema.ErrOverloaded. Default 10 s.
	InFlightWait time.Duration
}

func (o Options) withDefaults() Options {
	def(&o.MaxRecordBytes, 1<<20)
	def(&o.MaxKeyBytes, 16<<10)
	def(&o.MaxTextBytes, 8<<20)
	def(&o.MaxBatchBytes, 64<<20)
	def(&o.MaxBatchRecords, 1_000_000)
	def(&o.MaxCollections, 1_000)
	def(&o.MaxRatio, 100)
	def(&o.MaxInFlightBytes, 256<<20)
	def(&o.InFlightWait, 10*time.Second)
	return o
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate tells what is wrong with the options.
func (o Options) Validate() error {
	o = o.withDefaults()
	switch {
	case o.Registry == nil || o.Log == nil || o.Index == nil:
		return errors.New("ingest: Registry, Log and Index are required")
	case o.MaxRecordBytes < 1 || o.MaxKeyBytes < 1 || o.MaxTextBytes < 1 || o.MaxBatchBytes < 1 ||
		o.MaxBatchRecords < 1 || o.MaxCollections < 1 || o.MaxRatio < 1 || o.InFlightWait < 0:
		return errors.New("ingest: limits are positive")
	case o.MaxInFlightBytes < o.MaxBatchBytes:
		return fmt.Errorf("ingest: MaxInFlightBytes %d is below MaxBatchBytes %d", o.MaxInFlightBytes, o.MaxBatchBytes)
	}
	return nil
}
