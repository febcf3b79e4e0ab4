//go:build s3

package s3_test

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
)

// TestVersitygw holds the store to its promises on a server that others wrote.
func TestVersitygw(t *testing.T) {
	judge := s3test.StartVersitygw(t)
	var stores atomic.Int64
	fresh := func(t *testing.T) *s3.Store {
		return open(t, s3.Config{
			Bucket: judge.Bucket, Prefix: fmt.Sprintf("store-%d", stores.Add(1)), Endpoint: judge.URL, PathStyle: true,
		}, s3.Options{Credentials: credentials.NewStaticCredentialsProvider(judge.AccessKey, judge.SecretKey, ""), PartBytes: 5 << 20})
	}
	t.Run("acceptance", func(t *testing.T) {
		blobtest.Run(t, func(t *testing.T) blobtest.Store { return fresh(t) })
	})
	t.Run("race", func(t *testing.T) {
		s := fresh(t)
		for i := range 5 {
			race(t, s, fmt.Sprintf("ch/0/0/%020d", i), 64)
		}
	})
	t.Run("parts", func(t *testing.T) { testParts(t, fresh(t)) })
	t.Run("probe cleans up", func(t *testing.T) {
		s := fresh(t)
		for name, err := range s.List(t.Context(), "", "") {
			t.Errorf("an empty store lists %q, %v", name, err)
		}
	})
	t.Run("large", func(t *testing.T) {
		s := fresh(t)
		data := bytes.Repeat([]byte("chunk"), 1<<20)
		check(t, s.PutIfAbsent(t.Context(), "large", data))
		got, err := s.Get(t.Context(), "large")
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	})
}
