package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/trinedb/trine/schema"
)

// Options say where the snapshots of a channel are. Store is needed; the zero
// value of all others is the documented default.
type Options struct {
	Store   Store
	Channel uint32
	// BytesPerSecond bounds what is read from the index's disk for hashing and
	// uploading. Default 64 MiB; negative: no bound.
	BytesPerSecond int64
	// Grace is how long a snapshot is kept after it was taken, though it is not
	// among the newest two: restores that fetch it should end. Default 10 minutes.
	Grace time.Duration
	// Progress is told now and then how far Take and Restore are, by one goroutine
	// at a time. Default: nobody is told.
	Progress func(Progress)

	Logger *slog.Logger     // default: nothing is logged
	Now    func() time.Time // default time.Now
}

// Progress is how far a copy is.
type Progress struct {
	Bytes, TotalBytes int64 // the total grows while what is in memory is being copied
}

const (
	defaultBytesPerSecond = 64 << 20
	defaultGrace          = 10 * time.Minute
	// partBytes is how much is copied between looks at the rate and the context.
	partBytes = 256 << 10
	// keep is how many snapshots are always kept.
	keep = 2
)

// Info tells of a snapshot.
type Info struct {
	Number   uint64
	Epoch    schema.Epoch
	Position schema.Position // the last chunk whose every change is in it
	Created  time.Time       // by the clock of who took it
	Tables   int
	Bytes    int64

	// Of Take alone.
	UploadedTables int
	UploadedBytes  int64
	Held           time.Duration // how long commits to the index had to wait
}

// Snapshots are those of one channel. It is safe for concurrent use; one call
// of Take, Collect and Restore works at a time.
type Snapshots struct {
	o     Options
	limit *rate.Limiter

	mu       sync.Mutex
	sums     sums
	distrust bool // a snapshot turned out damaged: nothing is named again
}

// New makes the snapshots of a channel accessible. It does no I/O.
func New(o Options) *Snapshots {
	o.BytesPerSecond = cmp.Or(o.BytesPerSecond, defaultBytesPerSecond)
	o.Grace = cmp.Or(o.Grace, defaultGrace)
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Snapshots{o: o, limit: rate.NewLimiter(rate.Inf, partBytes)}
	if o.BytesPerSecond > 0 {
		s.limit = rate.NewLimiter(rate.Limit(o.BytesPerSecond), partBytes)
	}
	return s
}

// List tells of all snapshots, the newest first. Those that cannot be read are
// left out.
func (s *Snapshots) List(ctx context.Context) ([]Info, error) {
	numbers, err := s.numbers(ctx)
	if err != nil {
		return nil, err
	}
	var infos []Info
	for _, n := range numbers {
		m, err := s.read(ctx, n)
		if errors.Is(err, schema.ErrNotFound) {
			continue // collected meanwhile
		}
		if unusable(err) {
			s.o.Logger.Warn("index snapshot cannot be read", "snapshot", n, "error", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, m.info())
	}
	return infos, nil
}

// Newest is the newest snapshot that can be read, that accept takes and whose
// tables are there; their bytes are not compared. schema.ErrNotFound: there is none.
func (s *Snapshots) Newest(ctx context.Context, accept func(Info) bool) (Info, error) {
	numbers, err := s.numbers(ctx)
	if err != nil {
		return Info{}, err
	}
	there, err := s.tablesThere(ctx)
	if err != nil {
		return Info{}, err
	}
	for _, n := range numbers {
		m, err := s.read(ctx, n)
		if unusable(err) || errors.Is(err, schema.ErrNotFound) {
			continue
		}
		if err != nil {
			return Info{}, err
		}
		if _, missing := m.missing(there); !missing && accept(m.info()) {
			return m.info(), nil
		}
	}
	return Info{}, fmt.Errorf("index snapshots of channel %d: none of %d will do: %w", s.o.Channel, len(numbers), schema.ErrNotFound)
}

// tablesThere are the tables in the store.
func (s *Snapshots) tablesThere(ctx context.Context) (map[tableID]struct{}, error) {
	there := make(map[tableID]struct{})
	for name, err := range s.o.Store.List(ctx, tablePrefix(s.o.Channel)) {
		if err != nil {
			return nil, fmt.Errorf("list tables of index snapshots: %w", err)
		}
		if id, ok := parseTableName(s.o.Channel, name); ok {
			there[id] = struct{}{}
		}
	}
	return there, nil
}

// missing finds a table that is not there.
func (m *manifest) missing(there map[tableID]struct{}) (tableID, bool) {
	for i := range m.tables {
		if _, ok := there[m.tables[i].tableID]; !ok {
			return m.tables[i].tableID, true
		}
	}
	return tableID{}, false
}

// unusable reports whether a manifest is there and of no use.
func unusable(err error) bool {
	return errors.Is(err, schema.ErrCorrupt) || errors.Is(err, schema.ErrUnsupported)
}

// numbers are those of all manifests, the highest first.
func (s *Snapshots) numbers(ctx context.Context) ([]uint64, error) {
	var numbers []uint64
	for name, err := range s.o.Store.List(ctx, manifestPrefix(s.o.Channel)) {
		if err != nil {
			return nil, fmt.Errorf("list index snapshots of channel %d: %w", s.o.Channel, err)
		}
		if n, ok := parseManifestName(s.o.Channel, name); ok {
			numbers = append(numbers, n)
		}
	}
	slices.SortFunc(numbers, func(a, b uint64) int { return cmp.Compare(b, a) })
	return numbers, nil
}

// read reads a manifest.
func (s *Snapshots) read(ctx context.Context, number uint64) (*manifest, error) {
	name := manifestName(s.o.Channel, number)
	r, err := s.o.Store.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read index snapshot %d: %w", number, err)
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(io.LimitReader(r, maxManifestBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read index snapshot %d: %w", number, err)
	}
	if len(data) > maxManifestBytes {
		return nil, fmt.Errorf("index snapshot %d: manifest of more than %d bytes: %w", number, maxManifestBytes, schema.ErrCorrupt)
	}
	m, err := decodeManifest(s.o.Channel, number, data)
	if err != nil {
		return nil, fmt.Errorf("index snapshot %d: %w", number, err)
	}
	return m, nil
}

func (m *manifest) info() Info {
	return Info{
		Number: m.number, Epoch: m.epoch, Position: m.position, Created: time.UnixMicro(m.createdMicros).UTC(),
		Tables: len(m.tables), Bytes: m.totalBytes(),
	}
}
