package s3_test

import (
	"fmt"
	"testing"

	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
)

func TestAcceptance(t *testing.T) {
	kinds(t, func(t *testing.T, express bool) {
		for _, prefix := range []string{"", "deep/in the/büro"} {
			t.Run(fmt.Sprintf("prefix %q", prefix), func(t *testing.T) {
				blobtest.Run(t, func(t *testing.T) blobtest.Store {
					server := s3test.Start(t, s3test.Options{Express: express, PageKeys: 3})
					return open(t, configOf(server, prefix), quick(server))
				})
			})
		}
	})
}

// TestAcceptanceUnderFaults: what a store may repeat it does repeat.
func TestAcceptanceUnderFaults(t *testing.T) {
	kinds(t, func(t *testing.T, express bool) {
		blobtest.Run(t, func(t *testing.T) blobtest.Store {
			server := s3test.Start(t, s3test.Options{Express: express, PageKeys: 3})
			o := quick(server)
			o.MaxTries = 12
			s := open(t, configOf(server, "p"), o)
			chaos := s3test.Chaos(42, s3test.Rates{SlowDown: 0.04, Lose: 0.04, Truncate: 0.04, Flip: 0.04, Conflict: 0.04, Expired: 0.04})
			server.SetHook(func(r *s3test.Request) s3test.Fault {
				f := chaos(r)
				if (r.Op == s3test.Put || r.Op == s3test.Complete) && (f.Status >= 500 || f.Lose) {
					return s3test.Fault{} // the outcome of these is the caller's to find out
				}
				return f
			})
			return s
		})
	})
}

func TestRace(t *testing.T) {
	kinds(t, func(t *testing.T, express bool) {
		server := s3test.Start(t, s3test.Options{Express: express})
		s := open(t, configOf(server, ""), quick(server))
		for i := range 5 {
			race(t, s, fmt.Sprintf("ch/0/0/%020d", i), 64)
		}
	})
}
