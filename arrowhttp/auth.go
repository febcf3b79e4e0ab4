package arrowhttp

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
)

// authenticator lets in who has one of its tokens, or everybody if it has none.
type authenticator struct{ digests [][sha256.Size]byte }

func newAuthenticator(tokens []string) *authenticator {
	a := &authenticator{}
	for _, token := range tokens {
		a.digests = append(a.digests, sha256.Sum256([]byte(token)))
	}
	return a
}

// check compares the request's token with every token, in a time that tells
// neither which one nor how much of it was right.
func (a *authenticator) check(r *http.Request) error {
	if len(a.digests) == 0 {
		return nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") || token == "" {
		return fmt.Errorf("%w: send Authorization: Bearer <token>", errUnauthorized)
	}
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	found := 0
	for i := range a.digests {
		found |= subtle.ConstantTimeCompare(got[:], a.digests[i][:])
	}
	if found == 0 {
		return fmt.Errorf("%w: the token is not known here", errUnauthorized)
	}
	return nil
}
