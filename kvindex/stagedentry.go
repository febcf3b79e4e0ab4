package kvindex

import (
	"bytes"
	"slices"

	"github.com/tidwall/btree"

	"github.com/trinedb/trine/schema"
)

// stagedEntry is an entry of a secondary index as the overlay has it. It counts
// while its version is its row's visible one.
type stagedEntry struct {
	inst    schema.Instance
	id      schema.IndexID
	key     []byte // fields and primary key
	fields  int
	chunk   *stagedChunk
	version *version
}

// lessEntry orders by index, key, and then the newest chunk first.
func lessEntry(a, b *stagedEntry) bool {
	if a.inst != b.inst {
		return a.inst < b.inst
	}
	if a.id != b.id {
		return a.id < b.id
	}
	if c := bytes.Compare(a.key, b.key); c != 0 {
		return c < 0
	}
	return a.chunk.pos.Compare(b.chunk.pos) > 0
}

// definedSecondaries are a collection's indexes from a staged chunk on.
type definedSecondaries struct {
	chunk *stagedChunk
	set   *secondaries
}

// undefine forgets what a chunk made of a collection's indexes.
func (o *overlay) undefine(inst schema.Instance, c *stagedChunk) {
	rest := slices.DeleteFunc(o.defined[inst], func(d definedSecondaries) bool { return d.chunk == c })
	if o.defined[inst] = rest; len(rest) == 0 {
		delete(o.defined, inst)
	}
}

// stagedEntries are the entries of each record of g, or nil if its collection
// has no indexes.
func (x *Index) stagedEntries(g *schema.Group) [][]*stagedEntry {
	set, err := x.sequenced(g.Instance)
	if err == nil && len(set.list) == 0 {
		return nil
	}
	out := make([][]*stagedEntry, len(g.Records))
	r := entryReader{catalog: x.opts.Catalog}
	for i := range g.Records {
		rec := &g.Records[i]
		if err != nil {
			break
		}
		if rec.Op == schema.OpDelete || len(rec.Key) == 0 {
			continue
		}
		var list []entry
		if list, err = r.read(set, rec.Key, rec.Row); err != nil {
			break
		}
		for _, e := range list {
			if e.tooLong {
				continue // Apply fails the index for it
			}
			out[i] = append(out[i], &stagedEntry{inst: g.Instance, id: e.index.id, key: bytes.Clone(e.key), fields: e.fields})
		}
	}
	if err != nil {
		x.cannotStage(err)
	}
	return out
}

// cannotStage makes all reads by a secondary index fail from now on: the
// overlay lacks entries.
func (x *Index) cannotStage(err error) {
	x.unindexed.CompareAndSwap(nil, &err)
	x.opts.Logger.Error("index: staged rows have no entries in secondary indexes", "error", err)
}

// stageDefinitions takes note of the indexes that a group of
// schema.InstanceCollections defines; beside are the groups that come with it.
func (x *Index) stageDefinitions(c *stagedChunk, g *schema.Group, beside []schema.Group) {
	if x.opts.Catalog == nil {
		return
	}
	for _, rec := range g.Records {
		inst, list, ok, err := x.opts.Catalog.Indexes(rec)
		if err == nil && ok {
			rows := slices.ContainsFunc(beside, func(o schema.Group) bool { return o.Instance == inst })
			err = x.stageDefinition(c, inst, list, rows)
		}
		if err != nil {
			x.cannotStage(err)
		}
	}
}

// stageDefinition takes note of one collection's indexes. A new one is ready if
// there are no rows that may have been decided without it: rows beside the
// definition may.
func (x *Index) stageDefinition(c *stagedChunk, inst schema.Instance, list []schema.IndexSpec, rows bool) error {
	set, err := x.sequenced(inst)
	if err != nil || len(set.list) == 0 && len(list) == 0 {
		return err
	}
	begin := SecondaryBuilding
	if empty, err := x.neverWritten(inst); err != nil {
		return err
	} else if empty && !rows {
		begin = SecondaryReady
	}
	next := set.evolve(list, func(schema.IndexID) SecondaryState { return begin })
	if next == set {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.overlay.defined[inst] = append(x.overlay.defined[inst], definedSecondaries{c, next})
	c.defined = append(c.defined, inst)
	return nil
}

// neverWritten reports whether a collection had no change so far, staged ones
// included.
func (x *Index) neverWritten(inst schema.Instance) (bool, error) {
	x.mu.Lock()
	staged := false
	x.overlay.tree.Ascend(&version{inst: inst, chunk: newest}, func(v *version) bool {
		staged = v.inst == inst
		return false
	})
	x.mu.Unlock()
	if staged {
		return false, nil
	}
	// A chunk leaves the overlay after it was committed.
	_, known, err := x.tally(inst)
	return !known, err
}

// entryCursor walks the entries of one index that are visible in a view.
type entryCursor struct {
	view    *view
	it      btree.IterG[*stagedEntry]
	inst    schema.Instance
	id      schema.IndexID
	reverse bool
	more    bool         // it stands on an item not yet looked at
	cur     *stagedEntry // nil: at the end
}

func newEntryCursor(v *view, inst schema.Instance, id schema.IndexID, r KeyRange) *entryCursor {
	c := &entryCursor{view: v, it: v.entries.Iter(), inst: inst, id: id, reverse: r.Reverse}
	switch {
	case !r.Reverse:
		c.more = c.it.Seek(&stagedEntry{inst: inst, id: id, key: r.From, chunk: newest})
	default:
		pivot := &stagedEntry{inst: inst, id: id, key: r.To, chunk: newest}
		if r.To == nil {
			pivot.id++
		}
		if c.it.Seek(pivot) {
			c.more = c.it.Prev()
		} else {
			c.more = c.it.Last()
		}
	}
	c.next()
	return c
}

func (c *entryCursor) next() {
	for c.cur = nil; c.more && c.cur == nil; {
		e := c.it.Item()
		if e.inst != c.inst || e.id != c.id {
			return
		}
		if v, found := lookup(c.view.tree, e.inst, e.version.key, c.view.durable); found && v == e.version {
			c.cur = e
		}
		if c.reverse {
			c.more = c.it.Prev()
		} else {
			c.more = c.it.Next()
		}
	}
}
