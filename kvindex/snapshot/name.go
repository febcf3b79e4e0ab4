package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/trinedb/trine/schema"
)

// tableID names a table for ever: its content, and who uploaded it when.
type tableID struct {
	epoch  schema.Epoch
	number uint64 // of the snapshot that it was uploaded for
	hash   [sha256.Size]byte
}

func manifestPrefix(channel uint32) string { return fmt.Sprintf("%d/snap/", channel) }

func tablePrefix(channel uint32) string { return fmt.Sprintf("%d/sst/", channel) }

func manifestName(channel uint32, number uint64) string {
	return fmt.Sprintf("%s%020d", manifestPrefix(channel), number)
}

func tableName(channel uint32, t tableID) string {
	return fmt.Sprintf("%s%016x-%016x-%x", tablePrefix(channel), uint64(t.epoch), t.number, t.hash)
}

// parseManifestName reads the number of a manifest; false for what is none.
func parseManifestName(channel uint32, name string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, manifestPrefix(channel))
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0 && manifestName(channel, n) == name
}

// parseTableName reads what a table's name says; false for what is none.
func parseTableName(channel uint32, name string) (tableID, bool) {
	rest, ok := strings.CutPrefix(name, tablePrefix(channel))
	if !ok || len(rest) != 16+1+16+1+2*sha256.Size {
		return tableID{}, false
	}
	var t tableID
	epoch, err := strconv.ParseUint(rest[:16], 16, 64)
	if err != nil {
		return tableID{}, false
	}
	if t.number, err = strconv.ParseUint(rest[17:33], 16, 64); err != nil {
		return tableID{}, false
	}
	if _, err := hex.Decode(t.hash[:], []byte(rest[34:])); err != nil {
		return tableID{}, false
	}
	t.epoch = schema.Epoch(epoch)
	return t, tableName(channel, t) == name
}
