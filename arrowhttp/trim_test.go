package arrowhttp_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestTrim reads a log by every bound once its beginning is forgotten: a seq that
// is named and gone is refused, all else takes what there is.
func TestTrim(t *testing.T) {
	r := newRig(t)
	for i := range 4 {
		r.text("POST", events+"/records", fmt.Sprintf(`{"id":%d}`, 100+i))
	}
	next := 7
	wantText(t, "answer", r.text("POST", events+"/trim", `{"before_seq":4}`), `{"first_seq":4,"position":"1-8"}`)
	wantText(t, "again", r.text("POST", events+"/trim", `{"before_seq":2}`), `{"first_seq":4,"position":"1-8"}`)

	for _, query := range []string{"from_seq=0", "from_seq=3", "from_seq=3&follow=true"} {
		p := r.problem("GET", events+"/log?"+query, "")
		if p.Status != 410 || p.Code != "trimmed" || p.FirstSeq == nil || *p.FirstSeq != 4 || !strings.Contains(p.Detail, "seq 4") {
			t.Errorf("%s: %+v", query, p)
		}
	}
	if p := r.problem("GET", events+"/log", "", "Accept", "text/event-stream", "Last-Event-ID", "1"); p.Code != "trimmed" {
		t.Errorf("an EventSource that was away too long: %+v", p)
	}
	for query, want := range map[string][2]int{ // from, to
		"":                               {4, next},
		"from_seq=4":                     {4, next},
		"from_seq=0&clamp=true":          {4, next},
		"tail=100":                       {4, next},
		"tail=1":                         {6, next},
		"from_time=2001-01-01T00:00:00Z": {4, next},
		"to_seq=5":                       {4, 5},
		"to_seq=2":                       {4, 4},
	} {
		var lines []string
		for i := want[0]; i < want[1]; i++ {
			lines = append(lines, fmt.Sprintf(`{"seq":%d,`, i))
		}
		got := strings.Split(strings.TrimSpace(r.text("GET", events+"/log?"+query, "")), "\n")
		if got[0] == "" {
			got = nil
		}
		ok := len(got) == len(lines)
		for i := 0; ok && i < len(got); i++ {
			ok = strings.HasPrefix(got[i], lines[i])
		}
		if !ok {
			t.Errorf("%q: got %q, want seqs %v", query, got, want)
		}
	}
	desc := strings.Split(strings.TrimSpace(r.text("GET", events+"/log?order=desc&from_seq=1", "")), "\n")
	if len(desc) != 3 || !strings.HasPrefix(desc[2], `{"seq":4,`) {
		t.Errorf("newest first: %q", desc)
	}
	if got := r.text("GET", events+"/log/tail", ""); !strings.Contains(got, `"first_seq":4`) || !strings.Contains(got, `"changes":3`) {
		t.Errorf("tail: %s", got)
	}
}
