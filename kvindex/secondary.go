package kvindex

import (
	"context"
	"fmt"
	"slices"

	"github.com/trinedb/trine/schema"
)

// Catalog tells of rows and definitions what the index cannot read itself.
// Both methods are called from many goroutines, and also while the index
// applies and stages; they may call the index's readers.
type Catalog interface {
	// Schema is the schema with that number. It is durable before any row that
	// was written with it.
	Schema(ctx context.Context, id schema.SchemaID) (*schema.Schema, error)
	// Indexes reads from a record of schema.InstanceCollections which secondary
	// indexes a collection has from there on; ok is false for a record that does
	// not define a collection.
	Indexes(r schema.Record) (inst schema.Instance, list []schema.IndexSpec, ok bool, err error)
}

// SecondaryState is how far a secondary index is.
type SecondaryState byte

// The states of a secondary index, as they are stored.
const (
	SecondaryBuilding SecondaryState = iota + 1 // rows are still to be read
	SecondaryBuilt                              // a unique one: whole, not yet proved to be unique
	SecondaryReady                              // can be read
	SecondaryFailed                             // the rows break its rule
)

// String is the state as users see it: a proof is part of building.
func (s SecondaryState) String() string {
	switch s {
	case SecondaryBuilding, SecondaryBuilt:
		return "building"
	case SecondaryReady:
		return "ready"
	case SecondaryFailed:
		return "failed"
	default:
		return "unknown"
	}
}

// Secondary tells of one secondary index as of Applied.
type Secondary struct {
	ID       schema.IndexID
	Name     string
	Unique   bool
	State    SecondaryState
	RowsDone int64  // that its build has read
	Rows     int64  // that there are
	Reason   string // why it failed
}

// NotReadyError refuses to use a secondary index that is not ready: it is a
// schema.ErrUnavailable while the index is built, and a schema.ErrConflict once
// it has failed.
type NotReadyError struct{ Secondary }

// Error tells the state, the progress and the way out.
func (e *NotReadyError) Error() string {
	if e.State == SecondaryFailed {
		return fmt.Sprintf("index %s has failed: %s; remove it from the collection, change the rows, and add it again", e.Name, e.Reason)
	}
	return fmt.Sprintf("index %s is being built: %d of %d rows are done; try again later", e.Name, min(e.RowsDone, e.Rows), e.Rows)
}

// Is tells the kind of the error.
func (e *NotReadyError) Is(target error) bool {
	if e.State == SecondaryFailed {
		return target == schema.ErrConflict
	}
	return target == schema.ErrUnavailable
}

// secondary is a secondary index as it is stored.
type secondary struct {
	id     schema.IndexID
	name   string
	fields []int // their ids
	unique bool
	state  SecondaryState
	rows   int64  // that the build has read
	note   []byte // building: the key of the last of them; failed: the reason
}

// enforced reports whether a batch is checked against the index.
func (s *secondary) enforced() bool {
	return s.unique && (s.state == SecondaryBuilt || s.state == SecondaryReady)
}

func (s *secondary) status(rows int64) Secondary {
	out := Secondary{ID: s.id, Name: s.name, Unique: s.unique, State: s.state, RowsDone: s.rows, Rows: rows}
	if s.state == SecondaryFailed {
		out.Reason = string(s.note)
	}
	return out
}

// secondaries are the secondary indexes of one collection, by ascending id. It
// is immutable.
type secondaries struct {
	list   []secondary
	layout *layout // of list's fields
}

// noSecondaries are those of most collections.
var noSecondaries = &secondaries{}

func newSecondaries(list []secondary) *secondaries {
	if len(list) == 0 {
		return noSecondaries
	}
	return &secondaries{list: list, layout: newLayout(list)}
}

// find is the index with that number, or nil.
func (s *secondaries) find(id schema.IndexID) *secondary {
	for i := range s.list {
		if s.list[i].id == id {
			return &s.list[i]
		}
	}
	return nil
}

// with is s with change made to one index, whose fields stay.
func (s *secondaries) with(id schema.IndexID, change func(*secondary)) *secondaries {
	next := &secondaries{list: slices.Clone(s.list), layout: s.layout}
	if x := next.find(id); x != nil {
		change(x)
	}
	return next
}

// like is s with the states that its indexes have in stored.
func (s *secondaries) like(stored *secondaries) *secondaries {
	next := &secondaries{list: slices.Clone(s.list), layout: s.layout}
	for i := range next.list {
		if x := stored.find(next.list[i].id); x != nil {
			next.list[i] = *x
		}
	}
	return next
}

// evolve is what a definition makes of s: indexes that go on stay as they are,
// new ones begin in the state that begin tells. It is s itself if nothing changes.
func (s *secondaries) evolve(specs []schema.IndexSpec, begin func(schema.IndexID) SecondaryState) *secondaries {
	var list []secondary
	same := len(specs) == len(s.list)
	for _, spec := range specs {
		if x := s.find(spec.ID); x != nil {
			list = append(list, *x)
			continue
		}
		same = false
		list = append(list, secondary{id: spec.ID, name: spec.Name, fields: spec.FieldIDs, unique: spec.Unique, state: begin(spec.ID)})
	}
	if same {
		return s
	}
	slices.SortFunc(list, func(a, b secondary) int { return int(int64(a.id) - int64(b.id)) })
	return newSecondaries(list)
}

// Secondaries tells of all secondary indexes of a collection.
func (x *Index) Secondaries(ctx context.Context, inst schema.Instance) ([]Secondary, error) {
	if err := x.gate.enter(); err != nil {
		return nil, err
	}
	defer x.gate.leave()
	set, err := x.stored(inst)
	if err != nil || len(set.list) == 0 {
		return nil, err
	}
	t, _, err := x.tally(inst)
	if err != nil {
		return nil, err
	}
	out := make([]Secondary, len(set.list))
	for i := range set.list {
		out[i] = set.list[i].status(t.rows)
	}
	return out, nil
}

// stored are a collection's indexes as they are committed.
func (x *Index) stored(inst schema.Instance) (*secondaries, error) {
	if x.opts.Catalog == nil || inst < schema.FirstUserInstance {
		return noSecondaries, nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.storedLocked(inst)
}

// storedLocked reads under the lock that who commits forgets under, so that
// nothing is kept that no longer is.
func (x *Index) storedLocked(inst schema.Instance) (*secondaries, error) {
	if set, ok := x.sets.Get(inst); ok {
		return set, nil
	}
	val, ok, err := x.eng.get(latest, nil, instanceKey(spaceSecondaries, inst))
	if err != nil {
		return nil, corrupt("read secondary indexes", err)
	}
	set := noSecondaries
	if ok {
		if set, err = decodeSecondaries(val); err != nil {
			return nil, fmt.Errorf("instance %d: %w", inst, err)
		}
	}
	x.sets.Add(inst, set)
	return set, nil
}

// sequenced are a collection's indexes as of all that was staged.
func (x *Index) sequenced(inst schema.Instance) (*secondaries, error) {
	if x.opts.Catalog == nil || inst < schema.FirstUserInstance {
		return noSecondaries, nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if d := x.overlay.defined[inst]; len(d) > 0 {
		return d[len(d)-1].set, nil
	}
	return x.storedLocked(inst)
}

// redefined takes note that indexes of collections were committed.
func (x *Index) redefined(insts []schema.Instance) error {
	if len(insts) == 0 {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, inst := range insts {
		x.sets.Remove(inst)
		set, err := x.storedLocked(inst)
		if err != nil {
			return err
		}
		for i, d := range x.overlay.defined[inst] {
			x.overlay.defined[inst][i].set = d.set.like(set)
		}
		x.guardLocked(inst, set)
	}
	x.build.wakeUp()
	x.reclaim.wakeUp()
	return nil
}
