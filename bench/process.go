package bench

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// footprint is what the process holds when it rests.
type footprint struct {
	heap       int64 // bytes that are reachable
	resident   int64 // bytes in memory, files mapped included; 0 if not known
	anonymous  int64 // of these, without those files; 0 if not known
	goroutines int
}

// rest collects garbage, gives it back, and looks.
func rest() (f footprint) {
	runtime.GC() // finalizers of the first may free more for the second
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.heap = int64(m.HeapAlloc)
	f.goroutines = runtime.NumGoroutine()
	f.resident, f.anonymous, _ = residentBytes()
	return f
}

// residentBytes is what Linux says of this process; elsewhere it fails.
func residentBytes() (resident, anonymous int64, err error) {
	data, err := os.ReadFile("/proc/self/statm")
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
