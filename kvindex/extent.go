package kvindex

import (
	"context"
	"fmt"
	"math"

	"github.com/trinedb/trine/schema"
)

// LogExtent is how much log lies between two Seqs, as of one Applied.
type LogExtent struct {
	Bytes   int64      // of keys and rows of changes that are applied
	NextSeq schema.Seq // after the last change that is applied
	// LastMicros is the commit time of that change. 0: there is none, or its
	// pointer was dropped.
	LastMicros int64
}

// LogBetween measures a collection's changes in [from, to): exactly where a group
// begins, the lake ends, or the log does; by share in between. It costs a few
// seeks, however long the log is.
func (x *Index) LogBetween(_ context.Context, inst schema.Instance, from, to schema.Seq) (LogExtent, error) {
	if err := x.gate.enter(); err != nil {
		return LogExtent{}, err
	}
	defer x.gate.leave()
	if x.isDropped(inst) {
		return LogExtent{}, nil
	}
	v := x.pin()
	defer x.unpin(v)
	t, known, err := x.tallyAt(v.ts, inst)
	if err != nil || !known {
		return LogExtent{}, err
	}
	e := LogExtent{NextSeq: t.nextSeq}
	last, _, ok, err := x.groupBelow(v.ts, inst, math.MaxUint64, t)
	if err == nil && ok && last.NextSeq() == t.nextSeq {
		e.LastMicros = last.TimeMicros
	}
	var start, end int64
	if err == nil {
		start, err = x.bytesBefore(v.ts, inst, from, t)
	}
	if err == nil {
		end, err = x.bytesBefore(v.ts, inst, max(from, to), t)
	}
	if err != nil {
		return LogExtent{}, fmt.Errorf("measure log of instance %d: %w", inst, err)
	}
	e.Bytes = end - start
	return e, nil
}

// logMark is what log bytes are at a Seq.
type logMark struct {
	seq   schema.Seq
	bytes int64
}

// bytesBefore is what log bytes were when a change came: between the marks that
// are known next to it, by share.
func (x *Index) bytesBefore(ts uint64, inst schema.Instance, seq schema.Seq, t tally) (int64, error) {
	var low logMark
	high := logMark{t.nextSeq, t.logBytes}
	if seq >= high.seq {
		return high.bytes, nil
	}
	marks := []logMark{{t.lakeSeq, t.lakeBytes}}
	g, before, ok, err := x.groupBelow(ts, inst, seq, t)
	if err != nil {
		return 0, err
	}
	if ok {
		marks = append(marks, logMark{g.FirstSeq, before}, logMark{g.NextSeq(), before + g.Bytes})
	}
	first, before, err := x.firstGroup(ts, inst, seq, t)
	if err != nil {
		return 0, err
	}
	for _, m := range append(marks, logMark{first, before}) {
		if m.seq <= seq && m.seq > low.seq {
			low = m
		}
		if m.seq > seq && m.seq < high.seq {
			high = m
		}
	}
	share := float64(seq-low.seq) / float64(high.seq-low.seq)
	return low.bytes + int64(math.Round(float64(high.bytes-low.bytes)*share)), nil
}

// bytesBelow splits a group's bytes at seq: exact at its ends, by share within.
func bytesBelow(g GroupRef, seq schema.Seq) int64 {
	if seq >= g.NextSeq() {
		return g.Bytes
	}
	share := float64(seq-g.FirstSeq) / float64(max(1, g.Count))
	return int64(math.Round(float64(g.Bytes) * share))
}
