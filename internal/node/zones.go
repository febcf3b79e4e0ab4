package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	stdsync "sync"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/hedge"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

const (
	// zonePatience is how long the start waits for the third zone once two are
	// there: longer than a zone needs that is well.
	zonePatience = 3 * time.Second
	// zoneRetry is how long a zone is let alone after it could not be opened.
	zoneRetry = time.Second
)

// openZones opens the three zones of the log, one of which may be away, and the
// store of its head.
func (s *stores) openZones(ctx context.Context, o Options) error {
	configs, head, err := zoneConfigs(o)
	if err != nil {
		return err
	}
	headStore, err := s.openS3(ctx, o, head.Under("log"))
	if err != nil {
		return err
	}
	whole, err := counted("head", headStore, o)
	if err != nil {
		return err
	}
	s.head, s.segs = whole, whole // segments, too, have to outlive a zone
	s.suits = paceExpress
	var zones []*lateZone
	for _, c := range configs {
		c = c.Under("log")
		z := newLateZone(c.Bucket+"/"+c.Prefix, o.Logger, func(ctx context.Context) (log.ChunkStore, func() error, error) {
			return openZone(ctx, o, c)
		})
		zones = append(zones, z)
		s.zones = append(s.zones, log.Zone{Name: z.name, Store: z})
		s.closers = append(s.closers, z.close)
	}
	return awaitZones(ctx, zones)
}

// zoneConfigs checks what the URLs of the zones and of the lake say.
func zoneConfigs(o Options) (zones []s3.Config, head s3.Config, err error) {
	bad := func(format string, args ...any) ([]s3.Config, s3.Config, error) {
		return nil, s3.Config{}, fmt.Errorf(format+": %w", append(args, schema.ErrInvalid)...)
	}
	if o.Store != "" {
		return bad("store %s beside three zones: name one store or three", o.Store)
	}
	if len(o.Zones) != 3 {
		return bad("%d stores: name one, or three in three zones, of which two are enough at any time; with two a write would need both", len(o.Zones))
	}
	names := map[string]bool{}
	for _, url := range o.Zones {
		c, err := s3.Parse(url)
		if err != nil {
			return nil, head, fmt.Errorf("zone %s: %w", url, err)
		}
		if names[c.BaseURI()] {
			return bad("store %s is named twice: three zones are three buckets", c)
		}
		names[c.BaseURI()] = true
		zones = append(zones, c)
	}
	if o.LakeStore == "" {
		return bad("a log in three zones needs lake_store (--lake-store s3://bucket/prefix): its head has to outlive a zone, and the lake too")
	}
	if head, err = s3.Parse(o.LakeStore); err != nil {
		return bad("lake_store %s, where a log in three zones has its head: want s3://bucket/prefix: %v", o.LakeStore, err)
	}
	if head.Express {
		return bad("lake_store %s is in one zone, and a log in three zones has its head there: want S3 Standard, s3://bucket/prefix", head)
	}
	return zones, head, nil
}

// openZone opens one zone's store.
func openZone(ctx context.Context, o Options, c s3.Config) (log.ChunkStore, func() error, error) {
	options := o.S3
	options.Logger, options.Registerer = o.Logger, o.Registerer
	store, err := s3.Open(ctx, c, options)
	if err != nil {
		return nil, nil, fmt.Errorf("store %s: %w", c, err)
	}
	below, err := counted("log/"+c.Bucket, store, o)
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	hedged, err := hedge.New(below, hedge.Options{Registerer: o.Registerer})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("store %s: %w", c, err), store.Close())
	}
	return hedged, store.Close, nil
}

// awaitZones returns when the zones are open, or two of them and the third does
// not come. What is wrong with a zone but that it does not answer is an error.
func awaitZones(ctx context.Context, zones []*lateZone) error {
	opened := make(chan error, len(zones))
	for _, z := range zones {
		go func() { opened <- z.wait() }()
	}
	var patience <-chan time.Time
	ready, failed := 0, []error{}
	for ready+len(failed) < len(zones) {
		select {
		case err := <-opened:
			switch {
			case err == nil:
				ready++
			case errors.Is(err, schema.ErrInvalid), errors.Is(err, schema.ErrUnsupported):
				return err
			default:
				failed = append(failed, err)
			}
		case <-patience:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("open three zones: %w: %w", ctx.Err(), errors.Join(failed...))
		}
		if ready == 2 && patience == nil {
			t := time.NewTimer(zonePatience)
			defer t.Stop()
			patience = t.C
		}
	}
	if ready < 2 {
		return fmt.Errorf("two of three zones are needed: %w", errors.Join(failed...))
	}
	return nil
}

// lateZone is the store of a zone that may not be there yet: a store is not used
// before it has proved that it keeps conditions. Until then calls fail with
// schema.ErrUnavailable, and it is tried again now and then while there are any.
type lateZone struct {
	name   string
	logger *slog.Logger
	open   func(context.Context) (log.ChunkStore, func() error, error)
	wg     stdsync.WaitGroup

	mu      stdsync.Mutex
	store   log.ChunkStore // nil until it is open
	closer  func() error
	closed  bool
	attempt chan struct{} // closed when the attempt under way, or the last, ended
	trying  bool
	cancel  context.CancelFunc // of the attempt
	next    time.Time          // of the next attempt
	err     error              // of the last
}

// newLateZone begins to open a zone.
func newLateZone(name string, logger *slog.Logger, open func(context.Context) (log.ChunkStore, func() error, error)) *lateZone {
	z := &lateZone{name: name, logger: logger, open: open}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.beginLocked()
	return z
}

func (z *lateZone) beginLocked() {
	z.trying, z.attempt = true, make(chan struct{})
	// It outlives the call that began it, and ends with the zone.
	ctx, cancel := context.WithCancel(context.Background())
	z.cancel = cancel
	z.wg.Go(func() {
		defer cancel()
		store, closer, err := z.open(ctx)
		z.mu.Lock()
		defer z.mu.Unlock()
		z.store, z.closer, z.err, z.trying = store, closer, err, false
		z.next = time.Now().Add(zoneRetry)
		if err != nil && !z.closed {
			z.logger.Error("zone cannot be opened; two others are enough", "zone", z.name, "error", err)
		}
		close(z.attempt)
	})
}

// wait waits for the first attempt.
func (z *lateZone) wait() error {
	z.mu.Lock()
	attempt := z.attempt
	z.mu.Unlock()
	<-attempt
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.err
}

// get gives the store if it is open, and sees to it that it will be.
func (z *lateZone) get() (log.ChunkStore, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	switch {
	case z.store != nil:
		return z.store, nil
	case z.closed:
		return nil, fmt.Errorf("zone: %w", schema.ErrClosed)
	case !z.trying && !time.Now().Before(z.next):
		z.beginLocked()
	}
	return nil, fmt.Errorf("zone is not open: %w (%v)", schema.ErrUnavailable, z.err)
}

func (z *lateZone) close() error {
	z.mu.Lock()
	z.closed = true
	z.cancel()
	z.mu.Unlock()
	z.wg.Wait()
	if z.closer == nil {
		return nil
	}
	return z.closer()
}

// PutIfAbsent is the store's, as are the others.
func (z *lateZone) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	s, err := z.get()
	if err != nil {
		return err
	}
	return s.PutIfAbsent(ctx, name, data)
}

func (z *lateZone) Get(ctx context.Context, name string) ([]byte, error) {
	s, err := z.get()
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, name)
}

func (z *lateZone) GetRange(ctx context.Context, name string, off, n int64) ([]byte, error) {
	s, err := z.get()
	if err != nil {
		return nil, err
	}
	return s.GetRange(ctx, name, off, n)
}

func (z *lateZone) Read(ctx context.Context, name string) ([]byte, blob.Version, error) {
	s, err := z.get()
	if err != nil {
		return nil, blob.Absent, err
	}
	return s.Read(ctx, name)
}

func (z *lateZone) Swap(ctx context.Context, name string, old blob.Version, data []byte) (blob.Version, error) {
	s, err := z.get()
	if err != nil {
		return blob.Absent, err
	}
	return s.Swap(ctx, name, old, data)
}

func (z *lateZone) Delete(ctx context.Context, name string) error {
	s, err := z.get()
	if err != nil {
		return err
	}
	return s.Delete(ctx, name)
}
