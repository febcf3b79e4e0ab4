package lakehouse

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// newID is the UUID in the name of a file: one of version 7, whose first 48 bits
// are the time. A file's age can be told from a listing.
func (l *Lake) newID() uuid.UUID {
	id := uuid.New()
	ms := uint64(l.opts.Now().UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	return id
}

// uuidText is the length of a UUID as text.
const uuidText = 36

// bornAt is when the object by that name was begun, if its name tells.
func bornAt(name string) (time.Time, bool) {
	base := name[strings.LastIndexByte(name, '/')+1:]
	switch {
	case strings.HasPrefix(base, "snap-"): // snap-<id>-<uuid>.avro
		_, base, _ = strings.Cut(base[len("snap-"):], "-")
	case strings.HasSuffix(base, ".parquet"): // <ordinal>-<uuid>[-deletes].parquet
		_, base, _ = strings.Cut(base, "-")
	case strings.HasSuffix(base, ".puffin"): // <uuid>-deletes.puffin
	case !strings.HasSuffix(base, ".avro"): // <uuid>-m<n>.avro
		return time.Time{}, false
	}
	if len(base) < uuidText {
		return time.Time{}, false
	}
	id, err := uuid.Parse(base[:uuidText])
	if err != nil || id.Version() != 7 {
		return time.Time{}, false
	}
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms), true
}
