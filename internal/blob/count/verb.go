package count

// Verb is a kind of call to a store.
type Verb uint8

// The verbs, and what each is on S3. Put, Swap: a PUT. Create: a PUT, or as an
// object of several parts a PUT for each and two more. Get, GetRange, Read: a
// GET. Open: a GET of the object's end. ReadAt: at most a GET, as readers keep
// and share blocks. List: a LIST for each thousand names. Delete: free.
const (
	Put Verb = iota
	Get
	GetRange
	Read
	Swap
	Create
	Open
	ReadAt
	Delete
	List
	verbs
)

var verbNames = [verbs]string{
	"put", "get", "get_range", "read", "swap", "create", "open", "read_at", "delete", "list",
}

// String is the verb as the metrics' label has it.
func (v Verb) String() string { return verbNames[v] }

// Writes reports whether the verb's bytes go to the store.
func (v Verb) Writes() bool { return v == Put || v == Swap || v == Create }
