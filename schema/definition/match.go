package definition

import (
	"fmt"
	"slices"

	"github.com/trinedb/trine/schema"
)

// match finds the field of cur that each of defs continues, or -1 for a new
// one: the one with its name, else the one that it was.
func (e *evolver) match(cur []schema.Field, defs []FieldDef, path string) []int {
	byName := make(map[string]int, len(cur))
	for i := range cur {
		byName[cur[i].Name] = i
	}
	defined := make(map[string]*FieldDef, len(defs))
	for i := range defs {
		defined[defs[i].Name] = &defs[i]
	}
	from := make([]int, len(defs))
	taken := make(map[int]bool, len(cur))
	// A field that was renamed away cannot also go on under its name, unless
	// it is itself the new name of another.
	for i := range defs {
		from[i] = -1
		d := &defs[i]
		was, hasWas := byName[d.Was]
		if _, exists := byName[d.Name]; d.Was == "" || exists || !hasWas {
			continue
		}
		if keeps := defined[d.Was]; keeps != nil && !e.movesOn(keeps, byName) {
			e.refuse(join(path, d.Name), "was "+quote(d.Was),
				"the file keeps a field of that name too: remove was: to add a new field, or the other field to rename it")
			continue
		}
		e.take(from, taken, i, was)
	}
	for again := true; again; { // renames that follow from renames
		again = false
		for i := range defs {
			d := &defs[i]
			was, hasWas := byName[d.Was]
			if here, exists := byName[d.Name]; from[i] < 0 && exists && taken[here] && d.Was != "" && hasWas && !taken[was] {
				e.take(from, taken, i, was)
				again = true
			}
		}
	}
	for i := range defs {
		if here, exists := byName[defs[i].Name]; from[i] < 0 && exists && !taken[here] {
			e.take(from, taken, i, here)
		}
	}
	e.staleNames(cur, defs, from, byName, path)
	for i, j := range from {
		if j >= 0 && cur[j].Name != defs[i].Name {
			e.step(StepRename, join(path, cur[j].Name), "to %s", join(path, defs[i].Name))
		}
	}
	return from
}

func (e *evolver) take(from []int, taken map[int]bool, i, j int) {
	if !taken[j] {
		from[i], taken[j] = j, true
	}
}

// movesOn reports whether a field whose name is taken over is itself the new
// name of another field that exists.
func (e *evolver) movesOn(d *FieldDef, byName map[string]int) bool {
	_, ok := byName[d.Was]
	return d.Was != "" && ok
}

// staleNames looks at was: that renamed nothing. After the rename was done
// that is as it should be; where fields would be dropped beside it, it may be
// a mistake that costs data.
func (e *evolver) staleNames(cur []schema.Field, defs []FieldDef, from []int, byName map[string]int, path string) {
	var dropped []string
	for i := range cur {
		if !slices.Contains(from, i) {
			dropped = append(dropped, cur[i].Name)
		}
	}
	for i, d := range defs {
		if d.Was == "" || len(dropped) == 0 {
			continue
		}
		name := join(path, d.Name)
		switch {
		case from[i] < 0 && !slices.Contains(dropped, d.Was):
			if _, refused := byName[d.Was]; !refused {
				e.refuse(name, "was "+quote(d.Was), fmt.Sprintf(
					"there is no such field to rename, and %s would be dropped: correct was:, or remove it to add a new field", quote(dropped[0])))
			}
		case from[i] >= 0 && cur[from[i]].Name == d.Name && slices.Contains(dropped, d.Was):
			e.refuse(name, "was "+quote(d.Was), fmt.Sprintf(
				"both %s and %s exist, so this is no rename: remove was: to drop %s", quote(d.Name), quote(d.Was), quote(d.Was)))
		}
	}
}
