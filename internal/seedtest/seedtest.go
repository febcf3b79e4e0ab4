// Package seedtest gives tests that draw at random their seeds.
package seedtest

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Variable is the environment variable that sets the seed: a number, or new for
// one by the clock. Without it the seed is 1, so that whether a commit passes is a
// matter of the commit; make fresh-seeds looks further.
const Variable = "TRINE_SEED"

// Of returns the run's seed, and has a test that fails say how to run it again.
func Of(t testing.TB) uint64 {
	t.Helper()
	n := uint64(1)
	switch text := os.Getenv(Variable); text {
	case "":
	case "new":
		n = uint64(time.Now().UnixNano())
	default:
		given, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s=%q is neither a number nor new", Variable, text)
		}
		n = given
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d: run it again with %s=%d", n, Variable, n)
		}
	})
	return n
}

// Rand returns a generator by the run's seed and the test's name.
func Rand(t testing.TB) *rand.Rand {
	t.Helper()
	h := fnv.New64a()
	h.Write([]byte(t.Name()))
	return rand.New(rand.NewPCG(Of(t), h.Sum64()))
}
