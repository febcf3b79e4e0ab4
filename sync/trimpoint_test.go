package sync_test

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

func TestTrimPointFormat(t *testing.T) {
	for text, want := range map[string]schema.Seq{"0101": 1, "017f": 127, "018001": 128, "01ffffffffffffffffff01": 1<<64 - 1} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := sync.DecodeTrimPoint(b); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "01", "0100", "0201", "010100", "0180", "018100", "018000", "01ffffffffffffffffffff01"} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := sync.DecodeTrimPoint(b); !errors.Is(err, schema.ErrCorrupt) {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
}

func FuzzTrimPoint(f *testing.F) {
	f.Add([]byte{1, 1})
	f.Add([]byte{1, 0x80, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if seq, err := sync.DecodeTrimPoint(b); err == nil && seq == 0 || err != nil && !errors.Is(err, schema.ErrCorrupt) {
			t.Errorf("%x: %d, %v", b, seq, err)
		}
	})
}
