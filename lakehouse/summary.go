package lakehouse

import (
	"maps"
	"strconv"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

func (t *commitTask) operation() table.Operation {
	switch {
	case t.rewrites:
		return table.OpReplace
	case t.deletesN == 0:
		return table.OpAppend
	case len(t.added) == 0:
		return table.OpDelete
	default:
		return table.OpOverwrite
	}
}

// tally counts files and what is in them.
type tally struct {
	files, rows, bytes int64
	vectors            int64 // of files, those that are deletion vectors
}

func (n *tally) add(e *entry) {
	n.files++
	n.rows += e.file.Count()
	n.bytes += e.bytes()
	if e.file.FileFormat() == iceberg.PuffinFile {
		n.vectors++
	}
}

// tallies are a commit's counts of data files and of delete files.
type tallies struct {
	added, removed, total             tally
	addedDel, removedDel, totalDelete tally
}

func (t *commitTask) tallies() (n tallies) {
	for _, e := range t.added {
		n.added.add(e)
		n.total.add(e)
	}
	for _, e := range t.deletes {
		n.addedDel.add(e)
		n.totalDelete.add(e)
	}
	if t.base == nil {
		return n
	}
	for i := range t.base.files {
		f := &t.base.files[i]
		gone := t.gone[f.data.ordinal]
		if gone {
			n.removed.add(f.data)
		} else {
			n.total.add(f.data)
		}
		switch {
		case f.deletes == nil:
		case gone || t.deletes[f.data.ordinal] != nil:
			n.removedDel.add(f.deletes)
		default:
			n.totalDelete.add(f.deletes)
		}
	}
	return n
}

// summary is what the snapshot tells of itself: Trine's progress, and the
// counts that engines expect. Theirs leave out what is zero, but for totals.
func (t *commitTask) summary() iceberg.Properties {
	n := t.tallies()
	p := iceberg.Properties{}
	maps.Copy(p, t.extra)
	for key, v := range map[string]int64{
		"added-data-files":              n.added.files,
		"added-records":                 n.added.rows,
		"added-files-size":              n.added.bytes + n.addedDel.bytes,
		"added-delete-files":            n.addedDel.files,
		"added-position-delete-files":   n.addedDel.files - n.addedDel.vectors,
		"added-dvs":                     n.addedDel.vectors,
		"added-position-deletes":        n.addedDel.rows,
		"deleted-data-files":            n.removed.files,
		"deleted-records":               n.removed.rows,
		"removed-files-size":            n.removed.bytes + n.removedDel.bytes,
		"removed-delete-files":          n.removedDel.files,
		"removed-position-delete-files": n.removedDel.files - n.removedDel.vectors,
		"removed-dvs":                   n.removedDel.vectors,
		"removed-position-deletes":      n.removedDel.rows,
	} {
		if v > 0 {
			p[key] = strconv.FormatInt(v, 10)
		}
	}
	for key, v := range map[string]int64{
		"total-data-files":       n.total.files,
		"total-records":          n.total.rows,
		"total-files-size":       n.total.bytes + n.totalDelete.bytes,
		"total-delete-files":     n.totalDelete.files,
		"total-position-deletes": n.totalDelete.rows,
		"total-equality-deletes": 0,
	} {
		p[key] = strconv.FormatInt(v, 10)
	}
	t.progress.addTo(p)
	return p
}
