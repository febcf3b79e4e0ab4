package schema

// Schema is the shape of a collection's rows: content-addressed, immutable
// once built, and shared by every collection that uses it. It is safe for
// concurrent use.
type Schema struct {
	// ID is the number that the deployment gave this schema; 0 until it has one.
	ID SchemaID
	// Fields are the columns, in order; a row has one Value for each.
	Fields []Field
	// Key names the primary key's columns by index into Fields, in key order.
	// It is empty for an append-only collection.
	Key []int
	// LastFieldID is the highest field id ever used in this schema's line of
	// evolution, so that the id of a dropped field is not given out again.
	LastFieldID int
}

// Keyed reports whether the schema has a primary key.
func (s *Schema) Keyed() bool { return len(s.Key) > 0 }

// Index is the place of the top-level field called name, or -1.
func (s *Schema) Index(name string) int { return fieldIndex(s.Fields, name) }

// IndexID is the place of the top-level field with that id, or -1.
func (s *Schema) IndexID(id int) int { return fieldIndexID(s.Fields, id) }

func fieldIndex(fields []Field, name string) int {
	for i := range fields {
		if fields[i].Name == name {
			return i
		}
	}
	return -1
}

func fieldIndexID(fields []Field, id int) int {
	for i := range fields {
		if fields[i].ID == id {
			return i
		}
	}
	return -1
}

// System columns that every table in the lake has beside its schema's fields.
// Their ids stand apart from the user's: Iceberg reserves those above
// 2147483447, and the ones just below are ours.
const (
	SeqColumn    = "_seq"  // long, required: the change's Seq
	TimeColumn   = "_time" // timestamptz, required: commit time
	SeqColumnID  = 2147480001
	TimeColumnID = 2147480002
)
