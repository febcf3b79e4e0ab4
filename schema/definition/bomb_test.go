package definition_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// Files that expand, nest or repeat without end are refused in bounded work.
func TestHostileFiles(t *testing.T) {
	var aliases strings.Builder
	aliases.WriteString("tenant: a\ncollection: b\nx0: &x0 [{name: a, type: int}]\n")
	for i := range 30 {
		fmt.Fprintf(&aliases, "x%d: &x%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(
			fmt.Sprintf("{name: a, type: {type: struct, fields: *x%d}},", i), 10), ","))
	}
	aliases.WriteString("fields: *x30\n")
	many := "tenant: a\ncollection: b\nfields:\n"
	for i := range definition.MaxFields + 1 {
		many += fmt.Sprintf("  - {name: f%d, type: int}\n", i)
	}
	for name, file := range map[string]string{
		"aliases":     aliases.String(),
		"fields":      many,
		"sequences":   strings.Repeat("- ", 500_000),
		"brackets":    strings.Repeat("[", 500_000),
		"braces":      strings.Repeat("{a: ", 500_000),
		"json":        strings.Repeat(`{"a":`, 500_000),
		"json arrays": strings.Repeat(`[`, 500) + strings.Repeat(`]`, 500),
		"unknown":     "a: 1\n" + strings.Repeat("{}", 100),
		"long name":   "tenant: a\ncollection: b\nfields: [{name: " + strings.Repeat("x", 129) + ", type: int}]",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := definition.ParseFile([]byte(file))
			if !errors.Is(err, schema.ErrInvalid) {
				t.Fatal(err)
			}
			if len(err.Error()) > 100_000 {
				t.Fatal("an error of", len(err.Error()), "bytes")
			}
		})
	}
	if _, err := definition.ParseFile(make([]byte, definition.MaxFileBytes+1)); !errors.Is(err, schema.ErrTooLarge) {
		t.Error(err)
	}
}
