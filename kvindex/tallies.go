package kvindex

import "github.com/trinedb/trine/schema"

// tallies are the stats that were written last, so that the busy collections of
// a chunk need no lookup each. An entry is what the engine has, or what the
// batch in hand will give it: after an apply that failed they must be cleared.
//
// They are kept in two generations: what is used moves to the young one; when
// that is full it becomes the old one, and what was the old one is forgotten.
// They are guarded by Index.writing.
type tallies struct {
	young, old map[schema.Instance]tally
}

// maxTallies is how many a generation holds: some 4 MB. Drawn by Zipf's law
// with s 1, 16,384 of a million collections are 7 of 10 changes.
const maxTallies = 16_384

func (c *tallies) get(inst schema.Instance) (tally, bool) {
	t, ok := c.young[inst]
	if !ok {
		t, ok = c.old[inst]
	}
	return t, ok
}

func (c *tallies) put(inst schema.Instance, t tally) {
	if len(c.young) >= maxTallies {
		c.young, c.old = nil, c.young
	}
	if c.young == nil {
		c.young = make(map[schema.Instance]tally)
	}
	c.young[inst] = t
}

// forget is told that the stats of a collection are changed by somebody else.
func (c *tallies) forget(inst schema.Instance) {
	delete(c.young, inst)
	delete(c.old, inst)
}

func (c *tallies) clear() { c.young, c.old = nil, nil }
