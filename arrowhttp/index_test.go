package arrowhttp_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/schema"
)

func TestReadByIndex(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct{ path, want string }{
		{"?index=by_name", pdx + "," + sea + "," + px},
		{"?index=by_name&reverse=true", px + "," + sea + "," + pdx},
		{`?index=by_name&prefix=["Seattle"]`, sea},
		{`?index=by_name&prefix=["Seattle","WA"]`, sea},
		{`?index=by_name&prefix=["Seattle","OR"]`, ""},
		{`?index=by_name&from=["S"]`, sea + "," + px},
		{`?index=by_name&to=["S"]`, pdx},
		{`?index=by_name&from=["S"]&where=state+%3D+'WA'+and+_seq>0&columns=iata,_seq`, `{"iata":"P/X","_seq":1}`},
		{`?index=one_delay&prefix=[null]`, px},
		{`?index=one_delay`, px + "," + sea + "," + pdx},
	} {
		wantText(t, tc.path, r.text("GET", airports+"/records"+strings.ReplaceAll(tc.path, `"`, "%22"), ""), `{"records":[`+tc.want+`],"after":null}`)
	}
	wantText(t, "unique", r.text("GET", airports+"/records/30?index=one_delay", ""), pdx)
	wantText(t, "not unique", r.text("GET", airports+"/records/Seattle?index=by_name", ""), `{"records":[`+sea+`],"after":null}`)
	wantText(t, "none", r.text("GET", airports+"/records/Nowhere?index=by_name", ""), `{"records":[],"after":null}`)
	got := r.text("POST", airports+"/lookup?index=one_delay", `{"keys":[[30],[7],[10],[30]]}`, "Content-Type", "application/json")
	wantText(t, "lookup", got, `{"records":[`+pdx+`,null,`+sea+`,`+pdx+`]}`)
}

func TestPagesByIndex(t *testing.T) {
	r := newRig(t)
	for _, reverse := range []string{"", "&reverse=true"} {
		var got []string
		for after := ""; ; {
			var page struct {
				Records []json.RawMessage
				After   *string
			}
			text := r.text("GET", airports+"/records?index=by_name&limit=1"+reverse+"&after="+url.QueryEscape(after), "")
			if err := json.Unmarshal([]byte(text), &page); err != nil {
				t.Fatal(err)
			}
			for _, rec := range page.Records {
				got = append(got, string(rec))
			}
			if page.After == nil {
				break
			}
			after = *page.After
		}
		want := []string{pdx, sea, px}
		if reverse != "" {
			want = []string{px, sea, pdx}
		}
		wantText(t, "pages"+reverse, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var page struct{ After string }
	if err := json.Unmarshal([]byte(r.text("GET", airports+"/records?index=by_name&limit=1", "")), &page); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"", "index=one_delay&", "index=by_name&reverse=true&"} {
		p := r.problem("GET", airports+"/records?"+query+"after="+page.After, "")
		if p.Status != 400 || !strings.Contains(p.Detail, "token") {
			t.Errorf("%q with a token of by_name: %+v", query, p)
		}
	}
}

func TestSystemColumns(t *testing.T) {
	r := newRig(t)
	res := r.do("GET", airports+"/records/OR/PDX?columns=_seq,iata", "")
	if got := res.Header.Get("Trine-Row-Seq"); got != "2" {
		t.Errorf("Trine-Row-Seq: %q, want 2", got)
	}
	wantText(t, "get", r.text("GET", airports+"/records/OR/PDX?columns=_seq,iata", ""), `{"_seq":2,"iata":"PDX"}`)
	wantText(t, "range", r.text("GET", airports+"/records?columns=_seq&where=_seq=2", ""), `{"records":[{"_seq":2}],"after":null}`)
	got := r.text("POST", airports+"/lookup?columns=_seq", `{"keys":[["WA","SEA"]]}`, "Content-Type", "application/json")
	wantText(t, "lookup", got, `{"records":[{"_seq":0}]}`)
}

func TestIndexThatIsNotReady(t *testing.T) {
	r := newRig(t)
	r.store.indexErr = fmt.Errorf("index by_name is being built: 3 of 10 rows are done: %w", schema.ErrUnavailable)
	p := r.problem("GET", airports+"/records?index=by_name", "")
	if p.Status != 503 || p.Retry != arrowhttp.RetrySame || !strings.Contains(p.Detail, "3 of 10") {
		t.Errorf("being built: %+v", p)
	}
	r.store.indexErr = fmt.Errorf("index by_name has failed: %w", schema.ErrConflict)
	if p := r.problem("GET", airports+"/records/x?index=by_name", ""); p.Status != 409 || p.Retry != arrowhttp.RetryAfterChange {
		t.Errorf("failed: %+v", p)
	}
}

// A where that is true of few rows does not read all of them unasked.
func TestLongRange(t *testing.T) {
	r := newRig(t)
	r.text("PUT", "/v1/tenants/acme/collections/many", `{"key":["id"],"fields":[{"name":"id","type":"long","required":true}]}`, "Content-Type", "application/json")
	r.store.fill("acme/many", arrowhttp.MaxUnboundedRows+1)
	many := "/v1/tenants/acme/collections/many/records"
	last := fmt.Sprint(arrowhttp.MaxUnboundedRows)
	p := r.problem("GET", many+"?where=id%3D"+last, "")
	if p.Status != 422 || p.Code != "scan_too_long" || !strings.Contains(p.Detail, "allow_scan=true") {
		t.Errorf("a where of one row in many: %+v", p)
	}
	wantText(t, "allowed", r.text("GET", many+"?allow_scan=true&where=id%3D"+last, ""), `{"records":[{"id":`+last+`}],"after":null}`)
	wantText(t, "narrower", r.text("GET", many+"?from=[1]&where=id%3D"+last, ""), `{"records":[{"id":`+last+`}],"after":null}`)
	wantText(t, "filled", r.text("GET", many+"?limit=1&columns=id&where=id>=0", "")[:len(`{"records":[{"id":0}],"after":"`)], `{"records":[{"id":0}],"after":"`)
}

func TestDescribeIndexes(t *testing.T) {
	r := newRig(t)
	got := r.text("GET", airports, "")
	want := `"indexes":[{"name":"by_name","fields":["name"],"unique":false,"state":"ready","rows_done":3,"rows":3},` +
		`{"name":"one_delay","fields":["delay"],"unique":true,"state":"failed","rows_done":2,"rows":3,"reason":"two rows"}]}`
	if !strings.HasSuffix(strings.TrimSpace(got), want) {
		t.Errorf("got %s\nwant …%s", got, want)
	}
}
