package lakehouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// Limits of what an engine's commit is read from.
const (
	maxEngineManifest  = 32 << 20 // bytes of a manifest or a manifest list
	maxEngineManifests = 1000     // that the base does not have
	maxEngineFiles     = 10_000   // data files that a commit brings
)

// delta is how the data files of a snapshot that an engine wrote differ from those
// of the base.
type delta struct {
	task    *commitTask
	base    map[string]bool // URIs of the base's data and delete files
	added   []iceberg.DataFile
	names   []string // of the objects of added
	removed []*tableFile
	scrap   []string // objects that the engine wrote and the version does not name
}

// delta reads an engine's manifests. Those that the base has too are not read
// again, and of the others only what the base lacks is taken.
func (t *commitTask) delta(ctx context.Context, snap *table.Snapshot) (*delta, error) {
	d := &delta{task: t, base: t.base.uris()}
	raw, err := d.read(ctx, snap.ManifestList)
	if err != nil {
		return nil, err
	}
	files, err := decodeManifestList(raw)
	if err != nil {
		return nil, fmt.Errorf("manifest list %s: %w: %v", snap.ManifestList, schema.ErrInvalid, err)
	}
	known := map[string]*manifest{}
	for _, m := range t.base.manifests {
		known[m.file.FilePath()] = m
	}
	live := map[string]bool{} // objects of the base that the engine keeps
	fresh := 0
	for _, f := range files {
		if m := known[f.FilePath()]; m != nil {
			for _, e := range m.entries {
				live[e.file.FilePath()] = true
			}
			continue
		}
		if fresh++; fresh > maxEngineManifests {
			return nil, fmt.Errorf("more than %d new manifests in one commit: %w", maxEngineManifests, schema.ErrTooLarge)
		}
		if err := d.manifest(ctx, f, live); err != nil {
			return nil, err
		}
	}
	return d, d.compare(live)
}

func decodeManifestList(raw []byte) (files []iceberg.ManifestFile, err error) {
	defer damage(&err)
	return iceberg.ReadManifestList(bytes.NewReader(raw))
}

func decodeManifest(f iceberg.ManifestFile, raw []byte) (entries []iceberg.ManifestEntry, err error) {
	defer damage(&err)
	return iceberg.ReadManifest(f, bytes.NewReader(raw), true)
}

// manifest takes one that the base lacks.
func (d *delta) manifest(ctx context.Context, f iceberg.ManifestFile, live map[string]bool) error {
	raw, err := d.read(ctx, f.FilePath())
	if err != nil {
		return err
	}
	entries, err := decodeManifest(f, raw)
	if err != nil {
		return fmt.Errorf("manifest %s: %w: %v", f.FilePath(), schema.ErrInvalid, err)
	}
	for _, e := range entries {
		file := e.DataFile()
		name, err := d.task.engineName(file.FilePath(), "data")
		if err != nil {
			return err
		}
		uri := d.task.lake.uri(name)
		switch {
		case d.base[uri]:
			live[uri] = true
		case file.ContentType() != iceberg.EntryContentData:
			return refused("%s is a delete file, and those of the table are Trine's: delete rows through Trine's own API", file.FilePath())
		case live[uri]:
			return fmt.Errorf("data file %s is named twice: %w", file.FilePath(), schema.ErrInvalid)
		case len(d.added) == maxEngineFiles:
			return fmt.Errorf("more than %d data files in one commit: commit fewer at a time: %w", maxEngineFiles, schema.ErrTooLarge)
		default:
			live[uri] = true
			d.added, d.names = append(d.added, file), append(d.names, name)
		}
	}
	return nil
}

// uris are those of the data and delete files.
func (s *Snapshot) uris() map[string]bool {
	all := make(map[string]bool, len(s.files))
	for i := range s.files {
		all[s.files[i].data.file.FilePath()] = true
		if d := s.files[i].deletes; d != nil {
			all[d.file.FilePath()] = true
		}
	}
	return all
}

// compare finds what the engine took away. A delete file goes with its data file,
// and not before: its rows would come back.
func (d *delta) compare(live map[string]bool) error {
	base := d.task.base
	for i := range base.files {
		f := &base.files[i]
		if !live[f.data.file.FilePath()] {
			d.removed = append(d.removed, f)
			continue
		}
		if f.deletes != nil && !live[f.deletes.file.FilePath()] {
			return refused("the snapshot lacks delete file %s of data file %s, which it keeps", f.deletes.file.FilePath(), f.data.file.FilePath())
		}
	}
	return nil
}

// engineName is the object of the table that an engine means, in one of its
// folders. Hadoop's file systems write file:/x for file:///x.
func (t *commitTask) engineName(uri, folder string) (string, error) {
	plain := uri
	if rest, ok := strings.CutPrefix(uri, "file:/"); ok {
		plain = "file:///" + strings.TrimLeft(rest, "/")
	}
	name, ok := strings.CutPrefix(plain, t.lake.opts.BaseURI+"/")
	if !ok || !strings.HasPrefix(name, string(t.path)+"/"+folder+"/") || path.Clean(name) != name {
		return "", fmt.Errorf("%.512q does not lie in %s: %w", uri, t.lake.uri(string(t.path)+"/"+folder), schema.ErrInvalid)
	}
	return name, nil
}

// read is a manifest or manifest list of the engine.
func (d *delta) read(ctx context.Context, uri string) ([]byte, error) {
	name, err := d.task.engineName(uri, "metadata")
	if err != nil {
		return nil, err
	}
	r, err := d.task.openEngine(ctx, name, uri)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if r.Size() > maxEngineManifest {
		return nil, fmt.Errorf("%s has %d bytes, at most %d: %w", uri, r.Size(), maxEngineManifest, schema.ErrTooLarge)
	}
	raw := make([]byte, r.Size())
	if _, err := r.ReadAt(raw, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: %w", uri, storeError(err))
	}
	if _, mine := bornAt(name); !mine {
		d.scrap = append(d.scrap, name)
	}
	return raw, nil
}

// openEngine opens what an engine says that it wrote.
func (t *commitTask) openEngine(ctx context.Context, name, uri string) (blob.Reader, error) {
	r, err := t.lake.opts.Objects.Open(ctx, name)
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, schema.ErrInvalid) {
		return nil, fmt.Errorf("%s does not exist: %w", uri, schema.ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", uri, storeError(err))
	}
	return r, nil
}

// discard removes the engine's manifests, which no version names. Only objects go
// whose names Trine would not give, so that nothing of its own can be meant.
func (d *delta) discard(ctx context.Context) {
	t := &commitTask{lake: d.task.lake, objects: d.scrap}
	t.cleanUp(ctx)
}
