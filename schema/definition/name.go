package definition

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/trinedb/trine/schema"
)

// maxName is the length of a name of a tenant, collection, index or schema.
const maxName = 63

// reserved are names that mean something else to Trine or to the SQL engines
// that see tenants as their schemas.
var reserved = map[string][]string{
	"tenant": {"system", "information_schema", "pg_catalog"},
	"index":  {"primary"},
}

// CheckName checks the name of a tenant, collection, index or schema; kind is that
// word, for the message. The error is a *schema.FieldError.
func CheckName(kind, name string) error {
	if rule := nameRule(kind, name); rule != "" {
		return &schema.FieldError{Field: kind, Value: quote(name), Rule: rule}
	}
	return nil
}

// nameRule is the rule of names that name breaks, or "".
func nameRule(kind, name string) string {
	const form = "a lowercase letter, then lowercase letters, digits and _, at most 63 in all"
	article := "a "
	if kind == "index" {
		article = "an "
	}
	switch {
	case name == "":
		return fmt.Sprintf("%s%s needs a name: %s", article, kind, form)
	case !validName(name):
		rule := fmt.Sprintf("%s%s name is %s", article, kind, form)
		if better := repairName(name); better != "" {
			rule += ", such as " + better
		}
		return rule
	case slices.Contains(reserved[kind], name):
		return fmt.Sprintf("this %s name is reserved: choose another, such as %s_1", kind, name)
	}
	return ""
}

// validName reports whether s matches [a-z][a-z0-9_]{0,62}.
func validName(s string) bool {
	if s == "" || len(s) > maxName || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_') {
			return false
		}
	}
	return true
}

// repairName is the valid name nearest to s, or "".
func repairName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r == '-' || r == ' ' || r == '.' || r == '_' || r == '/':
			return '_'
		}
		return -1
	}, s)
	s = strings.TrimLeft(s, "0123456789_")
	if !validName(s) {
		return ""
	}
	return s
}

// fieldNameRule is the rule of field names that name breaks, or "".
func fieldNameRule(name string) string {
	switch {
	case name == "":
		return "a field needs a name"
	case len(name) > MaxFieldName:
		return fmt.Sprintf("a field name has at most %d bytes, and this has %d: shorten it", MaxFieldName, len(name))
	case !utf8.ValidString(name):
		return "a field name must be UTF-8"
	case name[0] == '_':
		return "names that begin with _ are reserved for system columns such as _seq: drop the _"
	}
	return ""
}
