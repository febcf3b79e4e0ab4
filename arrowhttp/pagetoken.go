package arrowhttp

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/trinedb/trine/schema"
)

// A paging token is the last key of a page, for one collection, index and
// direction:
//
//	version(1) flags(1) instance(8, big endian) index(4, big endian; 0: the key) key(…)   in base64url
//
// It is not a secret: it holds a key that its reader was shown.
const (
	tokenVersion = 2
	tokenReverse = 1 << 0
	tokenHeader  = 14
)

func pageToken(c *schema.Collection, by *schema.IndexSpec, reverse bool, key []byte) string {
	b := make([]byte, tokenHeader, tokenHeader+len(key))
	b[0] = tokenVersion
	if reverse {
		b[1] = tokenReverse
	}
	binary.BigEndian.PutUint64(b[2:], uint64(c.Instance))
	binary.BigEndian.PutUint32(b[10:], uint32(indexID(by)))
	return base64.RawURLEncoding.EncodeToString(append(b, key...))
}

func indexID(by *schema.IndexSpec) schema.IndexID {
	if by == nil {
		return 0
	}
	return by.ID
}

func parsePageToken(c *schema.Collection, by *schema.IndexSpec, reverse bool, text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < tokenHeader || b[0] != tokenVersion || b[1]&^tokenReverse != 0 {
		return nil, invalid("parameter after: not a token that a page of this collection gave")
	}
	if binary.BigEndian.Uint64(b[2:]) != uint64(c.Instance) {
		return nil, invalid("parameter after: a token of another collection, or of this one before it was dropped")
	}
	if binary.BigEndian.Uint32(b[10:]) != uint32(indexID(by)) {
		return nil, invalid("parameter after: a token of another index; keep index as it was")
	}
	if (b[1] == tokenReverse) != reverse {
		return nil, invalid("parameter after: a token of the other direction; keep reverse as it was")
	}
	return b[tokenHeader:], nil
}
