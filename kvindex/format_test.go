package kvindex_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/trinedb/trine/kvindex"
)

var rewrite = flag.Bool("rewrite", false, "rewrite golden files")

func TestGoldenFormat(t *testing.T) {
	golden := kvindex.Golden()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(golden)) {
		fmt.Fprintf(&b, "%s: %s\n", name, hex.EncodeToString(golden[name]))
	}
	const path = "testdata/format-3.txt"
	if *rewrite {
		must(t, os.MkdirAll("testdata", 0o750))
		must(t, os.WriteFile(path, []byte(b.String()), 0o640))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if b.String() != string(want) {
		t.Errorf("the bytes of format 3 changed: raise the version\n got:\n%s\nwant:\n%s", b.String(), want)
	}
}

func FuzzDecoders(f *testing.F) {
	for _, val := range kvindex.Golden() {
		f.Add(val)
		f.Add(val[:len(val)-1])
	}
	f.Fuzz(func(t *testing.T, val []byte) { kvindex.CheckDecoders(t, val) })
}
