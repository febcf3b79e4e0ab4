package enginetest_test

import (
	"errors"
	"slices"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// cutScan is a scan that was cut somewhere, and the rows that it still had to give.
type cutScan struct {
	scan query.Scan // with Resume
	rest []string
}

// cut reads a scan to its end, and keeps a random place of it.
func (s *upkeepSim) cut() {
	s.t.Helper()
	q := query.Scan{Columns: []string{"id", "name", "_seq"}}
	switch next, _ := s.r.channel.NextSeq(s.t.Context(), s.c.Instance); s.random.IntN(4) {
	case 0:
		q.Where = "id < 40"
	case 1:
		if next > 0 {
			at := next - 1 - schema.Seq(s.random.Int64N(min(20, int64(next))))
			q.AtSeq = &at
		}
	}
	scan, err := s.r.engine.Scan(s.t.Context(), s.c, q)
	if err != nil {
		s.t.Fatalf("scan to cut: %v", err)
	}
	var rows []string
	var points []query.ScanPlace // behind each row
	for batch, err := range scan.Batches {
		if err != nil {
			s.t.Fatalf("scan to cut: %v", err)
		}
		begin := scan.Place()
		for i := range int(batch.NumRows()) {
			place := begin
			place.Rows += int64(i) + 1
			points = append(points, place)
			rows = append(rows, batch.Column(0).ValueStr(i)+" "+batch.Column(1).ValueStr(i)+" "+batch.Column(2).ValueStr(i))
		}
	}
	if len(rows) == 0 || scan.State == nil {
		return
	}
	i := s.random.IntN(len(rows))
	q.Resume = &query.ScanPoint{State: *scan.State, Place: points[i]}
	s.cuts = append(s.cuts, cutScan{q, rows[i+1:]})
}

// resume goes on with a scan that was cut: it gives the rest, or says that it cannot.
func (s *upkeepSim) resume() {
	s.t.Helper()
	if len(s.cuts) == 0 {
		return
	}
	i := s.random.IntN(len(s.cuts))
	cut := s.cuts[i]
	s.counts["resumes"]++
	scan, err := s.r.engine.Scan(s.t.Context(), s.c, cut.scan)
	if errors.Is(err, schema.ErrTrimmed) {
		s.counts["resumes too late"]++
		s.cuts = slices.Delete(s.cuts, i, i+1)
		return
	}
	if err != nil {
		s.t.Fatalf("resume: %v", err)
	}
	if got, err := textRows(scan); err != nil || !slices.Equal(got, cut.rest) {
		s.t.Fatalf("resume at %+v: %v\n got %q\nwant %q", cut.scan.Resume, err, got, cut.rest)
	}
}
