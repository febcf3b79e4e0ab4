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
	return len(s.lake.overdue(s.meta.Snapshots(), s.lake.opts.SnapshotsKept, 1)) > 0
}

// NextExpiry is when Expire will first have something to do, if nothing is
// committed before; zero if never.
func (s *Snapshot) NextExpiry() time.Time {
	if named := s.Named(); len(named) > 1 {
		return named[0].Time.Add(s.lake.opts.SnapshotAge + time.Millisecond)
	}
	return time.Time{}
}

// Version is the number of the table's version.
func (s *Snapshot) Version() int { return s.version }
