package schema

import "time"

// Collection is a collection as it stands: a name, one life of it, the schema
// in force and its options. It is immutable; an evolution makes another.
type Collection struct {
	Tenant   string
	Name     string
	Instance Instance
	Schema   *Schema
	Indexes  []IndexSpec
	Options  Options
	Created  time.Time
	// LastIndexID is the highest IndexID that one of Indexes ever had.
	LastIndexID IndexID
	// Named is the named schema that Schema is the newest version of, and
	// SchemaName its name. They are zero if the fields are the collection's own.
	Named      NamedSchemaID
	SchemaName string
	// Partitioned are the ids of the fields that the table is or was partitioned
	// by, ascending. They stay as they are: files keep their partition values.
	Partitioned []int
}

// NamedSchema is a schema that collections share by its name: when it evolves, so
// do they. It is immutable; an evolution makes another.
type NamedSchema struct {
	ID      NamedSchemaID
	Name    string
	Schema  *Schema
	Created time.Time
	Changed time.Time // when Schema came into force
}

// String is the collection's name as the command line writes it.
func (c *Collection) String() string { return c.Tenant + "/" + c.Name }

// Index is the secondary index called name, or none.
func (c *Collection) Index(name string) (IndexSpec, bool) {
	for _, x := range c.Indexes {
		if x.Name == name {
			return x, true
		}
	}
	return IndexSpec{}, false
}

// IndexSpec declares a secondary index.
type IndexSpec struct {
	Name   string   `json:"name"`
	Fields []string `json:"fields"`
	Unique bool     `json:"unique,omitempty"`

	// ID and the ids of Fields are not for people; a collection file has none.
	ID       IndexID `json:"-"`
	FieldIDs []int   `json:"-"`
}

// Collision is a record of a batch that would take what another row has in a
// unique index.
type Collision struct {
	Record   int    // its place in the batch
	Index    string // the index's name
	FieldIDs []int  // of the index
	Fields   []byte // their values, as AppendIndexFields has them
	Key      []byte // of the other row
	Other    int    // the other's place in the batch, or -1
}

// MaxIndexedBytes is how long the indexed fields of a row may be, in the key
// format: a longer row is refused.
const MaxIndexedBytes = 4 << 10

// LakeMode says when a collection has an Iceberg table.
type LakeMode string

// The lake modes.
const (
	LakeAuto   LakeMode = "auto"   // once it holds enough, or when an engine asks
	LakePinned LakeMode = "pinned" // always
	LakeOff    LakeMode = "off"    // never
)

// Options are a collection's settings, with their defaults filled in.
type Options struct {
	// LogRetention is how long changes can be replayed; 0 means for ever.
	// Default 7 days.
	LogRetention time.Duration
	// LogRetentionBytes is how many bytes of the newest changes can be replayed at
	// least, though older ones are younger than LogRetention; 0 means all. Default 0.
	LogRetentionBytes int64
	// Lake says when the collection has an Iceberg table. Default auto.
	Lake LakeMode
	// LakeFreshness is the longest that a table that exists lags the log when
	// nobody asks for it. Default 5 minutes.
	LakeFreshness time.Duration
	// LakeFormat is the Iceberg format version, 2 or 3. Default 2.
	LakeFormat int
	// BeforeImages keeps the row before each change in the log. Default false.
	BeforeImages bool
	// LakePartition says which rows of the table share data files: those of which
	// each of these is the same. Default none: any do.
	LakePartition []PartitionField
	// LakeSort is the order of rows in a data file. Default none: by key, or seq.
	LakeSort []SortField
}

// DefaultOptions are the options of a collection file that names none.
func DefaultOptions() Options {
	return Options{
		LogRetention:  7 * 24 * time.Hour,
		Lake:          LakeAuto,
		LakeFreshness: 5 * time.Minute,
		LakeFormat:    2,
	}
}
