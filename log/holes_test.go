package log_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/trinedb/trine/log"
)

// TestHoles compares the runs with a set.
func TestHoles(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var h log.Holes
		set := map[uint64]bool{}
		for range 200 {
			n := 1 + uint64(r.IntN(40))
			if r.IntN(2) == 0 {
				h.Add(n)
				set[n] = true
			} else {
				h.Remove(n)
				delete(set, n)
			}
			least := uint64(0)
			for m := range set {
				if least == 0 || m < least {
					least = m
				}
			}
			if first, ok := h.First(); first != least || ok != (len(set) > 0) || h.Count() != uint64(len(set)) {
				t.Fatalf("seed %d: first %d, %v, count %d; want %d of %v", seed, first, ok, h.Count(), least, set)
			}
		}
	}
}

// TestManyHoles adds more runs than are kept apart: none is forgotten.
func TestManyHoles(t *testing.T) {
	var h log.Holes
	const n = 10_000
	for i := range uint64(n) {
		h.Add(1 + 2*i)
	}
	var got []uint64
	for {
		first, ok := h.First()
		if !ok {
			break
		}
		got = append(got, first)
		h.Remove(first)
	}
	for i := range uint64(n) {
		if _, ok := slices.BinarySearch(got, 1+2*i); !ok {
			t.Fatalf("forgot %d", 1+2*i)
		}
	}
}
