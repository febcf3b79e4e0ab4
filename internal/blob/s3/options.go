package s3

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/schema"
)

// Options adjust a Store. The zero value is the documented defaults.
type Options struct {
	// Credentials for the store; default: the SDK's chain (environment, the
	// shared files, web identity, the container's or the machine's role).
	Credentials aws.CredentialsProvider
	// HTTPClient sends requests; default: a transport of the store's own.
	HTTPClient aws.HTTPClient
	// Registerer gets the store's counters; default: none.
	Registerer prometheus.Registerer
	// Logger is told of what was tried again; default: discards.
	Logger *slog.Logger

	// RequestTimeout bounds one try of a request, apart from its bytes, for
	// which a second per MinBytesPerSecond is added; default 10 s.
	RequestTimeout time.Duration
	// MaxTries bounds how often a request is tried that may be; default 5.
	MaxTries int
	// FirstBackoff and LastBackoff bound the wait before the next try, a random
	// part of the larger of both that doubles; default 25 ms and 2 s.
	FirstBackoff, LastBackoff time.Duration
	// MaxReads and MaxWrites bound the requests in flight; a further one waits.
	// They are apart so that scans cannot hold up the log; default 64 and 32.
	MaxReads, MaxWrites int

	// PartBytes is the size of a Writer's parts, of which there are at most
	// 10,000; default 8 MiB, at least 5 MiB. A Writer holds up to
	// 1 + PartsInFlight of them in memory.
	PartBytes int
	// PartsInFlight bounds the parts of one Writer that are being sent; default 2.
	PartsInFlight int
	// BlockBytes is what a Reader reads at least; default 256 KiB.
	BlockBytes int
	// ReadAheadBytes is what a Reader that is read in order reads at most beyond
	// what is asked for; default 4 MiB.
	ReadAheadBytes int
	// ReaderCacheBytes bounds what a Reader keeps; default 8 MiB.
	ReaderCacheBytes int
	// MaxListNames bounds what List sorts in memory, which it does for S3
	// Express alone; default 1,000,000.
	MaxListNames int
}

// Limits.
const (
	// MinBytesPerSecond is the throughput below which a request is given up.
	MinBytesPerSecond = 1 << 20
	// MaxPutBytes is the largest object that is made by one request.
	MaxPutBytes = 5 << 30
	// MaxGetBytes is the largest object that Get and Read read.
	MaxGetBytes = 1 << 30
	// MaxParts is how many parts an object is made of.
	MaxParts = 10_000

	minPartBytes = 5 << 20 // S3's
)

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.RequestTimeout, 10 * time.Second}, {&o.FirstBackoff, 25 * time.Millisecond}, {&o.LastBackoff, 2 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *int
		value int
	}{
		{&o.MaxTries, 5}, {&o.MaxReads, 64}, {&o.MaxWrites, 32},
		{&o.PartBytes, 8 << 20}, {&o.PartsInFlight, 2}, {&o.BlockBytes, 256 << 10},
		{&o.ReadAheadBytes, 4 << 20}, {&o.ReaderCacheBytes, 8 << 20}, {&o.MaxListNames, 1_000_000},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
}

// Validate reports what is wrong with Options.
func (o Options) Validate() error {
	o.setDefaults()
	for name, v := range map[string]int{
		"MaxTries": o.MaxTries, "MaxReads": o.MaxReads, "MaxWrites": o.MaxWrites, "PartsInFlight": o.PartsInFlight,
		"BlockBytes": o.BlockBytes, "ReadAheadBytes": o.ReadAheadBytes, "MaxListNames": o.MaxListNames,
	} {
		if v < 1 {
			return fmt.Errorf("option %s is %d: want at least 1: %w", name, v, schema.ErrInvalid)
		}
	}
	if o.RequestTimeout < 0 || o.FirstBackoff < 0 || o.LastBackoff < o.FirstBackoff {
		return fmt.Errorf("options RequestTimeout %v, FirstBackoff %v, LastBackoff %v: want none below 0 and the last not below the first: %w",
			o.RequestTimeout, o.FirstBackoff, o.LastBackoff, schema.ErrInvalid)
	}
	if o.PartBytes < minPartBytes {
		return fmt.Errorf("option PartBytes is %d: S3 wants at least %d: %w", o.PartBytes, minPartBytes, schema.ErrInvalid)
	}
	if o.ReaderCacheBytes < o.BlockBytes {
		return fmt.Errorf("option ReaderCacheBytes is %d: want at least a block's %d: %w", o.ReaderCacheBytes, o.BlockBytes, schema.ErrInvalid)
	}
	return nil
}
