package zones

// Rules are the rules of the protocol, each of which can be left out.
type Rules struct {
	AckTwo       bool // a chunk is acknowledged when two zones have it, not one
	AckPrefix    bool // and all before it are
	StepDown     bool // a foreign chunk at its number ends an owner's reign
	ReadOccupant bool // a 412 is answered by reading whose chunk is there
	SealTwo      bool // a take-over seals each number in two zones, not one
	SealOver     bool // it puts its marker over those of lower epochs
	SealWindow   bool // it seals W numbers from the first dead one on
	AdoptAny     bool // a chunk that one sealed zone has may have been acknowledged
	CopyTwo      bool // an adopted chunk is in two zones before it is counted
	NewPutID     bool // copies get put ids of their own
	Record       bool // what was decided is in the head before the owner serves
	Void         bool // readers pass over chunks of epochs that do not own the number
	StopUpto     bool // a reader of one zone stops at durable_upto
	VouchOwn     bool // as told by a chunk of the same epoch

	AdvanceDurable bool // an owner tells the head that what is durable is decided, and no more
	FloorFirst     bool // GC deletes only what the floor in the head is not below
	KeepMarkers    bool // GC keeps the markers at the first dead number of each take-over
	FloorAfter     bool // what was read counts only if the floor, read after it, is below

	// OneMarker is no rule of the protocol: without Record, one marker of an
	// earlier take-over, not two, is taken to say that the number is dead.
	OneMarker bool
}

// AllRules is the protocol.
func AllRules() Rules {
	return Rules{
		AckTwo: true, AckPrefix: true, StepDown: true, ReadOccupant: true, SealTwo: true, SealOver: true, SealWindow: true,
		AdoptAny: true, CopyTwo: true, NewPutID: true, Record: true, Void: true, StopUpto: true, VouchOwn: true,
		AdvanceDurable: true, FloorFirst: true, KeepMarkers: true, FloorAfter: true,
	}
}

// Noted is the protocol as it was first noted down: the head is only read again
// after numbers were sealed, and markers of others count as seals. What it meant
// to say of a number at which an earlier take-over left a marker can be read in
// two ways.
func Noted(oneMarker bool) Rules {
	r := AllRules()
	r.SealOver, r.Record, r.OneMarker = false, false, oneMarker
	return r
}
