package s3test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// STS is a fake of AWS's Security Token Service, as far as AssumeRole goes: each
// credentials have a number. It is safe for concurrent use.
type STS struct {
	URL string

	mu     sync.Mutex
	asked  []url.Values
	refuse bool
	hold   chan struct{}
}

// StartSTS starts a fake, which ends with the test. Credentials last for an hour from
// now's time.
func StartSTS(t testing.TB, now func() time.Time) *STS {
	t.Helper()
	s := &STS{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, now) }))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

func (s *STS) answer(w http.ResponseWriter, r *http.Request, now func() time.Time) {
	if err := r.ParseForm(); err != nil || r.Form.Get("Action") != "AssumeRole" || r.Header.Get("Authorization") == "" {
		http.Error(w, "want a signed AssumeRole", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.asked = append(s.asked, r.Form)
	n, refuse, hold := len(s.asked), s.refuse, s.hold
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	w.Header().Set("Content-Type", "text/xml")
	if refuse {
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)
		return
	}
	_, _ = fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>id-%d</AccessKeyId><SecretAccessKey>secret-%d</SecretAccessKey><SessionToken>token-%d</SessionToken><Expiration>%s</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>`, n, n, n, now().Add(time.Hour).UTC().Format(time.RFC3339))
}

// Asked are the requests so far.
func (s *STS) Asked() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]url.Values(nil), s.asked...)
}

// Refuse has it refuse from now on, or not.
func (s *STS) Refuse(refuse bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

// Hold holds answers from now on, until the function that it gives is called.
func (s *STS) Hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hold := make(chan struct{})
	s.hold = hold
	return sync.OnceFunc(func() {
		s.mu.Lock()
		s.hold = nil
		s.mu.Unlock()
		close(hold)
	})
}
