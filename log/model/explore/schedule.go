package explore

// Scheduler draws the choices of one schedule. Actors do not move at an even
// pace: each has a speed, and speeds change now and then, so that an actor that
// stands still while the others run far ahead, which is what breaks protocols,
// is the rule and not a rare coincidence.
type Scheduler struct {
	random Random
	base   [MaxActors]uint32
	weight [MaxActors]uint32
	actors uint32
	total  uint32
	speeds *[8]uint32
}

// speeds are what an actor's weight is multiplied with. The zeros are stalls.
// Half of the schedules are calm, so that more of them get far.
var (
	speeds     = [8]uint32{0, 0, 1, 1, 2, 4, 8, 16}
	calmSpeeds = [8]uint32{1, 1, 1, 2, 2, 2, 4, 8}
)

// turn is the mean number of steps between changes of speed; a power of two.
const turn = 8

// Start begins the schedule of a seed.
func (s *Scheduler) Start(seed uint64, weights []uint8) {
	s.random = NewRandom(seed)
	s.actors, s.total = uint32(len(weights)), 0
	r := s.random.Next()
	if s.speeds = &speeds; r>>63 == 1 {
		s.speeds = &calmSpeeds
	}
	for i, w := range weights {
		s.base[i] = uint32(w)
		s.weight[i] = uint32(w) * s.speeds[r>>(3*i)&7]
		s.total += s.weight[i]
	}
}

// Next draws a choice.
func (s *Scheduler) Next() Choice {
	r := s.random.Next()
	if s.total == 0 || r>>56%turn == 0 {
		s.shift()
	}
	if s.total == 0 {
		return Choice{Actor: uint8(uint32(r) % s.actors), Bits: uint32(r >> 32)}
	}
	pick := uint32(uint64(uint32(r)) * uint64(s.total) >> 32)
	actor := uint32(0)
	for pick >= s.weight[actor] {
		pick -= s.weight[actor]
		actor++
	}
	// The bits for the actor come from a second draw: those above were used.
	return Choice{Actor: uint8(actor), Bits: uint32(mix(r) >> 32)}
}

// shift gives an actor another speed.
func (s *Scheduler) shift() {
	r := s.random.Next()
	i := uint32(r>>32) % s.actors
	s.total -= s.weight[i]
	s.weight[i] = s.base[i] * s.speeds[r&7]
	s.total += s.weight[i]
}
