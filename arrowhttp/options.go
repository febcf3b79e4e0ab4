package arrowhttp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options say how to serve. The zero value of each but Backend has a default.
type Options struct {
	// Backend is what is served. Every member is needed.
	Backend Backend
	// Iceberg serves the catalog at /iceberg/, with that prefix taken off.
	// Default: those paths do not exist.
	Iceberg http.Handler
	// Tokens are the bearer tokens that are let in. Default: none is asked for.
	Tokens []string
	// Ready tells whether the server can serve, for /readyz. Default: it can.
	Ready func(context.Context) error
	// Version is told by /openapi.json. Default "dev".
	Version string

	// MaxBodyBytes is the most that a write may send, before decompression.
	// Default DefaultMaxBodyBytes.
	MaxBodyBytes int64
	// StallTimeout is how long a client may neither send nor take a byte.
	// Default one minute.
	StallTimeout time.Duration
	// MaxScans, MaxLogReads, MaxFollows and MaxVerifies bound how many of these
	// are answered at a time; more are 503. Defaults: see limits.go.
	MaxScans, MaxLogReads, MaxFollows, MaxVerifies int
	// SpoolDir is where scans in the file form lie while they are served.
	// Default: the system's directory for temporary files.
	SpoolDir string
	// MaxSpoolBytes is how much may lie there. Default 16 GiB.
	MaxSpoolBytes int64

	// Logger takes failures at warn and error, and requests at debug.
	// Default: nowhere.
	Logger *slog.Logger
	// Registerer takes the server's metrics, Gatherer is what /metrics shows.
	// Default: a registry of the server's own.
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Validate checks the options and names the one that is wrong.
func (o *Options) Validate() error {
	b := o.Backend
	for name, missing := range map[string]bool{
		"Collections": b.Collections == nil, "Schemas": b.Schemas == nil, "Writer": b.Writer == nil,
		"Reader": b.Reader == nil, "Changes": b.Changes == nil, "Scanner": b.Scanner == nil,
		"Describer": b.Describer == nil, "Positions": b.Positions == nil, "Verifier": b.Verifier == nil, "Upkeep": b.Upkeep == nil,
		"Tags": b.Tags == nil,
	} {
		if missing {
			return fmt.Errorf("arrowhttp options: Backend.%s is nil", name)
		}
	}
	for _, token := range o.Tokens {
		if token == "" {
			return errors.New("arrowhttp options: an empty token would let everybody in")
		}
	}
	if o.MaxBodyBytes < 0 || o.StallTimeout < 0 || o.MaxSpoolBytes < 0 || min(o.MaxScans, o.MaxLogReads, o.MaxFollows, o.MaxVerifies) < 0 {
		return errors.New("arrowhttp options: a limit is negative")
	}
	if (o.Registerer == nil) != (o.Gatherer == nil) {
		return errors.New("arrowhttp options: Registerer and Gatherer go together")
	}
	return nil
}

// withDefaults fills in what is not set.
func (o Options) withDefaults() Options {
	if o.Ready == nil {
		o.Ready = func(context.Context) error { return nil }
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.MaxBodyBytes == 0 {
		o.MaxBodyBytes = DefaultMaxBodyBytes
	}
	if o.StallTimeout == 0 {
		o.StallTimeout = DefaultStallTimeout
	}
	o.MaxScans = cmp.Or(o.MaxScans, DefaultMaxScans)
	o.MaxLogReads = cmp.Or(o.MaxLogReads, DefaultMaxLogReads)
	o.MaxFollows = cmp.Or(o.MaxFollows, DefaultMaxFollows)
	o.MaxVerifies = cmp.Or(o.MaxVerifies, DefaultMaxVerifies)
	if o.MaxSpoolBytes == 0 {
		o.MaxSpoolBytes = defaultMaxSpoolBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		reg := prometheus.NewRegistry()
		o.Registerer, o.Gatherer = reg, reg
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
