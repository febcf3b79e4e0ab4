package lakehouse

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// Files holds a table's immutable files: stores of package blob do.
type Files interface {
	Get(ctx context.Context, name string) ([]byte, error)
	Open(ctx context.Context, name string) (blob.Reader, error)
	Create(ctx context.Context, name string) (blob.Writer, error)
	PutIfAbsent(ctx context.Context, name string, data []byte) error
}

// Folder finds and removes files, and holds the one that changes, the hint.
type Folder interface {
	List(ctx context.Context, prefix, after string) iter.Seq2[string, error]
	Delete(ctx context.Context, name string) error
	Read(ctx context.Context, name string) ([]byte, blob.Version, error)
	Swap(ctx context.Context, name string, old blob.Version, data []byte) (blob.Version, error)
}

// Objects is the store that tables live in, under names relative to
// Options.BaseURI. It is used concurrently and must keep the guarantees of
// package blob.
type Objects interface {
	Files
	Folder
}

// tablePath is the folder of one collection's table, without a final slash.
type tablePath string

func tableOf(c *schema.Collection) tablePath {
	return tablePath(fmt.Sprintf("%s/%s-%016x", c.Tenant, c.Name, uint64(c.Instance)))
}

func (p tablePath) version(n int) string {
	return string(p) + "/metadata/v" + strconv.Itoa(n) + ".metadata.json"
}

func (p tablePath) hint() string { return string(p) + "/metadata/version-hint.text" }

func (p tablePath) floor() string { return string(p) + "/metadata/floor" }

func (p tablePath) manifest(commit uuid.UUID, n int) string {
	return fmt.Sprintf("%s/metadata/%s-m%d.avro", p, commit, n)
}

func (p tablePath) manifestList(snapshot int64, commit uuid.UUID) string {
	return fmt.Sprintf("%s/metadata/snap-%d-%s.avro", p, snapshot, commit)
}

func (p tablePath) dataFile(ordinal uint32, id uuid.UUID) string {
	return fmt.Sprintf("%s/data/%08d-%s.parquet", p, ordinal, id)
}

func (p tablePath) deleteFile(ordinal uint32, id uuid.UUID) string {
	return fmt.Sprintf("%s/data/%08d-%s-deletes.parquet", p, ordinal, id)
}

func (p tablePath) vectorFile(id uuid.UUID) string {
	return fmt.Sprintf("%s/data/%s-deletes.puffin", p, id)
}

// parseOrdinal reads the ordinal of a data or position-delete file from its URI.
func parseOrdinal(uri string) (uint32, error) {
	name := uri[strings.LastIndexByte(uri, '/')+1:]
	digits, _, ok := strings.Cut(name, "-")
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || err != nil {
		return 0, fmt.Errorf("data file %s: name has no ordinal: %w", uri, schema.ErrCorrupt)
	}
	return uint32(n), nil
}

// uri is how engines call an object.
func (l *Lake) uri(name string) string { return l.opts.BaseURI + "/" + name }

// name is the object that a URI means.
func (l *Lake) name(uri string) (string, error) {
	name, ok := strings.CutPrefix(uri, l.opts.BaseURI+"/")
	if !ok {
		return "", fmt.Errorf("object %s lies outside the lake at %s: %w", uri, l.opts.BaseURI, schema.ErrCorrupt)
	}
	return name, nil
}

// readURI is the content of the object that a URI means. What a version names
// must exist, so its absence is corruption.
func (l *Lake) readURI(ctx context.Context, uri string) ([]byte, error) {
	name, err := l.name(uri)
	if err != nil {
		return nil, err
	}
	data, err := l.opts.Objects.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", uri, missingIsCorrupt(err))
	}
	return data, nil
}

// seeker is a Reader as the Parquet and Arrow readers want it.
type seeker struct{ *io.SectionReader }

func (l *Lake) openURI(ctx context.Context, uri string) (blob.Reader, seeker, error) {
	name, err := l.name(uri)
	if err != nil {
		return nil, seeker{}, err
	}
	r, err := l.opts.Objects.Open(ctx, name)
	if err != nil {
		return nil, seeker{}, fmt.Errorf("open %s: %w", uri, missingIsCorrupt(err))
	}
	return r, seeker{io.NewSectionReader(r, 0, r.Size())}, nil
}
