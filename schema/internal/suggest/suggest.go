// Package suggest finds the name that a user most likely meant.
package suggest

import (
	"strings"
	"unicode/utf8"
)

// maxName bounds the work of one comparison, in bytes.
const maxName = 128

// Nearest is the name of known that is closest to name, or "" when none is
// close: equal but for case, or about one edit in three characters apart.
func Nearest(name string, known []string) string {
	if len(name) > maxName {
		return ""
	}
	folded := strings.ToLower(name)
	limit := (utf8.RuneCountInString(name) + 1) / 3
	best, bestEdits := "", limit+1
	for _, k := range known {
		if len(k) > maxName {
			continue
		}
		lower := strings.ToLower(k)
		if lower == folded {
			return k
		}
		edits := distance([]rune(folded), []rune(lower), bestEdits)
		if edits < bestEdits && edits < utf8.RuneCountInString(k) {
			best, bestEdits = k, edits
		}
	}
	return best
}

// distance counts the inserts, deletes, replacements and swaps of neighbours
// that turn a into b; it may answer limit for anything not below it.
func distance(a, b []rune, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before := make([]int, len(b)+1)
	prev := make([]int, len(b)+1)
	cur := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
