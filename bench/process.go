package bench

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// footprint is what the process holds when it rests.
type footprint struct {
	heap       int64 // bytes that are reachable
	resident   int64 // bytes in memory, files mapped included; 0 if not known
	anonymous  int64 // of these, without those files; 0 if not known
	goroutines int
}

// How settle finds that nothing goes on: in one look's time hardly anything is
// allocated. It does not wait for longer than maxSettle.
const (
	settleLook  = 100 * time.Millisecond
	settleBytes = 256 << 10
	maxSettle   = time.Minute
)

// settle waits until what a start does in the background is over, and tells how
// long it waited.
func settle(ctx context.Context) time.Duration {
	start := time.Now()
	var before, m runtime.MemStats
	runtime.ReadMemStats(&before)
	for time.Since(start) < maxSettle {
		select {
		case <-ctx.Done():
			return time.Since(start)
		case <-time.After(settleLook):
		}
		runtime.ReadMemStats(&m)
		if m.TotalAlloc-before.TotalAlloc < settleBytes {
			break
		}
		before = m
	}
	return time.Since(start)
}

// rest collects garbage, gives it back, and looks.
func rest() (f footprint) {
	runtime.GC() // finalizers of the first may free more for the second
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.heap = int64(m.HeapAlloc)
	f.goroutines = runtime.NumGoroutine()
	f.resident, f.anonymous, _ = residentBytes(os.Getpid())
	return f
}

// residentBytes is what Linux says of a process; elsewhere it fails.
func residentBytes(pid int) (resident, anonymous int64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read memory of the process: %w", err)
	}
	fields := strings.Fields(string(data)) // size resident shared …, in pages
	if len(fields) < 3 {
		return 0, 0, fmt.Errorf("read memory of the process: %q", data)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("read memory of the process: %w", err)
	}
	shared, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("read memory of the process: %w", err)
	}
	page := int64(os.Getpagesize())
	return pages * page, (pages - shared) * page, nil
}
