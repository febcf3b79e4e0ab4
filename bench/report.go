package bench

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Report is what a workload measured.
type Report struct {
	Workload    string       `json:"workload"`
	Seed        uint64       `json:"seed"`
	Settings    Numbers      `json:"settings"`
	Seconds     float64      `json:"seconds"` // measured, floors included
	Interrupted bool         `json:"interrupted"`
	Figures     []Figure     `json:"figures"`
	Counts      Numbers      `json:"counts"`
	Fleet       []FleetPoint `json:"fleet,omitempty"`
	Stores      []Store      `json:"stores,omitempty"`
	Cost        *Cost        `json:"cost,omitempty"`
	Notes       []string     `json:"notes"`
}

// Figure is one thing measured, beside its floor.
type Figure struct {
	Name      string  `json:"name"`
	Unit      string  `json:"unit"`
	Ours      float64 `json:"ours"`
	Floor     float64 `json:"floor,omitzero"` // 0: it has none
	FloorName string  `json:"floor_is,omitempty"`
	// Ratio is ours over floor: the median of the rounds, where there are any,
	// between their quartiles Low and High.
	Ratio  float64 `json:"ratio,omitzero"`
	Low    float64 `json:"ratio_low,omitzero"`
	High   float64 `json:"ratio_high,omitzero"`
	Rounds int     `json:"rounds,omitzero"`
}

// Find is the figure of that name.
func (r *Report) Find(name string) (Figure, bool) {
	for _, f := range r.Figures {
		if f.Name == name {
			return f, true
		}
	}
	return Figure{}, false
}

func (r *Report) note(text string) { r.Notes = append(r.Notes, text) }

// Number is a value with a name.
type Number struct {
	Name  string
	Value float64
}

// Numbers keep their order; in JSON they are an object.
type Numbers []Number

// Of is the value of that name, 0 if there is none.
func (n Numbers) Of(name string) float64 {
	for _, x := range n {
		if x.Name == name {
			return x.Value
		}
	}
	return 0
}

// add adds a value; its name becomes one without spaces.
func (n *Numbers) add(name string, value float64) {
	*n = append(*n, Number{strings.ReplaceAll(name, " ", "_"), value})
}

// MarshalJSON writes an object whose members are in order.
func (n Numbers) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, x := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote(x.Name) + ":")
		value, err := json.Marshal(x.Value)
		if err != nil {
			return nil, err
		}
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func newReport(workload string, o Options) *Report {
	return &Report{Workload: workload, Seed: o.Seed, Notes: []string{}}
}

// micros is a time as figures have it.
func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// perSecond is a rate; 0 when no time passed.
func perSecond(n float64, took time.Duration) float64 {
	if took <= 0 {
		return 0
	}
	return n / took.Seconds()
}

func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
