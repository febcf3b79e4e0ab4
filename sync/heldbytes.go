package sync

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/log/segment"
)

// heldBytes are the trimmed changes that are kept because no copy of the index
// holds their rows, by the segment they are in. One goroutine uses it.
type heldBytes struct {
	bytes  map[segment.Ref]int64
	total  prometheus.Gauge
	onHeld func(int64) // nil: nobody is told
	logger *slog.Logger
}

// tell notes what a segment was found to hold at its last look; segments up to
// chunk copied hold nothing for want of a copy any more.
func (h *heldBytes) tell(set *segment.Set, ref segment.Ref, bytes int64, copied uint64) {
	if bytes == 0 && len(h.bytes) == 0 {
		return
	}
	now := map[segment.Ref]int64{}
	var total int64
	for _, s := range set.Spans() {
		n := h.bytes[s.Ref]
		if s.Ref == ref {
			n = bytes
		}
		if n > 0 && s.To > copied {
			now[s.Ref] = n
			total += n
		}
	}
	h.bytes = now
	h.total.Set(float64(total))
	if bytes > 0 {
		h.logger.Info("trimmed changes are kept until a snapshot of the index holds their rows",
			"segment", ref.Name(), "bytes", bytes, "total", total)
	}
	if h.onHeld != nil && total > 0 {
		h.onHeld(total)
	}
}
