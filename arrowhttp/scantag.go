package arrowhttp

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/trinedb/trine/schema"
)

// scanTag is the entity tag of a scan: a name of its rows, form and coding, and the
// position, which the bytes tell too:
//
//	"<hash>.<position>"
//
// While a collection rests and others are written to, only the position moves on. A
// scan of an earlier position, of the same rows, is still one of now.
type scanTag struct {
	rows     string
	position schema.Position
}

// tagOf is the tag of what is about to be sent; the zero tag if that cannot be
// named.
func (q *request) tagOf(c *schema.Collection, sc *ScanStream, form string, code coding) scanTag {
	if sc.State == nil {
		return scanTag{}
	}
	s := *sc.State
	s.Position = schema.Position{}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %d %+v %q %q %+v",
		c.Instance, c.Schema.ID, scanQueryHash(q.query), s, q.query.Get("resume"), form, code))
	return scanTag{hex.EncodeToString(sum[:12]), sc.Position}
}

// String is the tag as headers have it.
func (t scanTag) String() string { return `"` + t.rows + "." + t.position.String() + `"` }

// held is the tag among those of If-None-Match that names the same rows, or "".
// Nothing else is compared: the client has these rows, whatever "*" may mean.
func (t scanTag) held(header string) string {
	for _, tag := range splitList(header) {
		tag = strings.TrimPrefix(tag, "W/")
		if rows, _, ok := strings.Cut(strings.Trim(tag, `"`), "."); ok && rows == t.rows {
			return tag
		}
	}
	return ""
}

// notModified answers 304 if the client has what it would be sent, and else sets the
// tag. It is for clients that keep what they have read to the end themselves:
// caches must not, as they take a stream that failed for a whole one.
func (q *request) notModified(tag scanTag) bool {
	if tag.rows == "" {
		return false
	}
	h := q.w.Header()
	if held := tag.held(strings.Join(q.r.Header.Values("If-None-Match"), ",")); held != "" {
		h.Set("ETag", held)
		q.w.WriteHeader(304)
		return true
	}
	h.Set("ETag", tag.String())
	return false
}
