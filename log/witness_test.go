package log_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// witness holds what all owners of a channel publish against each other: a
// position has one content, whoever tells of it.
type witness struct {
	t  testing.TB
	mu sync.Mutex

	chunks map[uint64]string
}

func (w *witness) saw(who string, c *schema.Chunk) {
	var b strings.Builder
	for _, g := range c.Groups {
		fmt.Fprintf(&b, "%d@%d", g.Instance, g.FirstSeq)
		for _, r := range g.Records {
			fmt.Fprintf(&b, " %s", r.Row)
		}
		b.WriteString("; ")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	was, ok := w.chunks[c.Position.Chunk]
	if ok && was != b.String() {
		w.t.Errorf("%s: chunk %v holds %q, was seen as %q", who, c.Position, b.String(), was)
	}
	w.chunks[c.Position.Chunk] = b.String()
}

type witnessed struct {
	log.Stager
	w *witness
}

func (s witnessed) Publish(c *schema.Chunk) {
	s.w.saw("published", c)
	s.Stager.Publish(c)
}

func (w *witness) stager(x *fakeIndex) log.Stager { return witnessed{x, w} }

func (w *witness) catchUp(x *fakeIndex) func(context.Context, *schema.Chunk) error {
	return func(ctx context.Context, c *schema.Chunk) error {
		w.saw("caught up", c)
		return x.catchUp(ctx, c)
	}
}
