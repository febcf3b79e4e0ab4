package log

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of what one zone may be behind: PUTs that go on although two other
// zones made their chunk durable. Beyond it the zone is passed over, and given
// its chunks by repair.
const (
	maxLagPuts  = 64
	maxLagBytes = 64 << 20
)

// demotion is how long a zone that failed or was slow is read from last.
const demotion = 5 * time.Second

// zone is one of three stores and how it is doing.
type zone struct {
	Zone
	stored, failed, skipped, repaired prometheus.Counter
	missing                           prometheus.Gauge

	mu        sync.Mutex
	lagPuts   int
	lagBytes  int64
	holes     holes
	repairing bool
	demoted   time.Time // until when
}

func newZone(s Zone, m *metrics) *zone {
	return &zone{
		Zone: s, stored: m.zonePuts.WithLabelValues(s.Name, "stored"), failed: m.zonePuts.WithLabelValues(s.Name, "failed"),
		skipped: m.zonePuts.WithLabelValues(s.Name, "skipped"), repaired: m.zonePuts.WithLabelValues(s.Name, "repaired"),
		missing: m.zoneHoles.WithLabelValues(s.Name),
	}
}

func (z *zone) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("zone %s: %w", z.Name, err)
}

// lagging reports whether the zone is too far behind to be sent more.
func (z *zone) lagging() bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.lagPuts >= maxLagPuts || z.lagBytes >= maxLagBytes
}

// lag notes that n PUTs of so many bytes go on, or ended if that is negative.
func (z *zone) lag(puts, bytes int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.lagPuts += puts
	z.lagBytes += int64(bytes)
}

// demote has the zone read from last for a while.
func (z *zone) demote() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.demoted = time.Now().Add(demotion)
}

func (z *zone) isDemoted() bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return time.Now().Before(z.demoted)
}

// miss notes that the zone lacks chunk n, and reports whether somebody has to
// begin to repair it.
func (z *zone) miss(n uint64) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.holes.add(n)
	z.missing.Set(float64(z.holes.count()))
	begin := !z.repairing
	z.repairing = true
	return begin
}

// nextHole is the first chunk that the zone lacks; without one, repair is over.
func (z *zone) nextHole() (uint64, bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	n, ok := z.holes.first()
	z.repairing = ok
	return n, ok
}

// filled notes that the zone lacks chunk n no more.
func (z *zone) filled(n uint64) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.holes.remove(n)
	z.missing.Set(float64(z.holes.count()))
}

// abandon ends the repair of the zone.
func (z *zone) abandon() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.repairing = false
}
