package vend_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/trinedb/trine/internal/blob/s3/s3test"
	"github.com/trinedb/trine/internal/blob/s3/vend"
	"github.com/trinedb/trine/schema"
)

const role = "arn:aws-cn:iam::123456789012:role/engines"

// clock is a time that a test moves on.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (k *clock) Now() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

func (k *clock) pass(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
}

func start(t *testing.T) (*vend.Vendor, *s3test.STS, *clock) {
	t.Helper()
	k := &clock{now: time.Unix(1_800_000_000, 0)}
	sts := s3test.StartSTS(t, k.Now)
	v, err := vend.New(t.Context(), vend.Options{
		RoleARN: role, Bucket: "b", Region: "cn-north-1", Endpoint: sts.URL, Now: k.Now,
		Provider: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	return v, sts, k
}

// The policy allows one prefix, and to write only where data files and manifests lie.
func TestPolicy(t *testing.T) {
	v, sts, _ := start(t)
	for _, write := range []bool{false, true} {
		if _, err := v.Vend(t.Context(), "p$*?/acme/items-10", write); err != nil {
			t.Fatal(err)
		}
	}
	const at = `arn:aws-cn:s3:::b/p${$}${*}${?}/acme/items-10/`
	read := `{"Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["` + at + `*"]},` +
		`{"Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws-cn:s3:::b"],"Condition":{"StringLike":{"s3:prefix":["p${$}${*}${?}/acme/items-10/*"]}}}`
	write := `,{"Effect":"Allow","Action":["s3:PutObject","s3:AbortMultipartUpload"],"Resource":["` + at + `data/*","` + at + `metadata/*.avro"]}`
	const end = `],"Version":"2012-10-17"}`
	for i, want := range []string{read + end, read + write + end} {
		asked := sts.Asked()[i]
		if got := asked.Get("Policy"); got != want || !json.Valid([]byte(got)) {
			t.Errorf("policy\n%s, want\n%s", got, want)
		}
		if asked.Get("RoleArn") != role || asked.Get("DurationSeconds") != "3600" {
			t.Errorf("asked for %v", asked)
		}
	}
}

// Credentials are given again while they are good for long enough, and to the same
// scope only.
func TestVendedAgain(t *testing.T) {
	v, sts, k := start(t)
	for _, test := range []struct {
		after  time.Duration
		prefix string
		write  bool
		want   string
	}{
		{0, "x", false, "id-1"},
		{44 * time.Minute, "x", false, "id-1"},
		{0, "x", true, "id-2"},
		{0, "y", false, "id-3"},
		{2 * time.Minute, "x", false, "id-4"},
		{0, "x", true, "id-2"},
	} {
		k.pass(test.after)
		c, err := v.Vend(t.Context(), test.prefix, test.write)
		if err != nil || c.AccessKeyID != test.want || c.Expires.Sub(k.Now()) < 15*time.Minute {
			t.Errorf("%+v: %+v (%v)", test, c, err)
		}
	}
	sts.Refuse(true)
	if _, err := v.Vend(t.Context(), "z", false); !errors.Is(err, schema.ErrUnavailable) {
		t.Errorf("refused: %v", err)
	}
	sts.Refuse(false)
	if _, err := v.Vend(t.Context(), "z", false); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// Of many who ask at once one asks the service, and who goes away takes nobody along.
func TestAskedOnce(t *testing.T) {
	v, sts, _ := start(t)
	release := sts.Hold()
	first, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := v.Vend(first, "x", false)
		gone <- err
	}()
	for len(sts.Asked()) == 0 {
		time.Sleep(time.Millisecond)
	}
	var others sync.WaitGroup
	for range 8 {
		others.Go(func() {
			if c, err := v.Vend(t.Context(), "x", false); err != nil || c.SessionToken != "token-1" {
				t.Errorf("%+v (%v)", c, err)
			}
		})
	}
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("who went away: %v", err)
	}
	release()
	others.Wait()
	if n := len(sts.Asked()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestRoleIsChecked(t *testing.T) {
	for _, arn := range []string{"", "engines", "arn:aws:s3:::b", "arn:aws:iam::1:user/x"} {
		_, err := vend.New(t.Context(), vend.Options{RoleARN: arn, Bucket: "b", Region: "r"})
		if !errors.Is(err, schema.ErrInvalid) || !strings.Contains(fmt.Sprint(err), "arn:aws:iam::") {
			t.Errorf("%q: %v", arn, err)
		}
	}
}
