package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/count"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// openIndexStore opens where the index's snapshots are: beside the lake.
func (s *stores) openIndexStore(ctx context.Context, o Options) error {
	url := cmp.Or(o.LakeStore, o.Store)
	folder, local, err := localStore(url, o.Data)
	if err != nil {
		return err
	}
	if o.IndexSnapshots.Mode == SnapshotOff {
		return nil
	}
	s.indexOnDemand = o.IndexSnapshots.onDemand(local)
	var below count.Counted
	if local {
		dir, err := blob.OpenDir(filepath.Join(folder, "index"), blob.DirOptions{})
		if err != nil {
			return err
		}
		s.closers = append(s.closers, dir.Close)
		below = dir
	} else {
		config, err := s3.Parse(url)
		if err != nil {
			return err
		}
		store, err := s.openS3(ctx, o, config.Under("index"))
		if err != nil {
			return err
		}
		below = store
	}
	c, err := counted("index", below, o)
	s.index = indexObjects{c}
	return err
}

// indexObjects is an object store as the index's snapshots see it.
type indexObjects struct{ store *count.Store }

func (s indexObjects) Put(ctx context.Context, name string, r io.Reader) error {
	w, err := s.store.Create(ctx, name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		return errors.Join(err, w.Abort())
	}
	err = w.Commit()
	if errors.Is(err, blob.ErrExists) {
		return fmt.Errorf("%w: %w", schema.ErrConflict, err)
	}
	return err
}

func (s indexObjects) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := s.store.Open(ctx, name)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", schema.ErrNotFound, err)
	}
	if err != nil {
		return nil, err
	}
	return &objectReader{Reader: io.NewSectionReader(r, 0, r.Size()), Closer: r}, nil
}

type objectReader struct {
	io.Reader
	io.Closer
}

func (s indexObjects) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return s.store.List(ctx, prefix, "")
}

func (s indexObjects) Delete(ctx context.Context, name string) error {
	return s.store.Delete(ctx, name)
}

// extent is what the head of the log tells.
func (s *stores) extent(ctx context.Context) (log.Extent, error) {
	if len(s.zones) > 0 {
		return log.ReadExtent(ctx, s.head, channelID)
	}
	return log.ReadExtent(ctx, s.chunks, channelID)
}

// chunkStores are where the chunks are: one store, or three.
func (s *stores) chunkStores() []log.ChunkStore {
	if len(s.zones) == 0 {
		return []log.ChunkStore{s.chunks}
	}
	var all []log.ChunkStore
	for _, z := range s.zones {
		all = append(all, z.Store)
	}
	return all
}
