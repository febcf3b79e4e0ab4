package kvindex

import (
	"bytes"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// lastGroup is the pointer to a collection's newest group. It lies in the stats,
// which are written with each group anyway: so a collection that was written once
// has no entry for it, and nothing to delete when segments hold the chunk. The next
// group moves it to an entry of its own.
type lastGroup struct {
	GroupRef       // Count is 0 if there is none
	before   int64 // log bytes when it began
}

// retire moves the pointer before a collection's new one to an entry, unless it was
// dropped.
func (x *Index) retire(b *batch, inst schema.Instance, g lastGroup) {
	if g.Count == 0 || g.Position.Compare(x.ungrouped) <= 0 {
		return
	}
	key := appendGroupKey(b.alloc(groupKeyLen), inst, g.FirstSeq)
	b.put(key, appendGroup(b.alloc(groupMax), g.GroupRef, g.before))
}

// groups is a cursor over a collection's pointers as of ts: over their entries, and
// then the one in its stats, as if it had an entry too.
func (x *Index) groups(ts uint64, inst schema.Instance, t tally, reverse bool) (cursor, error) {
	c := &groupCursor{x: x, ts: ts, prefix: instanceKey(spaceGroup, inst), reverse: reverse}
	if t.last.Count == 0 {
		return c, nil
	}
	val, ok, err := x.eng.get(ts, nil, ungroupedKey)
	if err != nil {
		return nil, corrupt("read up to where pointers were dropped", err)
	}
	if ok {
		through, err := decodeUngrouped(val)
		if err != nil || t.last.Position.Compare(through) <= 0 {
			return c, err
		}
	}
	c.lastKey = appendGroupKey(nil, inst, t.last.FirstSeq)
	c.lastVal = appendGroup(nil, t.last.GroupRef, t.last.before)
	return c, nil
}

// groupCursor puts the pointer in a collection's stats behind the entries of the
// others. It opens the entries when they are needed: the newest pointer is what is
// asked for most.
type groupCursor struct {
	x       *Index
	ts      uint64
	prefix  []byte
	reverse bool
	lastKey []byte // nil: there is none
	lastVal []byte

	entries cursor // nil: not opened
	at      groupPlace
}

// groupPlace is what a groupCursor stands on.
type groupPlace int

const (
	atNone groupPlace = iota
	atEntry
	atLast
)

func (c *groupCursor) seek(key []byte) {
	if c.lastKey == nil {
		c.toEntry(key)
		return
	}
	switch order := bytes.Compare(key, c.lastKey); {
	case c.reverse && order >= 0, !c.reverse && order == 0:
		c.at = atLast
	case order > 0:
		c.at = atNone
	default:
		if c.toEntry(key); c.at == atNone && !c.reverse {
			c.at = atLast
		}
	}
}

// toEntry seeks among the entries.
func (c *groupCursor) toEntry(key []byte) {
	if c.entries == nil {
		c.entries = c.x.eng.iterate(c.ts, c.prefix, c.reverse)
	}
	c.entries.seek(key)
	c.settle()
}

// settle stands on the entry that was reached, if there is one. One that is the last
// pointer itself, or comes after it, is of a commit that the stats were read before.
func (c *groupCursor) settle() {
	for c.at = atNone; c.entries.valid(); c.entries.next() {
		if c.lastKey == nil || bytes.Compare(c.entries.key(), c.lastKey) < 0 {
			c.at = atEntry
			return
		}
		if !c.reverse {
			return
		}
	}
}

func (c *groupCursor) next() {
	switch {
	case c.at == atEntry:
		c.entries.next()
		if c.settle(); c.at == atNone && c.lastKey != nil && !c.reverse {
			c.at = atLast
		}
	case c.at == atLast && c.reverse:
		c.toEntry(c.lastKey)
	default:
		c.at = atNone
	}
}

func (c *groupCursor) valid() bool { return c.at != atNone }

func (c *groupCursor) key() []byte {
	if c.at == atLast {
		return c.lastKey
	}
	return c.entries.key()
}

func (c *groupCursor) value() ([]byte, error) {
	if c.at == atLast {
		return c.lastVal, nil
	}
	return c.entries.value()
}

func (c *groupCursor) close() {
	if c.entries != nil {
		c.entries.close()
	}
}

// appendUngrouped is the value of ungroupedKey: the position up to which pointers
// were dropped.
func appendUngrouped(dst []byte, through schema.Position) []byte { return appendPosition(dst, through) }

func decodeUngrouped(val []byte) (schema.Position, error) {
	d := decoder{rest: val}
	through := d.position()
	return through, d.finish("position of dropped pointers")
}

// loadUngrouped reads it at Open.
func (x *Index) loadUngrouped() error {
	val, ok, err := x.eng.get(latest, nil, ungroupedKey)
	if err != nil {
		return corrupt("read up to where pointers were dropped", err)
	}
	if ok {
		x.ungrouped, err = decodeUngrouped(val)
	}
	return err
}

// ungroup records that pointers up to a position are dropped.
func (x *Index) ungroup(through schema.Position) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	if through.Compare(x.ungrouped) <= 0 {
		return nil
	}
	b := new(batch)
	b.put(ungroupedKey, appendUngrouped(nil, through))
	if err := x.commitNow(b); err != nil {
		return fmt.Errorf("record up to where pointers were dropped: %w", err)
	}
	x.ungrouped = through
	return nil
}
