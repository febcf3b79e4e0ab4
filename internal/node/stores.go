package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/count"
	"github.com/trinedb/trine/internal/blob/hedge"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/kvindex/snapshot"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/lakehouse/rest"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// stores are where a node's log and lake keep their objects.
type stores struct {
	chunks  log.ChunkStore // nil: zones
	zones   []log.Zone
	head    log.HeadStore    // with zones
	folder  log.ChunkFolder  // of chunks
	segs    log.SegmentStore // where chunks go as segments
	objects lakehouse.Objects
	index   snapshot.Store // of snapshots of the index; nil: they are off

	indexOnDemand bool              // they are taken when the log waits for one
	sole          bool              // no other process commits to the lake: the data directory's lock is on it
	baseURI       string            // of the lake's objects, for engines
	engine        map[string]string // what engines need to read them; see rest.Options
	vendor        rest.Vendor       // of credentials to engines; nil: none
	suits         pace
	closers       []func() error
}

// pace is the group commit that suits a store.
type pace struct {
	linger     time.Duration
	chunkBytes int
	inFlight   int    // chunks at the store at a time
	hintEvery  uint64 // a take-over reads up to so many headers
}

// What others measured suits; see docs/storage.md.
var (
	paceDisk     = pace{linger: time.Millisecond, chunkBytes: 1 << 20, inFlight: 4, hintEvery: 1024}
	paceExpress  = pace{linger: 20 * time.Millisecond, chunkBytes: 1 << 20, inFlight: 8, hintEvery: 64}
	paceStandard = pace{linger: 250 * time.Millisecond, chunkBytes: 4 << 20, inFlight: 4, hintEvery: 64}
)

// localStore is the folder that a store URL means, if it means one: none given
// is the data directory.
func localStore(url, data string) (string, bool, error) {
	if url == "" {
		return data, true, nil
	}
	path, ok := strings.CutPrefix(url, "file://")
	if !ok {
		return "", false, nil
	}
	if !filepath.IsAbs(path) {
		return "", true, fmt.Errorf("store %s: want an absolute path, as file:///var/lib/trine: %w", url, schema.ErrInvalid)
	}
	return path, true, nil
}

// openStores opens the stores that o.Store and o.LakeStore name.
func openStores(ctx context.Context, o Options) (*stores, error) {
	s := &stores{}
	err := s.openLog(ctx, o)
	if err == nil && o.SegmentStore != "" {
		err = s.openSegments(ctx, o)
	}
	if err == nil {
		err = s.openLake(ctx, o)
	}
	if err == nil {
		err = s.openIndexStore(ctx, o)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stores) openLog(ctx context.Context, o Options) error {
	if len(o.Zones) > 0 {
		return s.openZones(ctx, o)
	}
	folder, local, err := localStore(o.Store, o.Data)
	if err != nil {
		return err
	}
	if local {
		dir, err := blob.OpenDir(filepath.Join(folder, "log"), blob.DirOptions{})
		if err != nil {
			return err
		}
		s.closers = append(s.closers, dir.Close)
		s.suits = paceDisk
		store, err := counted("log", dir, o)
		s.chunks, s.folder, s.segs = store, store, store
		return err
	}
	config, err := s3.Parse(o.Store)
	if err != nil {
		return err
	}
	config = config.Under("log")
	store, err := s.openS3(ctx, o, config)
	if err != nil {
		return err
	}
	s.suits = paceStandard
	if config.Express {
		s.suits = paceExpress
	}
	below, err := counted("log", store, o)
	if err != nil {
		return err
	}
	s.folder, s.segs = below, below
	// A chunk may be sent twice: its id tells its copies from another's chunk.
	if s.chunks, err = hedge.New(below, hedge.Options{Registerer: o.Registerer}); err != nil {
		return fmt.Errorf("store %s: %w", config, err)
	}
	return nil
}

// counted counts the requests and bytes of a store; nothing is free on S3.
func counted(name string, s count.Counted, o Options) (*count.Store, error) {
	c := count.Around(name, s)
	if o.Registerer == nil {
		return c, nil
	}
	if err := o.Registerer.Register(c); err != nil {
		return nil, fmt.Errorf("count requests of %s: %w", name, err)
	}
	return c, nil
}

// openSegments opens a store for segments beside that of the chunks.
func (s *stores) openSegments(ctx context.Context, o Options) error {
	folder, local, err := localStore(o.SegmentStore, o.Data)
	if err != nil {
		return err
	}
	if local {
		dir, err := blob.OpenDir(filepath.Join(folder, "log"), blob.DirOptions{})
		if err != nil {
			return err
		}
		s.closers = append(s.closers, dir.Close)
		s.segs, err = counted("segments", dir, o)
		return err
	}
	config, err := s3.Parse(o.SegmentStore)
	if err != nil {
		return err
	}
	store, err := s.openS3(ctx, o, config.Under("log"))
	if err != nil {
		return err
	}
	s.segs, err = counted("segments", store, o)
	return err
}

func (s *stores) openLake(ctx context.Context, o Options) error {
	url := cmp.Or(o.LakeStore, o.Store)
	folder, local, err := localStore(url, o.Data)
	if err != nil {
		return err
	}
	if local && o.EngineRole.ARN != "" {
		return fmt.Errorf("role for engines: the lake is no bucket, but folder %s: %w", folder, schema.ErrInvalid)
	}
	if local {
		root := filepath.Join(folder, "lake")
		dir, err := blob.OpenDir(root, blob.DirOptions{})
		if err != nil {
			return err
		}
		s.closers = append(s.closers, dir.Close)
		s.baseURI = "file://" + root
		s.sole = folder == o.Data
		s.objects, err = counted("lake", dir, o)
		return err
	}
	config, err := s3.Parse(url)
	if err != nil {
		return err
	}
	config = config.Under("lake")
	store, err := s.openS3(ctx, o, config)
	if err != nil {
		return err
	}
	s.baseURI, s.engine = config.BaseURI(), engineProperties(config, store.Region())
	if s.vendor, err = newVendor(ctx, o, config, store.Region()); err != nil {
		return err
	}
	s.objects, err = counted("lake", store, o)
	return err
}

// openS3 opens a store that has to be there.
func (s *stores) openS3(ctx context.Context, o Options, config s3.Config) (*s3.Store, error) {
	options := o.S3
	options.Logger, options.Registerer = o.Logger, o.Registerer
	store, err := s3.Open(ctx, config, options)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", config, err)
	}
	s.closers = append(s.closers, store.Close)
	return store, nil
}

// engineProperties are what an engine needs to reach the store, beside
// credentials. The region is told even if the URL has none: an engine that
// signs for another one is refused.
func engineProperties(c s3.Config, region string) map[string]string {
	p := map[string]string{"s3.region": region, "client.region": region}
	if c.Endpoint != "" {
		p["s3.endpoint"] = c.Endpoint
	}
	if c.PathStyle {
		p["s3.path-style-access"] = "true"
	}
	return p
}

func (s *stores) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}
