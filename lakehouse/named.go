package lakehouse

import "time"

// Named are the snapshots that the version names, oldest first, the last being
// this one: their ids and times.
func (s *Snapshot) Named() []SnapshotRef {
	all := s.meta.Snapshots()
	refs := make([]SnapshotRef, len(all))
	for i := range all {
		refs[i] = SnapshotRef{ID: all[i].SnapshotID, Time: time.UnixMilli(all[i].TimestampMs)}
	}
	return refs
}

// SnapshotRef is a snapshot that a version names.
type SnapshotRef struct {
	ID   int64
	Time time.Time
}

// Overdue reports whether Expire has something to do.
func (s *Snapshot) Overdue() bool {
	past := s.lake.past(s.meta)
	return !past.empty()
}

// NextExpiry is when Expire will first have something to do, if nothing is
// committed before; zero if never.
func (s *Snapshot) NextExpiry() (next time.Time) {
	tags := tagsOf(s.meta)
	tagged := map[int64]bool{s.id: true}
	for _, ref := range tags {
		tagged[ref.SnapshotID] = true
		if end, ok := s.lake.tagEnd(s.meta, ref); ok && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	for _, named := range s.Named() {
		if tagged[named.ID] {
			continue
		}
		if end := named.Time.Add(s.lake.opts.SnapshotAge + time.Millisecond); next.IsZero() || end.Before(next) {
			next = end
		}
	}
	return next
}

// Version is the number of the table's version.
func (s *Snapshot) Version() int { return s.version }
