package bench

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// turn is what one side did in one round: how much, in what time.
type turn struct {
	amount float64
	took   time.Duration
}

// side does its part of a round. A round that it could not finish because ctx
// ended is an error, and is not counted.
type side func(ctx context.Context) (turn, error)

// rounds are turns of ours and of the floor, in pairs.
type rounds struct{ ours, floor []turn }

// maxRounds bounds what rounds remembers, and maxPreparing how much longer than
// what is measured a workload may take.
const (
	maxRounds    = 100_000
	maxPreparing = 4
)

// alternate lets ours and the floor take turns until they have measured for
// budget, at least once; preparing a turn may take maxPreparing times as long
// as that. Which one comes first changes from round to round, so that
// neither always finds the caches as the other left them. The first round warms
// up and is not counted. When ctx ends, what was measured is returned.
func alternate(ctx context.Context, o Options, phase string, budget time.Duration, ours, floor side) (rounds, error) {
	var r rounds
	begin := time.Now()
	for n := 0; n < maxRounds; n++ {
		if n == 1 {
			begin = time.Now()
		}
		spent := r.took()
		if n > 1 && (spent >= budget || time.Since(begin) >= maxPreparing*budget) {
			break
		}
		o.Progress(phase, int64(min(spent, budget)/time.Millisecond), int64(budget/time.Millisecond))
		a, b, err := pair(ctx, ours, floor, n%2 == 1)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", phase, err)
		}
		if n > 0 {
			r.ours, r.floor = append(r.ours, a), append(r.floor, b)
		}
	}
	return r, nil
}

func pair(ctx context.Context, ours, floor side, floorFirst bool) (a, b turn, err error) {
	if floorFirst {
		if b, err = floor(ctx); err == nil {
			a, err = ours(ctx)
		}
		return a, b, err
	}
	if a, err = ours(ctx); err == nil {
		b, err = floor(ctx)
	}
	return a, b, err
}

// sum is all turns of a side as one.
func sum(turns []turn) (t turn) {
	for _, x := range turns {
		t.amount, t.took = t.amount+x.amount, t.took+x.took
	}
	return t
}

// took is the time of both sides.
func (r rounds) took() time.Duration { return sum(r.ours).took + sum(r.floor).took }

// rate is the figure of how much each side does in a second, scale being what
// one unit of the figure is worth.
func (r rounds) rate(name, unit, floorName string, scale float64) Figure {
	f := Figure{Name: name, Unit: unit, FloorName: floorName, Rounds: len(r.ours)}
	ours, floor := sum(r.ours), sum(r.floor)
	f.Ours, f.Floor = perSecond(ours.amount, ours.took)/scale, perSecond(floor.amount, floor.took)/scale
	ratios := make([]float64, 0, len(r.ours))
	for i := range r.ours {
		ratios = append(ratios, quotient(perSecond(r.ours[i].amount, r.ours[i].took), perSecond(r.floor[i].amount, r.floor[i].took)))
	}
	f.Low, f.Ratio, f.High = quartiles(ratios)
	return f
}

// quartiles are a list's first, second and third quartile.
func quartiles(list []float64) (low, median, high float64) {
	if len(list) == 0 {
		return 0, 0, 0
	}
	slices.Sort(list)
	at := func(q float64) float64 {
		i := q * float64(len(list)-1)
		low, part := list[int(i)], i-float64(int(i))
		return low + part*(list[min(int(i)+1, len(list)-1)]-low)
	}
	return at(0.25), at(0.5), at(0.75)
}
