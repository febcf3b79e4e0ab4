package arrowhttp

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	stdsync "sync"
	"syscall"
	"time"

	"github.com/trinedb/trine/schema"
)

// spool keeps scans in the file form for a while, as a length and ranges need
// the whole file, and as a client that asks for ranges must get all of them
// from the same one.
//
// A file has no name once it is open, so a crash leaves nothing behind (where
// the system allows that). Files that nobody reads go spoolKeepTime after their
// last use, sooner when there is no room.
type spool struct {
	dir string
	max int64
	now func() time.Time

	mu     stdsync.Mutex
	files  []*spoolFile // newest last
	bytes  int64        // of files and of those being written
	timer  *time.Timer  // nil while there is no file
	closed bool
}

// spoolFile is one scan. All but the fields below mu's line is fixed once it is
// in the spool.
type spoolFile struct {
	spool    *spool
	f        *os.File
	name     string // "" once it has none
	etag     string
	size     int64
	rows     int64
	query    string // collection, schema version and parameters
	nextSeq  schema.Seq
	position schema.Position
	snapshot int64
	built    time.Time

	// Guarded by spool.mu.
	refs    int
	used    time.Time
	clients map[string]bool // who was served from it
	dropped bool
}

func newSpool(dir string, maxBytes int64, now func() time.Time) *spool {
	return &spool{dir: dir, max: maxBytes, now: now}
}

// find gives the newest file of a query that ok accepts, referenced, or nil.
// A client's name is noted with it.
func (s *spool) find(query, client string, ok func(*spoolFile) bool) *spoolFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.files) - 1; i >= 0; i-- {
		if f := s.files[i]; f.query == query && ok(f) {
			f.refs++
			f.noteLocked(client)
			return f
		}
	}
	return nil
}

// servedLocked reports whether a client was served from f; for find's ok.
func (f *spoolFile) servedLocked(client string) bool { return f.clients[client] }

func (f *spoolFile) noteLocked(client string) {
	const most = 1_000
	if len(f.clients) < most {
		f.clients[client] = true
	}
}

// create begins a file; the caller fills it and calls add or discard.
func (s *spool) create() (*spoolFile, error) {
	if s.dir != "" {
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return nil, fmt.Errorf("spool scan: %w", err)
		}
	}
	f, err := os.CreateTemp(s.dir, "trine-scan-*.arrow")
	if err != nil {
		return nil, fmt.Errorf("spool scan: %w", err)
	}
	file := &spoolFile{spool: s, f: f, name: f.Name(), etag: `"` + rand.Text() + `"`, clients: map[string]bool{}}
	if os.Remove(file.name) == nil {
		file.name = ""
	}
	return file, nil
}

// writer writes the file through a buffer, within the spool's bound.
func (f *spoolFile) writer() *bufio.Writer { return bufio.NewWriterSize(spoolWriter{f}, 256<<10) }

type spoolWriter struct{ file *spoolFile }

func (w spoolWriter) Write(p []byte) (int, error) {
	if err := w.file.spool.reserve(int64(len(p))); err != nil {
		return 0, err
	}
	w.file.size += int64(len(p))
	n, err := w.file.f.Write(p)
	if errors.Is(err, syscall.ENOSPC) {
		err = fmt.Errorf("%w: %v", schema.ErrNoSpace, err)
	}
	return n, err
}

// reserve takes room, from files that nobody reads if it must.
func (s *spool) reserve(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.bytes+n > s.max {
		if !s.evictLocked(func(*spoolFile) bool { return true }) {
			return fmt.Errorf("%w: the files being served take %d of %d bytes; use the stream form C/scan.arrows",
				schema.ErrOverloaded, s.bytes, s.max)
		}
	}
	s.bytes += n
	return nil
}

// add makes a filled file findable; its creator holds a reference.
func (s *spool) add(f *spoolFile, client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.refs, f.built = 1, s.now()
	f.noteLocked(client)
	for len(s.files) >= maxSpoolFiles && s.evictLocked(func(*spoolFile) bool { return true }) {
	}
	s.files = append(s.files, f)
	if s.timer == nil && !s.closed {
		s.timer = time.AfterFunc(spoolKeepTime, s.sweep)
	}
}

// discard gives up a file that was not added.
func (f *spoolFile) discard() {
	f.spool.mu.Lock()
	defer f.spool.mu.Unlock()
	f.removeLocked()
}

// release ends a use.
func (f *spoolFile) release() {
	f.spool.mu.Lock()
	defer f.spool.mu.Unlock()
	f.refs--
	f.used = f.spool.now()
	if f.refs == 0 && (f.dropped || f.spool.closed) {
		f.removeLocked()
	}
}

// reader reads the file from its start; readers do not disturb each other.
func (f *spoolFile) reader() io.ReadSeeker { return io.NewSectionReader(f.f, 0, f.size) }

// sweep drops what was not used for a while. It runs only while there are files.
func (s *spool) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.now().Add(-spoolKeepTime)
	for s.evictLocked(func(f *spoolFile) bool { return f.used.Before(old) }) {
	}
	if s.timer = nil; len(s.files) > 0 && !s.closed {
		s.timer = time.AfterFunc(spoolKeepTime/2, s.sweep)
	}
}

// evictLocked drops the oldest file that nobody reads and may accepts.
func (s *spool) evictLocked(may func(*spoolFile) bool) bool {
	for i, f := range s.files {
		if f.refs == 0 && may(f) {
			s.files = append(s.files[:i:i], s.files[i+1:]...)
			f.removeLocked()
			return true
		}
	}
	return false
}

func (f *spoolFile) removeLocked() {
	f.spool.bytes -= f.size
	_ = f.f.Close() // it was only read since; its bytes are of no more use
	if f.name != "" {
		_ = os.Remove(f.name)
	}
}

// close drops all files; those still read go when they are released.
func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	for s.evictLocked(func(*spoolFile) bool { return true }) {
	}
	var err error
	for _, f := range s.files {
		f.dropped = true
		err = errors.New("scan files are still being read")
	}
	s.files = nil
	return err
}
