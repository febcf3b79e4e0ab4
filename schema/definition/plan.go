package definition

import (
	"strings"

	"github.com/trinedb/trine/schema"
)

// Plan is how a collection gets to what a definition asks for. A Plan without
// steps has nothing to do.
type Plan struct {
	// Schema is the schema to be in force. It is the collection's own when that
	// does not change; else its ID is 0, until the deployment has given one.
	Schema  *schema.Schema     `json:"-"`
	Indexes []schema.IndexSpec `json:"-"`
	Options schema.Options     `json:"-"`
	Steps   []Step             `json:"steps"`
	// LastIndexID is the highest id that an index has or had.
	LastIndexID schema.IndexID `json:"-"`
	// Partitioned are the ids of fields that the table is or was partitioned by.
	Partitioned []int `json:"-"`
}

// StepKind says what a step does.
type StepKind string

// The kinds of steps.
const (
	StepCreate    StepKind = "create"
	StepAdd       StepKind = "add"
	StepDrop      StepKind = "drop"
	StepRename    StepKind = "rename"
	StepWiden     StepKind = "widen"
	StepOptional  StepKind = "optional"
	StepDoc       StepKind = "doc"
	StepReorder   StepKind = "reorder"
	StepAddIndex  StepKind = "add_index"
	StepDropIndex StepKind = "drop_index"
	StepOption    StepKind = "option"
	StepSchema    StepKind = "schema" // another named schema, or none
)

// Step is one thing that a plan does.
type Step struct {
	Kind   StepKind `json:"kind"`
	Field  string   `json:"field,omitempty"`  // dotted path of the field; or the index, the option, the named schema
	Detail string   `json:"detail,omitempty"` // for people
}

// String is the step on one line.
func (s Step) String() string {
	out := strings.ReplaceAll(string(s.Kind), "_", " ")
	if s.Field != "" {
		out += " " + s.Field
	}
	if s.Detail != "" {
		out += ": " + s.Detail
	}
	return out
}

// String is the plan for people, one step a line.
func (p Plan) String() string {
	if len(p.Steps) == 0 {
		return "nothing to do\n"
	}
	var b strings.Builder
	for _, s := range p.Steps {
		b.WriteString(s.String())
		b.WriteByte('\n')
	}
	return b.String()
}
