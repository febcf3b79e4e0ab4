package s3_test

import (
	"net/http/httptest"
	"testing"

	"github.com/trinedb/trine/internal/blob/s3/s3test"
)

// TestTLS: over TLS the payload is not hashed for its signature, the checksum
// remains.
func TestTLS(t *testing.T) {
	kinds(t, func(t *testing.T, express bool) {
		fake := s3test.New(s3test.Options{Express: express})
		server := httptest.NewTLSServer(fake)
		defer server.Close()
		fake.URL = server.URL
		o := quick(fake)
		o.HTTPClient = server.Client()
		s := open(t, configOf(fake, "p"), o)
		fake.SetHook(func(r *s3test.Request) s3test.Fault {
			if r.Op == s3test.Put || r.Op == s3test.Part {
				if sum := r.Header("x-amz-checksum-crc32c"); len(sum) != 8 {
					t.Errorf("%s has CRC-32C %q", r.Op, sum)
				}
				if sum := r.Header("x-amz-content-sha256"); sum != "UNSIGNED-PAYLOAD" {
					t.Errorf("%s has SHA-256 %q", r.Op, sum)
				}
			}
			return s3test.Fault{}
		})
		check(t, write(t, s, "one", pattern(1000)))
		check(t, write(t, s, "two", pattern(6<<20)))
	})
}
