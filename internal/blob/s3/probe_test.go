package s3_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
	"github.com/trinedb/trine/schema"
)

// TestProbeRefuses a store that ignores conditions or ranges, and leaves nothing.
func TestProbeRefuses(t *testing.T) {
	for _, c := range []struct {
		o    s3test.Options
		want string
	}{
		{s3test.Options{IgnoreConditions: true}, "ignores If-None-Match: *"},
		{s3test.Options{IgnoreConditions: true, Express: true}, "ignores If-None-Match: *"},
		{s3test.Options{IgnoreRanges: true}, "Content-Range"},
	} {
		server := s3test.New(c.o)
		_, err := s3.Open(t.Context(), configOf(server, "p"), inMemory(t, server))
		wantErr(t, err, schema.ErrUnsupported)
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v does not say %q", err, c.want)
		}
		if n := server.Keys() + server.Uploads(); n != 0 {
			t.Errorf("the probe left %d objects", n)
		}
	}
}

// TestProbeCost holds the requests of an Open to what is documented.
func TestProbeCost(t *testing.T) {
	server := s3test.New(s3test.Options{Express: true})
	s := open(t, configOf(server, "p"), inMemory(t, server))
	want := map[s3.Verb]int64{
		s3.VerbPut: 6, s3.VerbGet: 2, s3.VerbBegin: 1, s3.VerbPart: 1, s3.VerbComplete: 1, s3.VerbAbort: 1,
		s3.VerbDelete: 2, s3.VerbSession: 1,
	}
	usage := s.Usage()
	for verb, n := range want {
		if usage[verb].Requests != n {
			t.Errorf("%d requests of %s, want %d", usage[verb].Requests, verb, n)
		}
		delete(usage, verb)
	}
	for verb, u := range usage {
		t.Errorf("%d requests of %s, want none", u.Requests, verb)
	}
	if n := server.Keys() + server.Uploads(); n != 0 {
		t.Errorf("the probe left %d objects", n)
	}
}

// TestProbeBeginsAnew when an answer is lost, whichever it is.
func TestProbeBeginsAnew(t *testing.T) {
	for n := 1; n <= 15; n++ {
		synctest.Test(t, func(t *testing.T) {
			server := s3test.New(s3test.Options{})
			server.SetHook(func(r *s3test.Request) s3test.Fault { return s3test.Fault{Lose: r.N == n} })
			open(t, configOf(server, "p"), inMemory(t, server))
			server.Wait()
			if left := server.Keys(); left != 0 {
				t.Errorf("request %d lost: %d objects were left", n, left)
			}
		})
	}
}

// TestProbeGivesUp on a store that is out of order, and says why.
func TestProbeGivesUp(t *testing.T) {
	for fault, want := range map[s3test.Op]struct {
		fault s3test.Fault
		text  string
	}{
		s3test.Put:      {s3test.Denied, "AccessDenied"},
		s3test.Get:      {s3test.Fault{Late: time.Hour}, "no answer in time"},
		s3test.Delete:   {s3test.Denied, "remove the probe's object"},
		s3test.Begin:    {s3test.Refuse(501, "NotImplemented"), "multipart"},
		s3test.Complete: {s3test.Internal, "multipart"},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := s3test.New(s3test.Options{})
			server.SetHook(func(r *s3test.Request) s3test.Fault {
				if r.Op == fault {
					return want.fault
				}
				return s3test.Fault{}
			})
			_, err := s3.Open(t.Context(), configOf(server, "p"), inMemory(t, server))
			if err == nil || !strings.Contains(err.Error(), want.text) {
				t.Errorf("%s: %v does not say %q", fault, err, want.text)
			}
			server.Wait()
		})
	}
}

// TestProbeWantsListBucket: without it, a missing object is forbidden.
func TestProbeWantsListBucket(t *testing.T) {
	server := s3test.New(s3test.Options{})
	server.SetHook(func(r *s3test.Request) s3test.Fault {
		if r.Op == s3test.Get && strings.HasSuffix(r.Key, "-absent") {
			return s3test.Denied
		}
		return s3test.Fault{}
	})
	_, err := s3.Open(t.Context(), configOf(server, ""), inMemory(t, server))
	wantErr(t, err, schema.ErrUnavailable)
	if !strings.Contains(err.Error(), "s3:ListBucket") {
		t.Errorf("%v does not name the permission", err)
	}
}
