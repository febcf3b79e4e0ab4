package lakehouse

import (
	"cmp"
	"slices"

	"github.com/trinedb/trine/schema"
)

// Rules of what is rewritten.
const (
	// rewriteDeletedShare is the share of deleted rows from which on a file is
	// rewritten: 1/5. A table that is churned through then takes at most a quarter
	// more than its live rows.
	rewriteDeletedShare = 5
	// rewriteWornPart is the part of the target size that the deleted rows must
	// take: 1/128, or 1 MiB. Less is not worth a commit of its own.
	rewriteWornPart = 128
	// rewriteLeast is how many small files are worth a rewrite.
	rewriteLeast = 4
	// rewriteMost bounds the files that are merged at once: each has a row group
	// of its own in memory.
	rewriteMost = 64
	// rewriteRows bounds the rows that are moved at once, and with them the time
	// that it takes to tell the index of them. One file may have more.
	rewriteRows = 1 << 21
)

// PlanRewrite chooses the data files that are best rewritten next, by ascending
// ordinal; nil means that nothing is worth it. Rewritten are, partition by partition,
//
//   - small files, of less than half the target size, once there are four that go
//     together. A file is only merged with others that together are at least as
//     large, so that a row is rewritten a number of times that is the logarithm
//     of the target size, not of the number of flushes. Files of an append-only
//     table go together if they are neighbours in seq order.
//   - files of which a fifth of the rows or more is deleted, and not next to nothing.
//
// Those of several partitions are rewritten at once, as far as they fit. After
// these come the files of an older partition spec, all of them. Files of an older
// sort order get the newer one when they are rewritten for another reason.
func (s *Snapshot) PlanRewrite(sch *schema.Schema) []uint32 {
	all := &rewritePlan{target: s.lake.opts.TargetFileBytes}
	partitions, old := s.partitions()
	for _, files := range partitions {
		p := &rewritePlan{target: all.target}
		if sch.Keyed() {
			p.keyed(files)
		} else {
			p.appended(files)
		}
		all.join(p)
	}
	for _, f := range old {
		if all.room(f) {
			all.choose(f)
		}
	}
	slices.Sort(all.chosen)
	return all.chosen
}

// partitions are the files by partition of the table's spec, those written first
// first, and the files of other specs. What an engine appended has no place in the
// order of a table without a key, and is left as it is.
func (s *Snapshot) partitions() (partitions [][]*tableFile, old []*tableFile) {
	var current []*tableFile
	for i := range s.files {
		f := &s.files[i]
		if f.unnumbered() {
			continue
		}
		if f.data.spec.id() != s.meta.DefaultPartitionSpec() {
			old = append(old, f)
			continue
		}
		current = append(current, f)
	}
	return byPartition(current), old
}

type rewritePlan struct {
	target int64
	chosen []uint32
	bytes  int64
	rows   int64
}

// join takes what another plan chose, if there is room for all of it.
func (p *rewritePlan) join(o *rewritePlan) {
	fits := len(p.chosen)+len(o.chosen) <= rewriteMost && p.bytes+o.bytes <= 2*p.target && p.rows+o.rows <= rewriteRows
	if len(p.chosen) > 0 && !fits {
		return
	}
	p.chosen = append(p.chosen, o.chosen...)
	p.bytes, p.rows = p.bytes+o.bytes, p.rows+o.rows
}

// room reports whether f can be rewritten together with what is chosen.
func (p *rewritePlan) room(f *tableFile) bool {
	if len(p.chosen) == 0 {
		return true
	}
	return len(p.chosen) < rewriteMost && p.bytes+f.liveBytes() <= 2*p.target && p.rows+f.liveRows() <= rewriteRows
}

func (p *rewritePlan) choose(f *tableFile) {
	p.chosen = append(p.chosen, f.data.ordinal)
	p.bytes += f.liveBytes()
	p.rows += f.liveRows()
}

func (p *rewritePlan) keyed(files []*tableFile) {
	var small, worn []*tableFile
	for _, f := range files {
		switch {
		case p.small(f):
			small = append(small, f)
		case p.worn(f):
			worn = append(worn, f)
		}
	}
	bySize := func(a, b *tableFile) int { return cmp.Compare(a.liveBytes(), b.liveBytes()) }
	slices.SortStableFunc(small, bySize)
	slices.SortStableFunc(worn, bySize)
	for _, f := range p.together(small) {
		p.choose(f)
	}
	if len(p.chosen) == 0 {
		for _, f := range small {
			if p.worn(f) && p.room(f) {
				p.choose(f)
			}
		}
	}
	for _, f := range worn {
		if p.room(f) {
			p.choose(f)
		}
	}
}

// together is the longest beginning of files, ascending by size, that is worth
// merging.
func (p *rewritePlan) together(files []*tableFile) []*tableFile {
	probe := rewritePlan{target: p.target}
	best := 0
	for i, f := range files {
		if !probe.room(f) {
			break
		}
		if i+1 >= rewriteLeast && f.liveBytes() <= probe.bytes {
			best = i + 1
		}
		probe.choose(f)
	}
	return files[:best]
}

// appended chooses neighbours in seq order. Nothing is deleted there.
func (p *rewritePlan) appended(files []*tableFile) {
	slices.SortStableFunc(files, func(a, b *tableFile) int { return cmp.Compare(a.data.firstSeq, b.data.firstSeq) })
	for from := 0; from < len(files); {
		to := from
		probe := rewritePlan{target: p.target}
		for to < len(files) && p.small(files[to]) && probe.room(files[to]) {
			probe.choose(files[to])
			to++
		}
		for i := from; to-i >= rewriteLeast; i++ {
			if balanced(files[i:to]) {
				for _, f := range files[i:to] {
					p.choose(f)
				}
				return
			}
		}
		from = max(to, from+1)
	}
}

// balanced reports whether no file is larger than the others together.
func balanced(files []*tableFile) bool {
	var sum, largest int64
	for _, f := range files {
		sum += f.liveBytes()
		largest = max(largest, f.liveBytes())
	}
	return largest <= sum-largest
}

func (p *rewritePlan) small(f *tableFile) bool { return f.liveBytes() < p.target/2 }

// worn reports whether enough of f is deleted to be worth a rewrite for that alone.
func (p *rewritePlan) worn(f *tableFile) bool {
	dead := f.data.file.FileSizeBytes() - f.liveBytes()
	return f.deleted()*rewriteDeletedShare >= f.rows() && dead >= p.target/rewriteWornPart
}

func (f *tableFile) liveRows() int64 { return f.rows() - f.deleted() }

// liveBytes is about what the file's rows would take that are not deleted.
func (f *tableFile) liveBytes() int64 {
	if f.rows() == 0 {
		return 0
	}
	return int64(float64(f.data.file.FileSizeBytes()) * float64(f.liveRows()) / float64(f.rows()))
}
