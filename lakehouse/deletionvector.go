package lakehouse

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/puffin"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// puffinBytes is about how large a Puffin file gets before the next vectors go to
// another: it stays as long as one of its vectors is in the table.
const puffinBytes = 8 << 20

// deletionVectors keeps the deletes of each data file in a Roaring bitmap, as format
// version 3 has it. Those of one commit share a Puffin file.
type deletionVectors struct{ lake *Lake }

func (d deletionVectors) write(ctx context.Context, path tablePath, files []fileDeletes, wrote func(name string)) ([]*entry, error) {
	entries := make([]*entry, 0, len(files))
	for len(files) > 0 {
		some, err := d.writeFile(ctx, path, files, wrote)
		if err != nil {
			return nil, err
		}
		entries, files = append(entries, some...), files[len(some):]
	}
	return entries, nil
}

// writeFile writes a Puffin file with the vectors of the first data files.
func (d deletionVectors) writeFile(ctx context.Context, path tablePath, files []fileDeletes, wrote func(name string)) ([]*entry, error) {
	name := path.vectorFile(d.lake.newID())
	raw, blobs, err := encodePuffin(files)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	if err := d.lake.opts.Objects.PutIfAbsent(ctx, name, raw); err != nil {
		return nil, fmt.Errorf("put %s: %w", name, storeError(err))
	}
	wrote(name)
	entries := make([]*entry, len(blobs))
	for i, b := range blobs {
		builder, err := files[i].describe(d.lake.uri(name), iceberg.PuffinFile, len(raw))
		if err != nil {
			return nil, err
		}
		entries[i] = files[i].entry(builder.ContentOffset(b.Offset).ContentSizeInBytes(b.Length))
	}
	return entries, nil
}

// encodePuffin is a Puffin file with the vectors of as many of the first data files
// as go into one, and where they lie in it.
func encodePuffin(files []fileDeletes) (raw []byte, blobs []puffin.BlobMetadata, err error) {
	var buf bytes.Buffer
	w, err := puffin.NewWriter(&buf)
	if err == nil {
		err = w.SetCreatedBy("trine")
	}
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		if len(blobs) > 0 && buf.Len() >= puffinBytes {
			break
		}
		vector, err := encodeVector(f.rows)
		if err != nil {
			return nil, nil, err
		}
		blob, err := w.AddBlob(puffin.BlobMetadataInput{
			Type: puffin.BlobTypeDeletionVector, SnapshotID: -1, SequenceNumber: -1, Fields: []int32{},
			Properties: map[string]string{
				"cardinality":          strconv.Itoa(len(f.rows)),
				"referenced-data-file": f.data.file.FilePath(),
			},
		}, vector)
		if err != nil {
			return nil, nil, err
		}
		blobs = append(blobs, blob)
	}
	if err := w.Finish(); err != nil {
		return nil, nil, err
	}
	return buf.Bytes(), blobs, nil
}

// pairVectors finds the data files of deletion vectors that were read: unlike the name
// of a position-delete file, that of a Puffin file does not tell.
func (s *Snapshot) pairVectors() error {
	var data map[string]*entry // by URI
	for _, m := range s.manifests {
		for _, e := range m.entries {
			if !e.unpaired {
				continue
			}
			if data == nil {
				data = s.dataByURI()
			}
			target := e.file.ReferencedDataFile()
			if target == nil || data[*target] == nil {
				return fmt.Errorf("deletion vector in %s is of a data file that the table lacks: %w", e.file.FilePath(), schema.ErrCorrupt)
			}
			e.ordinal, e.unpaired = data[*target].ordinal, false
		}
	}
	return nil
}

func (s *Snapshot) dataByURI() map[string]*entry {
	data := map[string]*entry{}
	for _, m := range s.manifests {
		for _, e := range m.entries {
			if e.file.ContentType() == iceberg.EntryContentData {
				data[e.file.FilePath()] = e
			}
		}
	}
	return data
}

// read finds vectors by the manifest alone: a Puffin footer repeats what that says,
// and is left to other readers.
func (d deletionVectors) read(ctx context.Context, files []iceberg.DataFile) ([][]uint32, error) {
	all, open := make([][]uint32, len(files)), map[string]blob.Reader{}
	defer func() {
		for _, object := range open {
			_ = object.Close()
		}
	}()
	for i, file := range files {
		uri := file.FilePath()
		offset, length, err := vectorPlace(file)
		if err != nil {
			return nil, err
		}
		if open[uri] == nil {
			object, _, err := d.lake.openURI(ctx, uri)
			if err != nil {
				return nil, err
			}
			open[uri] = object
		}
		if size := open[uri].Size(); size != file.FileSizeBytes() {
			return nil, fmt.Errorf("read %s: %d bytes, its manifest says %d: %w", uri, size, file.FileSizeBytes(), schema.ErrCorrupt)
		}
		raw := make([]byte, length)
		if n, err := open[uri].ReadAt(raw, offset); err != nil && (err != io.EOF || int64(n) < length) {
			return nil, fmt.Errorf("read %s at offset %d: %w", uri, offset, storeError(err))
		}
		if all[i], err = decodeVector(raw, file.Count()); err != nil {
			return nil, fmt.Errorf("read %s at offset %d: %w: %w", uri, offset, schema.ErrCorrupt, err)
		}
	}
	return all, nil
}

// vectorPlace is where in its Puffin file a manifest says that a vector lies.
func vectorPlace(file iceberg.DataFile) (offset, length int64, err error) {
	at, n, size := file.ContentOffset(), file.ContentSizeInBytes(), file.FileSizeBytes()
	if at == nil || n == nil {
		return 0, 0, fmt.Errorf("deletion vector in %s: its manifest does not say where: %w", file.FilePath(), schema.ErrCorrupt)
	}
	if *at < puffin.MagicSize || *n < vectorMin || *n > size || *at > size-*n {
		return 0, 0, fmt.Errorf("deletion vector of %d bytes in %s at offset %d, which has %d bytes: %w", *n, file.FilePath(), *at, size, schema.ErrCorrupt)
	}
	if *n > maxVectorBytes {
		return 0, 0, fmt.Errorf("deletion vector of %d bytes in %s at offset %d: %w", *n, file.FilePath(), *at, schema.ErrTooLarge)
	}
	return *at, *n, nil
}
