package sync

import (
	"context"
	"time"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// stretch measures changes chunk by chunk until they are enough for a commit.
type stretch struct {
	limit int64
	goal  schema.Seq
	bytes int64
	since time.Time // of the first
	to    border    // the end, when it is full
	full  bool
}

// add takes what one chunk holds up to a border, and reports whether more is
// wanted.
func (s *stretch) add(end border, micros, bytes int64, count int) bool {
	if s.since.IsZero() {
		s.since = time.UnixMicro(micros)
	}
	if end.next >= s.goal {
		return false
	}
	if s.bytes += bytes + int64(count)*foldOverhead; s.bytes < s.limit {
		return true
	}
	s.to, s.full = end, true
	return false
}

// stretchSegments measures what no pointer leads to any more, and tells where
// pointers go on. A chunk's changes can come in several groups.
func (e *Engine) stretchSegments(ctx context.Context, inst schema.Instance, from schema.Seq, s *stretch) (schema.Seq, error) {
	first := s.goal
	err := e.index.Groups(ctx, inst, from, func(g kvindex.GroupRef) (bool, error) {
		first = g.FirstSeq
		return false, nil
	})
	if err != nil || first <= from || e.log.Archive() == nil {
		return from, err
	}
	var at border // the end of the chunk at hand
	var micros, bytes int64
	count := 0
	for g, err := range e.log.Archive().Read(ctx, inst, from) {
		if err != nil {
			return from, err
		}
		if count > 0 && g.Position != at.position {
			if at.next >= first || !s.add(at, micros, bytes, count) {
				return at.next, nil
			}
			bytes, count = 0, 0
		}
		at, micros = border{g.NextSeq(), g.Position}, g.TimeMicros
		bytes, count = bytes+recordBytes(g.Records), count+len(g.Records)
	}
	if count > 0 && at.next <= first {
		s.add(at, micros, bytes, count)
	}
	return max(from, at.next), nil
}

func recordBytes(records []schema.Record) (n int64) {
	for i := range records {
		n += int64(records[i].Bytes())
	}
	return n
}

// between is Flush.Between of a collection.
func (e *Engine) between(inst schema.Instance) func(context.Context, schema.Seq, schema.Seq) (int64, time.Time, error) {
	return func(ctx context.Context, from, to schema.Seq) (bytes int64, since time.Time, err error) {
		since = e.opts.Now() // of nothing, if all of it was trimmed
		first, err := e.firstSeq(ctx, inst)
		if from = max(from, first); err != nil || from >= to {
			return 0, since, err
		}
		since = time.Time{}
		_, err = e.changes(ctx, inst, from, to, func(ch schema.Change) (bool, error) {
			if since.IsZero() {
				since = time.UnixMicro(ch.TimeMicros)
			}
			bytes += int64(ch.Bytes())
			return true, nil
		})
		return bytes, since, err
	}
}
