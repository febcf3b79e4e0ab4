package definition

import (
	"fmt"
	"strconv"
	"strings"
)

// The bounds of sizes.
const (
	minRetentionBytes = 1 << 20
	maxRetentionBytes = 1 << 60
)

// byteUnits are the units of sizes, largest first.
var byteUnits = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20},
}

// parseBytes reads a size such as 10GiB: a whole number and a unit. The rule says
// what is wrong with it, if anything.
func parseBytes(s string) (n int64, rule string) {
	for _, u := range byteUnits {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok || strings.Trim(digits, "0123456789") != "" {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		switch {
		case digits == "" || err == nil && n < 1:
		case err != nil || n > maxRetentionBytes/u.size:
			return 0, "must be at most " + formatBytes(maxRetentionBytes)
		default:
			return n * u.size, ""
		}
	}
	return 0, "must be a size of at least 1MiB such as 512MiB, 10GiB or 2TiB"
}

// formatBytes is n as parseBytes reads it, in the largest unit that leaves no rest.
func formatBytes(n int64) string {
	for _, u := range byteUnits {
		if n >= u.size && n%u.size == 0 {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return strconv.FormatInt(n, 10)
}
