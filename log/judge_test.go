package log_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// judge collects what is wrong instead of failing its test at once, so that a
// test can demand that something is found.
type judge struct {
	testing.TB
	mu    sync.Mutex
	found []string
}

func (j *judge) Errorf(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.found = append(j.found, fmt.Sprintf(format, args...))
}

func (j *judge) Error(args ...any) { j.Errorf("%s", fmt.Sprint(args...)) }

func (j *judge) Failed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.found) > 0
}

func (j *judge) Helper() {}

// Fatalf is Errorf and ends the goroutine, as it does in a test.
func (j *judge) Fatalf(format string, args ...any) {
	j.Errorf(format, args...)
	panic(errJudged)
}

func (j *judge) Fatal(args ...any) { j.Fatalf("%s", fmt.Sprint(args...)) }

var errJudged = errors.New("judged")

// randomBytes makes a log.Options.Rand of a seed.
type randomBytes struct{ r *rand.Rand }

func (b randomBytes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b.r.Uint32())
	}
	return len(p), nil
}
