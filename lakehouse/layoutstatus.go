package lakehouse

import (
	"fmt"

	"github.com/trinedb/trine/schema"
)

// LayoutStatus is how a snapshot's files are partitioned and sorted.
type LayoutStatus struct {
	SpecID      int
	Partition   []schema.PartitionField
	Partitions  int // of the files, whatever their spec; of an unpartitioned table 1 if it has files
	OldFiles    int // data files of another spec, which compaction brings over
	SortOrderID int
	Sort        []schema.SortField // none: by key, or by seq
	OtherOrder  int                // data files of another order, which get it when they are rewritten
}

// Layout tells how the table is laid out.
func (s *Snapshot) Layout(sch *schema.Schema) (LayoutStatus, error) {
	l, err := s.layout(sch)
	if err != nil {
		return LayoutStatus{}, fmt.Errorf("layout of %s: %w", s.table, err)
	}
	status := LayoutStatus{SpecID: l.spec.id(), Partition: l.spec.fields, SortOrderID: l.order.id, Sort: l.order.fields}
	partitions := map[string]bool{}
	for i := range s.files {
		e := s.files[i].data
		partitions[e.specKey()] = true
		if e.spec.id() != l.spec.id() {
			status.OldFiles++
		}
		if e.sortOrder() != l.order.id {
			status.OtherOrder++
		}
	}
	status.Partitions = len(partitions)
	return status, nil
}
