package segment

import (
	"context"
	"fmt"
	"slices"

	"github.com/trinedb/trine/log/record"
	"github.com/trinedb/trine/schema"
)

// Limits of a Builder.
const (
	DefaultTargetBytes = 64 << 20
	MaxTargetBytes     = 1 << 30

	// runOverhead is what a Builder holds for a run beside its records.
	runOverhead = 72
	slabBytes   = 1 << 20
)

// BuilderOptions adjust a Builder.
type BuilderOptions struct {
	Channel uint32
	// TargetBytes is how much a Builder takes before it is full, counted in
	// memory: encoded records and 72 bytes for each group of a chunk. The object
	// is smaller, for it is compressed. Default DefaultTargetBytes, at most
	// MaxTargetBytes.
	TargetBytes int64
}

// Validate reports whether the options can be used.
func (o BuilderOptions) Validate() error {
	if o.TargetBytes < 0 || o.TargetBytes > MaxTargetBytes {
		return fmt.Errorf("segment of %d bytes, want 0 to %d: %w", o.TargetBytes, MaxTargetBytes, schema.ErrInvalid)
	}
	return nil
}

// Builder makes a segment of level 1 from chunks. It holds their records in
// memory until it has written them: about its target and the last chunk, and
// never twice that. It is used by one goroutine.
type Builder struct {
	ref    Ref
	target int64
	info   Info
	runs   []run
	slab   []byte // what is left of the newest piece of memory for records
	bytes  int64
}

// NewBuilder makes a Builder.
func NewBuilder(o BuilderOptions) (*Builder, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("new segment builder: %w", err)
	}
	if o.TargetBytes == 0 {
		o.TargetBytes = DefaultTargetBytes
	}
	return &Builder{ref: Ref{Channel: o.Channel, Level: 1}, target: o.TargetBytes}, nil
}

// Add takes the next chunk, as readers of the log see it: durable, and without
// groups if it is void. The first one can be any; each other one follows the
// one before. The chunk is copied.
func (b *Builder) Add(c *schema.Chunk) error {
	pos := c.Position
	if b.ref.From == 0 {
		b.ref.Generation, b.ref.From, b.ref.To = pos.Generation, pos.Chunk, pos.Chunk-1
		b.info.FirstMicros = c.TimeMicros
	}
	if pos.Chunk == 0 || pos != b.ref.position(b.ref.To+1) {
		return fmt.Errorf("build segment: chunk %v after %v: %w", pos, b.ref.position(b.ref.To), schema.ErrInvalid)
	}
	var before schema.Instance
	for i := range c.Groups {
		g := &c.Groups[i]
		if g.Instance <= before || len(g.Records) == 0 {
			return fmt.Errorf("build segment: chunk %v: group %d of instance %d is empty or out of order: %w", pos, i, g.Instance, schema.ErrInvalid)
		}
		before = g.Instance
	}
	for i := range c.Groups {
		b.addGroup(c, &c.Groups[i])
	}
	if len(c.Groups) == 0 && len(c.Answers) == 0 {
		b.info.Empty = append(b.info.Empty, pos.Chunk)
	}
	b.ref.To = pos.Chunk
	b.info.LastMicros = c.TimeMicros
	b.info.Epoch = max(b.info.Epoch, c.Epoch)
	return nil
}

func (b *Builder) addGroup(c *schema.Chunk, g *schema.Group) {
	size := 0
	for i := range g.Records {
		size += record.Bound(&g.Records[i])
	}
	if size > cap(b.slab)-len(b.slab) {
		b.slab = make([]byte, 0, max(size, slabBytes))
	}
	b.info.Images = b.info.Images || record.HaveImages(g.Records)
	at := len(b.slab)
	for i := range g.Records {
		b.slab = record.Append(b.slab, &g.Records[i])
	}
	records := b.slab[at:len(b.slab):len(b.slab)]
	b.runs = append(b.runs, run{
		instance: g.Instance, first: g.FirstSeq, count: len(g.Records),
		number: c.Position.Chunk, micros: c.TimeMicros, records: records,
	})
	b.bytes += int64(len(records)) + runOverhead
}

// Bytes is how much the Builder holds, as TargetBytes counts.
func (b *Builder) Bytes() int64 { return b.bytes }

// Full reports whether the target is reached: time to call Finish.
func (b *Builder) Full() bool { return b.bytes >= b.target }

// Ref names the segment that Finish would write; its From is 0 before the first
// chunk.
func (b *Builder) Ref() Ref { return b.ref }

// Finish writes the segment and returns when it is durable. On an error it may
// or may not exist, and Finish may be called again. Nothing must be added
// afterwards.
func (b *Builder) Finish(ctx context.Context, to Target) (_ Ref, _ Info, err error) {
	if b.ref.From == 0 {
		return Ref{}, Info{}, fmt.Errorf("build segment of no chunk: %w", schema.ErrInvalid)
	}
	// Runs of one collection have their seqs in the order of their chunks.
	slices.SortFunc(b.runs, func(p, q run) int { return p.compare(&q) })
	w, err := newWriter(ctx, to, b.ref)
	if err != nil {
		return Ref{}, Info{}, err
	}
	defer func() {
		if aerr := w.abort(); err == nil {
			err = aerr
		}
	}()
	w.info = b.info
	for i := range b.runs {
		if i%1024 == 0 && ctx.Err() != nil {
			return Ref{}, Info{}, fmt.Errorf("build segment %v: %w", b.ref, ctx.Err())
		}
		if err := w.add(b.runs[i]); err != nil {
			return Ref{}, Info{}, err
		}
	}
	info, err := w.finish(ctx, to)
	return b.ref, info, err
}
