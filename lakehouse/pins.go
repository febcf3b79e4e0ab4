package lakehouse

import "sync"

// pins counts the readers of snapshots in this process: the files of a pinned
// one are not removed. There is an entry for each snapshot that is being read.
type pins struct {
	mu   sync.Mutex
	held map[pin]int
}

type pin struct {
	table    tablePath
	snapshot int64
}

func newPins() *pins { return &pins{held: map[pin]int{}} }

// Pin keeps the snapshot's files until the function that it gives is called,
// once or more. It is called soon after the snapshot was found: files of one that
// is no longer named stay for Options.FileGrace in any case.
func (s *Snapshot) Pin() (unpin func()) {
	p, key := s.lake.pins, pin{s.table, s.id}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held[key]++
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.held[key]--; p.held[key] == 0 {
			delete(p.held, key)
		}
	})
}

// pinnedTable reports whether any snapshot of a table is pinned. It looks at all that
// are being read in this process.
func (p *pins) pinnedTable(table tablePath) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range p.held {
		if key.table == table {
			return true
		}
	}
	return false
}

func (p *pins) pinned(table tablePath, snapshot int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held[pin{table, snapshot}] > 0
}
