package latency

import (
	"fmt"
	"time"

	"github.com/trinedb/trine/schema"
)

// Profile is how long the calls of a store take.
type Profile struct {
	Name string
	Put  Distribution // what writes: PUT, DELETE
	Get  Distribution // what reads: GET, LIST
	// BytesPerSecond is how fast one request moves its bytes, on top; 0: they
	// take no time.
	BytesPerSecond float64
}

// Standard is S3 Standard from the same region. The package comment has the
// sources.
func Standard() Profile {
	return Profile{
		Name: "standard",
		Put: Distribution{
			{0, 12 * ms}, {0.1, 18 * ms}, {0.5, 26 * ms}, {0.9, 38 * ms}, {0.99, 350 * ms}, {0.999, 1000 * ms}, {1, 5000 * ms},
		},
		Get: Distribution{
			{0, 8 * ms}, {0.1, 12 * ms}, {0.5, 22 * ms}, {0.9, 42 * ms}, {0.99, 80 * ms}, {0.999, 400 * ms}, {1, 3000 * ms},
		},
		BytesPerSecond: 80e6,
	}
}

// Express is S3 Express One Zone from the same zone. The package comment has the
// sources.
func Express() Profile {
	return Profile{
		Name:           "express",
		Put:            Distribution{{0, 6 * ms}, {0.5, 10 * ms}, {0.99, 15 * ms}, {0.999, 150 * ms}, {1, 2000 * ms}},
		Get:            Distribution{{0, 2 * ms}, {0.5, 4 * ms}, {0.9, 5 * ms}, {0.99, 9 * ms}, {0.999, 60 * ms}, {1, 2000 * ms}},
		BytesPerSecond: 150e6,
	}
}

const ms = time.Millisecond

// Fixed is a store that takes the same time for each write, and none to read.
func Fixed(put time.Duration) Profile {
	return Profile{Name: put.String(), Put: Distribution{{0, put}, {1, put}}, Get: Distribution{{0, 0}, {1, 0}}}
}

// Parse reads a profile's name: standard, express, or the time of each write,
// such as 20ms.
func Parse(name string) (Profile, error) {
	switch name {
	case "standard":
		return Standard(), nil
	case "express":
		return Express(), nil
	}
	put, err := time.ParseDuration(name)
	if err != nil || put < 0 || put > maxFixed {
		return Profile{}, fmt.Errorf("latency %q: want standard, express, or the time of a PUT up to %v, such as 20ms: %w", name, maxFixed, schema.ErrInvalid)
	}
	return Fixed(put), nil
}

// maxFixed is beyond what any store takes that is of use.
const maxFixed = 10 * time.Second
