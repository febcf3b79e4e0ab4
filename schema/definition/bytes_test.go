package definition_test

import (
	"strings"
	"testing"

	"github.com/trinedb/trine/schema/definition"
)

// A size is read, kept and written back, or refused with the field's name.
func TestLogRetentionBytes(t *testing.T) {
	parse := func(size string) (definition.Definition, error) {
		return definition.ParseOne([]byte("{tenant: a, collection: c, fields: [{name: n, type: long}], options: {log_retention_bytes: " + size + "}}"))
	}
	for _, size := range []string{"1MiB", "10GiB", "1048576TiB"} {
		d, err := parse(size)
		if err != nil || d.Options.LogRetentionBytes != size || !strings.Contains(string(d.YAML()), "log_retention_bytes: \""+size) {
			t.Errorf("%s: %+v, %v\n%s", size, d.Options, err, d.YAML())
		}
		if plan, err := definition.Evolve(nil, d); err != nil || len(plan.Steps) == 0 {
			t.Errorf("%s: %+v, %v", size, plan, err)
		}
	}
	for _, size := range []string{"0", "1024", "0MiB", "-1GiB", "1.5GiB", "10GB", "MiB", "1048577TiB", "99999999999999999999MiB", `"1 GiB"`, "+1GiB"} {
		d, err := parse(size)
		if err == nil {
			_, err = definition.Evolve(nil, d)
		}
		if err == nil || !strings.Contains(err.Error(), "log_retention_bytes") {
			t.Errorf("%s: %v", size, err)
		}
	}
}
