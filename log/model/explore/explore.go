// Package explore drives a model through random schedules. A model is a world
// of actors in which nothing happens by itself: each step of each actor is a
// Choice, and the list of choices is the whole schedule. There are no
// goroutines and there is no clock, so that a seed gives the same schedule
// again, and a schedule that fails can be cut down to the choices that matter.
//
// A hundred thousand schedules a second are the aim: a world is reset and used
// again, and nothing is allocated on the way.
package explore

// Choice is one step of a schedule: which actor moves, and 32 random bits for
// what it has to choose.
type Choice struct {
	Actor uint8
	Bits  uint32
}

// World is a model under exploration. Its actors are numbered from 0.
type World interface {
	// Reset brings back the initial state. It keeps the configuration.
	Reset()
	// Step lets an actor move; one that cannot move does nothing. It reports
	// whether the schedule ends here: a promise is broken, or nothing of
	// interest can follow.
	Step(c Choice) (over bool)
	// Finish judges the state that a schedule ended in.
	Finish()
	// Violation is the first broken promise, or the zero value.
	Violation() Violation
	// Weights says how often each actor moves as compared with the others. A
	// weight of 0 leaves the actor out. At most MaxActors count.
	Weights() []uint8
	// Tell sets who is told what happens in each step; nil: nobody.
	Tell(fn func(line string))
}

// MaxActors is the largest number of actors that a World may have.
const MaxActors = 16

// Violation is a broken promise.
type Violation struct {
	Kind Kind
	Note string // what of, for people
}

// Kind says which promise was broken.
type Kind uint8

// The promises: what an acknowledged write can rely on.
const (
	None      Kind = iota
	Lost           // an acknowledged write is not in the log
	Doubled        // a write is in the log twice
	Reordered      // a write is in the log, and one sent before it is not
	AckOrder       // a write was acknowledged before one sent earlier
	Exposed        // a reader that knows of the fence saw a fenced writer's chunk
	Stale          // an owner does not know of a write acknowledged before or meanwhile
	Stuck          // a reader can tell neither what a chunk is nor that it may not be read
	Kinds
)

var kindNames = [Kinds]string{"none", "lost", "doubled", "reordered", "acks out of order", "fenced chunk exposed", "stale owner", "stuck"}

func (k Kind) String() string { return kindNames[k] }

// Random is a small fast source of random numbers: wyrand, without the 128-bit
// tables.
type Random struct{ state uint64 }

// NewRandom gives the source of a seed.
func NewRandom(seed uint64) Random { return Random{state: mix(seed + 0x9e3779b97f4a7c15)} }

// Next gives 64 random bits.
func (r *Random) Next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	return mix(r.state)
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
