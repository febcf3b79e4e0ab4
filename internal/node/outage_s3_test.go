package node_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/trinedb/trine/internal/blob/hedge"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// expiring are credentials that somebody forgot to renew: what the provider
// gives is no longer good, until it is renewed.
type expiring struct {
	server  *s3test.Server
	renewed atomic.Bool
	asked   atomic.Int64
}

func (e *expiring) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := e.server.Retrieve(ctx)
	if e.asked.Add(1) > 1 && !e.renewed.Load() {
		c.SessionToken = "stale"
	}
	return c, err
}

// s3Log opens a log as a node does, on a fake of S3 that is reached in memory.
func s3Log(t *testing.T, server *s3test.Server, express bool, credentials aws.CredentialsProvider) *log.Channel {
	t.Helper()
	store, err := s3.Open(t.Context(), s3.Config{
		Bucket: server.Bucket(), Prefix: "deployment/log", Endpoint: server.URL, Express: express, PathStyle: !express,
	}, s3.Options{Credentials: credentials, HTTPClient: server.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	t.Cleanup(server.Wait)
	chunks, err := hedge.New(store, hedge.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := log.Open(t.Context(), log.Options{Store: chunks, WriterID: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

func oneRow(key byte, row string) log.Append {
	return log.Append{
		Groups: []log.AppendGroup{{Instance: 16, Records: []schema.Record{{Op: schema.OpInsert, Row: []byte(row)}}}},
		Dedup:  schema.DedupKey{key, 1}, Digest: [16]byte{1},
	}
}

// TestOutageOfS3 takes S3 away for five minutes in several ways: writers are told
// which store it is and what ails it, and the log comes back by itself.
func TestOutageOfS3(t *testing.T) {
	for _, c := range []struct {
		what string
		hook s3test.Hook
		// expire ends credentials and sessions, which are not renewed.
		expire bool
		says   string
	}{
		{what: "slow down", hook: func(*s3test.Request) s3test.Fault { return s3test.SlowDown }, says: "SlowDown"},
		{what: "internal errors", hook: func(*s3test.Request) s3test.Fault { return s3test.Internal }, says: "InternalError"},
		{what: "no answer", hook: func(*s3test.Request) s3test.Fault { return s3test.Fault{Late: time.Hour} }, says: "no answer in time"},
		{what: "access denied", hook: func(*s3test.Request) s3test.Fault { return s3test.Denied }, says: "AccessDenied"},
		{what: "403 expired token", hook: func(*s3test.Request) s3test.Fault {
			return s3test.Refuse(http.StatusForbidden, "ExpiredToken")
		}, says: "ExpiredToken"},
		{what: "credentials expired", expire: true, says: "ExpiredToken"},
	} {
		for name, express := range map[string]bool{"standard": false, "express": true} {
			t.Run(c.what+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server := s3test.New(s3test.Options{Express: express, Seed: 1})
					credentials := &expiring{server: server}
					credentials.renewed.Store(!c.expire)
					ch := s3Log(t, server, express, credentials)
					if _, err := ch.Append(t.Context(), oneRow(0, "before")); err != nil {
						t.Fatal(err)
					}
					server.SetHook(c.hook)
					if c.expire {
						server.Expire()
					}
					end := time.Now().Add(5 * time.Minute)
					refused := 0
					for key := byte(1); time.Now().Before(end); key++ {
						_, err := ch.Append(t.Context(), oneRow(key%5+1, fmt.Sprint("row-", key%5+1)))
						if refused++; !errors.Is(err, schema.ErrUnavailable) && !errors.Is(err, schema.ErrUnknownOutcome) {
							t.Fatalf("not an error to try again after: %v", err)
						}
						if says := err.Error(); !strings.Contains(says, c.says) || !strings.Contains(says, server.Bucket()) {
							t.Fatalf("names the store %q and %q? %v", server.Bucket(), c.says, err)
						}
						if _, err := ch.Chunk(t.Context(), schema.Position{Chunk: ch.Durable().Chunk}); err != nil {
							t.Fatalf("read what is in memory: %v", err)
						}
						time.Sleep(3 * time.Second)
					}
					server.SetHook(nil)
					credentials.renewed.Store(true)
					comesBack(t, ch, refused)
				})
			})
		}
	}
}

// comesBack sends what was refused until it is acknowledged, and makes sure that
// all is there once.
func comesBack(t *testing.T, ch *log.Channel, refused int) {
	t.Helper()
	begin := time.Now()
	for key := byte(1); key <= 5; key++ {
		for {
			_, err := ch.Append(t.Context(), oneRow(key, fmt.Sprint("row-", key)))
			if err == nil {
				break
			}
			if time.Since(begin) > time.Minute {
				t.Fatalf("not back after a minute: %v", err)
			}
			time.Sleep(time.Second)
		}
	}
	t.Logf("%d refused; back after %v", refused, time.Since(begin))
	rows := map[string]int{}
	err := ch.Check(t.Context(), schema.Position{}, func(c *schema.Chunk) error {
		for _, g := range c.Groups {
			for _, r := range g.Records {
				rows[string(r.Row)]++
			}
		}
		return nil
	})
	if want := "map[before:1 row-1:1 row-2:1 row-3:1 row-4:1 row-5:1]"; err != nil || fmt.Sprint(rows) != want {
		t.Errorf("got %v, %v, want %s", rows, err, want)
	}
}
