package segment

import (
	"fmt"
	"slices"
)

// MaxSweep is how many chunks one raise of the floor gives up at most. So after a
// crash those that the floor passed and that may still be there are known
// without looking: the last MaxSweep below it.
const MaxSweep = 1024

// State is what is known of a channel's generation when it is decided what can
// be deleted. All numbers are of chunks; 0 lies before the first. What is not
// known is given lower than it is: then less is deleted, or it is deleted again.
type State struct {
	// Set is listed, or was brought up to date with what this owner made durable.
	Set *Set
	// Oldest is the oldest Set that a reader may still work with: the one that
	// was current a grace ago, or when the oldest read that is under way began.
	// After a start it is empty until a grace has passed. A reader that worked
	// with an older one meets blob.ErrNotFound and looks again.
	Oldest *Set
	// Floor is that of the head, as this owner read or swapped it last.
	Floor uint64
	// Swept says that all chunks up to it are deleted, but for those that are
	// kept. After a start it is SweptAtStart.
	Swept uint64
	// Indexed says that the index will not need the chunks up to it, whatever
	// happens to it: they are applied, that is durable where the index would be
	// restored from, and their answers to idempotent writes are kept there or
	// have expired.
	Indexed uint64
	// Reading is the last chunk that nothing reads from its chunk: lake,
	// followers and replicas have passed it or would find it in segments.
	Reading uint64
	// Empty are the chunks from Swept+1 on that hold nothing, in order: fences,
	// fillers and void chunks, as the Info of the segments lists them. They are
	// kept for ever, for a fence that is deleted opens its number to a chunk that
	// is still on its way.
	Empty []uint64
}

// SweptAtStart is up to where chunks are known to be deleted when no more than
// the floor is known.
func SweptAtStart(floor uint64) uint64 { return floor - min(floor, MaxSweep) }

// ActionKind says what to do.
type ActionKind int

// The kinds of action.
const (
	// RaiseFloor: swap the head for one whose floor is To and whose hint is no
	// less, if its epoch and claim are this owner's. If that fails, stop.
	RaiseFloor ActionKind = iota + 1
	// DeleteChunks: delete the chunks From to To, but for those in Keep. If one
	// cannot be deleted, stop; when all are, Swept is To.
	DeleteChunks
	// DeleteSegment: delete Segment, and go on with a Set without it.
	DeleteSegment
)

// Action is a step of garbage collection.
type Action struct {
	Kind     ActionKind
	From, To uint64
	Keep     []uint64
	Segment  Ref
}

// String tells the action for logs and tests.
func (a Action) String() string {
	switch a.Kind {
	case RaiseFloor:
		return fmt.Sprintf("raise floor to %d", a.To)
	case DeleteChunks:
		return fmt.Sprintf("delete chunks %d to %d but %v", a.From, a.To, a.Keep)
	case DeleteSegment:
		return fmt.Sprintf("delete %v", a.Segment)
	default:
		return fmt.Sprintf("action(%d)", int(a.Kind))
	}
}

// Plan says what can be deleted, as steps to be done in order; it can be cut
// short after any of them, and asked again. A chunk goes when
//
//   - segments hold it, in the newest Set and in the Oldest that is read;
//   - the index has it, and nothing reads it from the chunk;
//   - it holds something: fences are for ever;
//   - the floor was raised above it before, and the chunk after the floor counts:
//     who starts there knows by its epoch which later chunks are void, and its
//     commit time bounds the next.
//
// A segment goes when others that are believed before it hold all that it holds,
// in the newest Set and in the Oldest that is read.
//
// What a crash leaves: at most MaxSweep chunks below the floor, which the next
// owner deletes without listing; segments that were merged, which the next
// listing finds; and writes that were not committed, which the store cleans up.
func Plan(s State) []Action {
	var steps []Action
	for _, r := range s.Set.obsolete {
		// Obsolete once, obsolete for ever: no newer Set reads it either.
		if slices.Contains(s.Oldest.obsolete, r) {
			steps = append(steps, Action{Kind: DeleteSegment, Segment: r})
		}
	}
	if s.Swept < s.Floor {
		return append(steps, s.sweep(s.Floor)...)
	}
	floor := s.nextFloor()
	if floor <= s.Floor {
		return steps
	}
	return append(append(steps, Action{Kind: RaiseFloor, To: floor}), s.sweep(floor)...)
}

// sweep deletes the chunks up to a number. Those that no segment holds are left
// alone: Empty does not tell of them.
func (s *State) sweep(to uint64) []Action {
	from := max(s.Swept+1, s.Set.From())
	if s.Set.From() == 0 || s.Set.To() < to || from > to {
		return nil
	}
	keep := slices.DeleteFunc(slices.Clone(s.Empty), func(n uint64) bool { return n < from || n > to })
	return []Action{{Kind: DeleteChunks, From: from, To: to, Keep: keep}}
}

// nextFloor is the highest floor that may be, if it is above the one that is.
func (s *State) nextFloor() uint64 {
	for _, set := range []*Set{s.Set, s.Oldest} {
		if set.From() == 0 || set.From() > s.Floor+1 {
			return s.Floor // not all that lies above the floor is in segments
		}
	}
	// The chunk after the floor must be in a segment too, for Empty tells of no
	// others.
	limit := min(s.Indexed, s.Reading, s.Set.To()-1, s.Oldest.To())
	reach := min(limit, s.Floor+MaxSweep)
	floor := reach
	for floor > s.Floor && s.isEmpty(floor+1) {
		floor--
	}
	if floor == s.Floor { // nothing but empty chunks, none of which is deleted: pass over them all
		for floor = reach; floor < limit && s.isEmpty(floor+1); {
			floor++
		}
		if s.isEmpty(floor + 1) {
			return s.Floor
		}
	}
	return floor
}

func (s *State) isEmpty(n uint64) bool {
	_, ok := slices.BinarySearch(s.Empty, n)
	return ok
}
