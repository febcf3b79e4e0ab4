package snapshot_test

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/trinedb/trine/kvindex/snapshot"
	"github.com/trinedb/trine/schema"
)

var rewrite = flag.Bool("rewrite", false, "rewrite golden files")

func TestGoldenFormat(t *testing.T) {
	golden := snapshot.Golden()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(golden)) {
		fmt.Fprintf(&b, "%s: %s\n", name, hex.EncodeToString(golden[name]))
	}
	const path = "testdata/format-1.txt"
	if *rewrite {
		must(t, os.MkdirAll("testdata", 0o750))
		must(t, os.WriteFile(path, []byte(b.String()), 0o640))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if b.String() != string(want) {
		t.Errorf("the bytes of format 1 changed: raise the version\n got:\n%s\nwant:\n%s", b.String(), want)
	}
	again, err := snapshot.Reencode(3, 300, golden["manifest"])
	must(t, err)
	if string(again) != string(golden["manifest"]) {
		t.Errorf("decoded and encoded: %x", again)
	}
}

func TestBadManifests(t *testing.T) {
	for name, data := range snapshot.Bad() {
		if _, err := snapshot.Reencode(3, 300, data); !errors.Is(err, schema.ErrCorrupt) {
			t.Errorf("%s: %v, want corrupt", name, err)
		}
	}
	good := snapshot.Golden()["manifest"]
	for i := range good {
		for _, bit := range []byte{1, 0x80} {
			bad := slices.Clone(good)
			bad[i] ^= bit
			_, err := snapshot.Reencode(3, 300, bad)
			if want := map[bool]error{true: schema.ErrUnsupported, false: schema.ErrCorrupt}[i == 4 || i == 5]; !errors.Is(err, want) {
				t.Errorf("byte %d: %v, want %v", i, err, want)
			}
		}
		if _, err := snapshot.Reencode(3, 300, good[:i]); !errors.Is(err, schema.ErrCorrupt) {
			t.Errorf("cut to %d: %v", i, err)
		}
	}
}

func TestNames(t *testing.T) {
	hash := strings.Repeat("0f", 32)
	for name, want := range map[string][2]bool{
		"0/snap/00000000000000000300":                              {true, false},
		"0/snap/00000000000000000000":                              {},
		"0/snap/300":                                               {},
		"0/snap/+0000000000000000300":                              {},
		"0/snap/0000000000000000300/":                              {},
		"1/snap/00000000000000000300":                              {},
		"0/sst/0000000000000001-000000000000000a-" + hash:          {false, true},
		"0/sst/0000000000000001-000000000000000A-" + hash:          {},
		"0/sst/0000000000000001/000000000000000a-" + hash:          {},
		"0/sst/0000000000000001-000000000000000a-" + hash[2:]:      {},
		"0/sst/0000000000000001-000000000000000a-../" + hash[:61]:  {},
		"0/sst/00000000000000010-00000000000000a-" + hash:          {},
		"0/sst/0000000000000001-000000000000000a-" + hash + "0123": {},
	} {
		if m, table := snapshot.ParseNames(0, name); m != want[0] || table != want[1] {
			t.Errorf("%s: manifest %t, table %t", name, m, table)
		}
	}
}

func FuzzManifest(f *testing.F) {
	for _, data := range snapshot.Golden() {
		f.Add(data)
	}
	for _, data := range snapshot.Bad() {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		again, err := snapshot.Reencode(3, 300, data)
		if err != nil {
			if !errors.Is(err, schema.ErrCorrupt) && !errors.Is(err, schema.ErrUnsupported) {
				t.Errorf("error of no kind: %v", err)
			}
			return
		}
		names, err := snapshot.Named(3, 300, again)
		must(t, err)
		for _, name := range names {
			if _, ok := snapshot.ParseNames(3, name); !ok {
				t.Errorf("table %q", name)
			}
		}
	})
}
