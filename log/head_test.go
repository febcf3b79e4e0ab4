package log_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// signed is the line of a head with the sum that belongs to it.
func signed(line string) []byte {
	return fmt.Appendf(nil, "%s\n%08x\n", line, crc32.Checksum([]byte(line), crc32.MakeTable(crc32.Castagnoli)))
}

// TestGoldenHeads reads a head of each format and writes those that are written
// to the byte.
func TestGoldenHeads(t *testing.T) {
	for _, name := range []string{"head-v1", "head-v2", "head-v3"} {
		golden, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		again, err := log.RecodeHead(golden)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name != "head-v1" && string(again) != string(golden) {
			t.Errorf("%s is written as\n%s, was\n%s", name, again, golden)
		}
	}
}

const zonesHead = `{"format":3,"channel":0,"generation":0,"epoch":9,"owner":"x","claim":"y","floor":5,"hint":0,"in_flight":4,` +
	`"zones":["a","b","c"],"sealed":40,"serves":8,"owners":[[2,4,9],[3,14,14],[7,19,36]]}`

func TestHeadOwners(t *testing.T) {
	for n, want := range map[uint64]string{
		1: "0 false", 3: "0 false", 4: "2 true", 9: "2 true", 10: "0 false", 13: "0 false", 14: "3 true", 15: "0 false",
		19: "7 true", 36: "7 true", 37: "0 false", 40: "0 false", 41: "8 true", 1 << 60: "8 true",
	} {
		epoch, counts, err := log.HeadOwner(signed(zonesHead), n)
		if got := fmt.Sprint(epoch, counts); err != nil || got != want {
			t.Errorf("number %d: %s, %v, want %s", n, got, err, want)
		}
	}
}

func TestBadHeads(t *testing.T) {
	for _, change := range [][2]string{
		{`"format":3`, `"format":2`},
		{`"hint":0`, `"hint":7`},
		{`"sealed":40`, `"sealed":35`},
		{`"sealed":40`, `"sealed":4`},
		{`"serves":8`, `"serves":10`},
		{`"serves":8`, `"serves":6`},
		{`["a","b","c"]`, `["a","b"]`},
		{`["a","b","c"]`, `["a","b","b"]`},
		{`["a","b","c"]`, `["a","b",""]`},
		{`[2,4,9]`, `[2,9,4]`},
		{`[2,4,9]`, `[3,4,9]`},
		{`[2,4,9]`, `[2,4,14]`},
		{`[2,4,9]`, `[2,-4,9]`},
		{`[2,4,9]`, `{}`},
		{`"in_flight":4`, `"in_flight":17`},
		{`"in_flight":4`, `"in_flight":4,"more":1`},
	} {
		line := strings.Replace(zonesHead, change[0], change[1], 1)
		if line == zonesHead {
			t.Fatalf("%v changes nothing", change)
		}
		if _, err := log.RecodeHead(signed(line)); !errors.Is(err, schema.ErrCorrupt) {
			t.Errorf("%v: %v", change, err)
		}
	}
	if _, err := log.RecodeHead(signed(strings.Replace(zonesHead, `"format":3`, `"format":4`, 1))); !errors.Is(err, schema.ErrUnsupported) {
		t.Errorf("format 4: %v", err)
	}
}

func FuzzHead(f *testing.F) {
	for _, name := range []string{"head-v1", "head-v2", "head-v3"} {
		golden, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(golden[:len(golden)-10]))
	}
	f.Add(zonesHead)
	f.Fuzz(func(t *testing.T, line string) {
		for _, data := range [][]byte{[]byte(line), signed(line)} {
			once, err := log.RecodeHead(data)
			if err != nil {
				if !errors.Is(err, schema.ErrCorrupt) && !errors.Is(err, schema.ErrUnsupported) && !errors.Is(err, schema.ErrNoSpace) {
					t.Fatalf("error without a kind: %v", err)
				}
				continue
			}
			if twice, err := log.RecodeHead(once); err != nil || string(twice) != string(once) {
				t.Fatalf("%s is written as %s, %v", once, twice, err)
			}
		}
	})
}
