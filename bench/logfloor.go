package bench

import (
	"crypto/rand"
	"fmt"
	"os"
	"time"
)

// fsyncLoop appends to one open file and fsyncs it: the least that a durable
// write on a disk is.
type fsyncLoop struct {
	file  *os.File
	times *latencies
	data  []byte
}

func newFsyncLoop(path string) (*fsyncLoop, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("make floor's file: %w", err)
	}
	l := &fsyncLoop{file: f, times: newLatencies(1), data: make([]byte, 1<<20)}
	rand.Read(l.data)
	return l, nil
}

// repeat writes that many bytes with that many fsyncs, and tells how long it
// took. The file begins anew each time, so that it stays small and grows as a
// log does.
func (l *fsyncLoop) repeat(fsyncs int, bytes int64) (time.Duration, error) {
	if err := l.file.Truncate(0); err != nil {
		return 0, fmt.Errorf("floor: %w", err)
	}
	if _, err := l.file.Seek(0, 0); err != nil {
		return 0, fmt.Errorf("floor: %w", err)
	}
	fsyncs = max(fsyncs, 1)
	start := time.Now()
	for i := range int64(fsyncs) {
		begin := time.Now()
		if err := l.write(bytes*(i+1)/int64(fsyncs) - bytes*i/int64(fsyncs)); err != nil {
			return 0, fmt.Errorf("floor: %w", err)
		}
		l.times.add(0, time.Since(begin))
	}
	return time.Since(start), nil
}

func (l *fsyncLoop) write(bytes int64) error {
	for bytes > 0 {
		n, err := l.file.Write(l.data[:min(bytes, int64(len(l.data)))])
		if err != nil {
			return err
		}
		bytes -= int64(n)
	}
	return l.file.Sync()
}

func (l *fsyncLoop) each() *latencies { return l.times }

func (l *fsyncLoop) close() error { return l.file.Close() }
