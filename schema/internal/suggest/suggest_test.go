package suggest_test

import (
	"testing"

	"github.com/trinedb/trine/schema/internal/suggest"
)

func TestNearest(t *testing.T) {
	known := []string{"iata", "latitude", "longitude", "name", "x", "größe"}
	for name, want := range map[string]string{
		"itaa": "iata", "latitud": "latitude", "Name": "name", "zzz": "", "lat": "",
		"y": "", "grösse": "größe", "longtitude": "longitude", "": "",
	} {
		if got := suggest.Nearest(name, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}
