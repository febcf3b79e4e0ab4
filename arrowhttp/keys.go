package arrowhttp

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/rowjson"
)

// keyed demands a primary key.
func keyed(c *schema.Collection) error {
	if !c.Schema.Keyed() {
		return invalid("collection %s has no key: it is append-only; read its log or scan it", c)
	}
	return nil
}

// keyNames lists the key's fields for a message.
func keyNames(s *schema.Schema) string {
	names := make([]string, len(s.Key))
	for i, field := range s.Key {
		names[i] = s.Fields[field].Name
	}
	return strings.Join(names, ", ")
}

// keyFromPath encodes a full key given as text, part by part.
func keyFromPath(s *schema.Schema, texts []string) ([]byte, error) {
	if len(texts) != len(s.Key) {
		return nil, invalid("the path has %d key parts, the key has %d: %s; write a / inside a part as %%2F", len(texts), len(s.Key), keyNames(s))
	}
	parts := make([]schema.Value, len(texts))
	for i, t := range s.KeyTypes() {
		v, err := schema.ParseText(t, texts[i])
		if err != nil {
			return nil, nameField(err, s.Fields[s.Key[i]].Name)
		}
		parts[i] = v
	}
	return s.AppendKeyParts(nil, parts), nil
}

// keyFromJSON encodes a key, or with partial its leading parts, given as a
// JSON array. A single part may stand without its array.
func keyFromJSON(s *schema.Schema, data []byte, partial bool) ([]byte, error) {
	data = bytes.TrimSpace(data)
	var raws []json.RawMessage
	if len(data) > 0 && data[0] == '[' {
		if err := json.Unmarshal(data, &raws); err != nil {
			return nil, invalid("%v", err)
		}
	} else {
		raws = []json.RawMessage{data}
	}
	if len(raws) > len(s.Key) || len(raws) < len(s.Key) && !partial {
		return nil, invalid("%d key parts, the key has %d: %s", len(raws), len(s.Key), keyNames(s))
	}
	parts := make([]schema.Value, len(raws))
	types := s.KeyTypes()
	for i, raw := range raws {
		v, err := rowjson.DecodeValue(types[i], raw)
		if err != nil {
			return nil, nameField(err, s.Fields[s.Key[i]].Name)
		}
		if v.IsNull() {
			return nil, &schema.FieldError{Field: s.Fields[s.Key[i]].Name, Value: "null", Rule: "a key part is never null"}
		}
		parts[i] = v
	}
	return s.AppendKeyParts(nil, parts), nil
}

// nameField puts a field's name on an error about its value.
func nameField(err error, name string) error {
	var fe *schema.FieldError
	if errors.As(err, &fe) && fe.Field == "" {
		named := *fe
		named.Field = name
		return &named
	}
	return err
}

// A paging token is the last key of a page, for one collection and direction:
//
//	version(1) flags(1) instance(8, big endian) key(…)   in base64url
//
// It is not a secret: it holds a key that its reader was shown.
const (
	tokenVersion = 1
	tokenReverse = 1 << 0
	tokenHeader  = 10
)

func pageToken(c *schema.Collection, reverse bool, key []byte) string {
	b := make([]byte, tokenHeader, tokenHeader+len(key))
	b[0] = tokenVersion
	if reverse {
		b[1] = tokenReverse
	}
	binary.BigEndian.PutUint64(b[2:], uint64(c.Instance))
	return base64.RawURLEncoding.EncodeToString(append(b, key...))
}

func parsePageToken(c *schema.Collection, reverse bool, text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < tokenHeader || b[0] != tokenVersion || b[1]&^tokenReverse != 0 {
		return nil, invalid("parameter after: not a token that a page of this collection gave")
	}
	if binary.BigEndian.Uint64(b[2:]) != uint64(c.Instance) {
		return nil, invalid("parameter after: a token of another collection, or of this one before it was dropped")
	}
	if (b[1] == tokenReverse) != reverse {
		return nil, invalid("parameter after: a token of the other direction; keep reverse as it was")
	}
	return b[tokenHeader:], nil
}
