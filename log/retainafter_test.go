package log_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// looking counts the looks at segments, and keeps all of them.
type looking struct{ looks atomic.Int64 }

func (l *looking) Retain(context.Context, *segment.Archive, segment.Span) (log.Retained, error) {
	l.looks.Add(1)
	return log.Retained{}, nil
}

func (l *looking) Kept(context.Context, *segment.Archive, uint64) (func(schema.Instance) schema.Seq, error) {
	return nil, nil
}

// TestRetainAfter demands that a segment is looked at first when RetainAfter says,
// counted from when it was made, or was found by a start.
func TestRetainAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l looking
		a := openArchiveClock(t, func(o *log.SegmentOptions) {
			o.Retainer, o.RetainAfter = &l, 30*time.Minute
		})
		a.write(5)
		a.pass(2 * time.Minute)
		if a.c.Archived().IsZero() {
			t.Fatal("no segment was made in two minutes")
		}
		for _, from := range []string{"made", "found"} {
			before := l.looks.Load()
			a.pass(27 * time.Minute)
			if n := l.looks.Load() - before; n != 0 {
				t.Errorf("%d looks at a segment less than half an hour after it was %s", n, from)
			}
			a.pass(4 * time.Minute)
			if n := l.looks.Load() - before; n != 1 {
				t.Errorf("%d looks at a segment half an hour after it was %s, want 1", n, from)
			}
			a.reopen()
		}
	})
}
