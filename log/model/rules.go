package model

// Rules are the rules of the protocol, each of which can be left out.
type Rules struct {
	Fence         bool // a take-over puts a permanent chunk at the first hole
	RereadEpoch   bool // after the fence the head must still have the owner's epoch
	RereadFloor   bool // after the fence the head's floor must be below it
	Fill          bool // a take-over fills the W-1 numbers after the fence
	FillLast      bool // it does so only after the head was read again
	AckPrefix     bool // a chunk is acknowledged when all before it are stored
	StepDown      bool // a foreign chunk at its number ends an owner's reign
	Void          bool // readers pass over chunks below the highest epoch seen
	FloorFirst    bool // GC raises the floor before it deletes
	KeepFences    bool // GC never deletes a fence
	ReadOccupant  bool // a 412 is answered by reading whose chunk is there
	ReadFloor     bool // a reader believes what it read above the floor it reads next
	SaveEpoch     bool // a saved position has the highest epoch with it
	WalkStops     bool // a take-over that meets a higher epoch gives up
	DedupReplayed bool // an owner knows the writes that it replayed
}

// AllRules is the protocol.
func AllRules() Rules {
	return Rules{
		Fence: true, RereadEpoch: true, RereadFloor: true, Fill: true, FillLast: true, AckPrefix: true, StepDown: true,
		Void: true, FloorFirst: true, KeepFences: true, ReadOccupant: true, ReadFloor: true, SaveEpoch: true,
		WalkStops: true, DedupReplayed: true,
	}
}
