package arrowhttp_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/schema"
)

const (
	sea = `{"state":"WA","iata":"SEA","name":"Seattle","delay":10,"tags":["a","b"]}`
	px  = `{"state":"WA","iata":"P/X","name":"a, \"b\"","delay":null,"tags":null}`
	pdx = `{"state":"OR","iata":"PDX","name":"","delay":30,"tags":[]}`
)

func TestGetRecord(t *testing.T) {
	r := newRig(t)
	wantText(t, "by key", r.text("GET", airports+"/records/WA/SEA", ""), sea)
	wantText(t, "escaped slash", r.text("GET", airports+"/records/WA/P%2FX", ""), px)
	wantText(t, "columns", r.text("GET", airports+"/records/WA/SEA?columns=delay,%22name%22", ""), `{"delay":10,"name":"Seattle"}`)
	if res := r.do("HEAD", airports+"/records/WA/SEA", ""); res.StatusCode != 200 || res.Header.Get("Trine-Position") != "1-4" {
		t.Errorf("HEAD: %s %s", res.Status, res.Header)
	}
}

// A record written with an older schema is read as the current one.
func TestReadAcrossEvolution(t *testing.T) {
	r := newRig(t)
	body := `{"fields":[{"name":"id","type":"long","required":true},{"name":"text","type":"string","was":"note"},{"name":"more","type":"int"}]}`
	r.text("PUT", events, body, "Content-Type", "application/json")
	r.put("acme", "events", `{"id":4,"text":"w","more":1}`)
	got := r.text("GET", events+"/log?tail=2", "")
	for _, want := range []string{`{"id":3,"text":"z","more":null}`, `{"id":4,"text":"w","more":1}`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
}

func TestLookup(t *testing.T) {
	r := newRig(t)
	got := r.text("POST", airports+"/lookup", `{"keys":[["OR","PDX"],["no","ne"],["WA","SEA"],["OR","PDX"]]}`, "Content-Type", "application/json")
	wantText(t, "lookup", got, `{"records":[`+pdx+`,null,`+sea+`,`+pdx+`]}`)
	wantText(t, "no keys", r.text("POST", airports+"/lookup", `{"keys":[]}`, "Content-Type", "application/json"), `{"records":[]}`)
}

func TestRange(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct{ query, want string }{
		{"", pdx + "," + px + "," + sea},
		{"reverse=true", sea + "," + px + "," + pdx},
		{`prefix=["WA"]`, px + "," + sea},
		{`prefix=["WA"]&from=["WA","Q"]`, sea},
		{`from=["WA"]`, px + "," + sea},
		{`to=["WA"]`, pdx},
		{`to=["WA","SEA"]&reverse=true`, px + "," + pdx},
		{`from=["WA"]&to=["OR"]`, ""},
		{`prefix=[]`, pdx + "," + px + "," + sea},
		{"where=delay > 5 and state = 'WA'", sea},
	} {
		values, err := url.ParseQuery(tc.query)
		if err != nil {
			t.Fatal(err)
		}
		wantText(t, tc.query, r.text("GET", airports+"/records?"+values.Encode(), ""), `{"records":[`+tc.want+`],"after":null}`)
	}
}

func TestRangePages(t *testing.T) {
	r := newRig(t)
	for _, reverse := range []string{"false", "true"} {
		var got []string
		after, pages := "", 0
		for ; pages < 10; pages++ {
			var page struct {
				Records []struct{ Iata string }
				After   *string
			}
			text := r.text("GET", airports+"/records?limit=1&reverse="+reverse+"&after="+after, "")
			if err := json.Unmarshal([]byte(text), &page); err != nil {
				t.Fatal(err)
			}
			for _, rec := range page.Records {
				got = append(got, rec.Iata)
			}
			if page.After == nil {
				break
			}
			after = *page.After
		}
		want := "PDX P/X SEA"
		if reverse == "true" {
			want = "SEA P/X PDX"
		}
		if s := strings.Join(got, " "); s != want || pages != 2 {
			t.Errorf("reverse=%s: got %s in %d pages", reverse, s, pages+1)
		}
		if reverse == "false" {
			if p := r.problem("GET", airports+"/records?reverse=true&after="+after, ""); p.Code != "invalid" {
				t.Errorf("token of the other direction: %+v", p)
			}
			r.text("PUT", strings.Replace(airports, "airports", "other", 1), `{fields: [{name: k, type: int, required: true}], key: [k]}`, "Content-Type", "application/yaml")
			if p := r.problem("GET", strings.Replace(airports, "airports", "other", 1)+"/records?after="+after, ""); !strings.Contains(p.Detail, "another collection") {
				t.Errorf("token of another collection: %+v", p)
			}
		}
	}
}

func TestWrite(t *testing.T) {
	r := newRig(t)
	res := r.do("POST", events+"/records?op=insert", "{\"id\":4}\n{\"id\":5}", "Idempotency-Key", "k", "Trine-If-Seq", "3", "Content-Type", "application/x-ndjson; charset=utf-8")
	if res.StatusCode != 200 || res.Header.Get("Trine-Position") != "1-5" {
		t.Errorf("%s %s", res.Status, res.Header)
	}
	var got struct {
		FirstSeq int    `json:"first_seq"`
		LastSeq  int    `json:"last_seq"`
		Count    int    `json:"count"`
		Position string `json:"position"`
	}
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || got.FirstSeq != 3 || got.LastSeq != 4 || got.Count != 2 || got.Position != "1-5" {
		t.Errorf("got %+v, %v", got, err)
	}
	if w := r.store.lastWrite; w.Op != "insert" || w.IdempotencyKey != "k" || w.IfSeq == nil || *w.IfSeq != 3 || w.ContentType != "application/x-ndjson" {
		t.Errorf("the backend was given %+v", w)
	}
	if p := r.problem("POST", events+"/records", "{\"id\":6}", "Trine-If-Seq", "3"); p.Status != 412 || !strings.Contains(p.Detail, "5") {
		t.Errorf("got %+v", p)
	}
	wantText(t, "nothing written", r.text("POST", events+"/records", ""+"\n"), `{"first_seq":null,"last_seq":null,"count":0,"position":"1-6"}`)
	skipped := r.text("POST", events+"/records?on_error=skip", "{\"id\":6}\n{\"id\":null}")
	if !strings.Contains(skipped, `"count":1`) || !strings.Contains(skipped, `"skipped":[{"line":2,"field":"id"`) {
		t.Errorf("got %s", skipped)
	}
}

func TestWriteEach(t *testing.T) {
	r := newRig(t)
	arrows := []string{"Content-Type", "application/vnd.apache.arrow.stream", "Idempotency-Key", "k"}
	r.store.eachWritten = arrowhttp.WriteEachResult{
		WriteResult: arrowhttp.WriteResult{FirstSeq: 3, Count: 4, Position: schema.Position{Generation: 1, Chunk: 9}}, LastSeq: 6, Batches: 2,
	}
	wantText(t, "written", r.text("POST", events+"/records?atomic=batch&match=id", "a stream", arrows...),
		`{"batches":2,"first_seq":3,"last_seq":6,"count":4,"position":"1-9"}`)
	if w := r.store.lastWrite; w.IdempotencyKey != "k" || w.Match != schema.MatchIDs {
		t.Errorf("the backend was given %+v", w)
	}
	r.store.writeErr = schema.ErrUnavailable
	p := r.problem("POST", events+"/records?atomic=batch", "a stream", arrows...)
	if w := p.Written; p.Status != 503 || p.Retry != arrowhttp.RetrySame || w == nil || w.Batches != 2 || *w.LastSeq != 6 || w.Position != "1-9" {
		t.Errorf("got %+v", p)
	}
	r.store.eachWritten = arrowhttp.WriteEachResult{}
	if p := r.problem("POST", events+"/records?atomic=batch", "a stream", arrows...); p.Status != 503 || p.Written != nil {
		t.Errorf("nothing was written: %+v", p)
	}
	for _, query := range []string{"atomic=each", "match=position"} {
		if p := r.problem("POST", events+"/records?"+query, "a stream", arrows...); p.Status != 400 {
			t.Errorf("%s: %+v", query, p)
		}
	}
}

func TestFence(t *testing.T) {
	r := newRig(t)
	res := r.do("POST", airports+"/fence", `{"token":"a"}`)
	if res.StatusCode != 200 || res.Header.Get("Trine-Position") != "1-9" {
		t.Errorf("%s %s", res.Status, res.Header)
	}
	wantText(t, "answer", r.text("POST", airports+"/fence", `{"token":"b","if_token":"a"}`), `{"token":"b","position":"1-9"}`)
	r.text("POST", events+"/records", `{"id":4}`, "Trine-Fence", "b", "Trine-Producer", "p", "Trine-Producer-Seq", "7")
	if w := r.store.lastWrite; w.Fence != "b" || w.Producer != "p" || w.ProducerSeq != 7 {
		t.Errorf("the backend was given %+v", w)
	}
}

func TestWriteMany(t *testing.T) {
	r := newRig(t)
	got := r.text("POST", "/v1/tenants/acme/write", `{"collection":"events","op":"insert","record":{"id":9}}
{"collection":"airports","op":"delete","record":`+sea+`}`)
	wantText(t, "answer", got, `{"collections":[{"collection":"events","first_seq":3,"last_seq":3,"count":1},{"collection":"airports","first_seq":3,"last_seq":3,"count":1}],"count":2,"position":"1-6"}`)
}

func TestCollections(t *testing.T) {
	r := newRig(t)
	c := strings.Replace(airports, "airports", "planes", 1)
	yaml := "fields: [{name: tail, type: string, required: true}]\nkey: [tail]"
	dry := r.text("PUT", c+"?dry_run=true", yaml, "Content-Type", "application/yaml")
	if !strings.Contains(dry, `"dry_run":true,"created":true`) || !strings.Contains(dry, `"collection":null`) {
		t.Errorf("dry run: %s", dry)
	}
	res := r.do("PUT", c, yaml, "Content-Type", "application/yaml")
	if res.StatusCode != http.StatusCreated || res.Header.Get("Trine-Position") == "" {
		t.Errorf("create: %s", res.Status)
	}
	again := r.text("PUT", c, yaml, "Content-Type", "application/x-www-form-urlencoded")
	if !strings.Contains(again, `"created":false,"steps":[]`) {
		t.Errorf("again: %s", again)
	}

	var got struct {
		Tenant, Collection, Position string
		Key                          []string
		Rows                         int
		NextSeq                      int `json:"next_seq"`
		Definition                   json.RawMessage
		Index                        struct{ Bytes int }
		Lake                         struct {
			Location   string
			LagMS      int `json:"lag_ms"`
			LagChanges int `json:"lag_changes"`
		}
	}
	if err := json.Unmarshal([]byte(r.text("GET", airports, "")), &got); err != nil {
		t.Fatal(err)
	}
	if got.Rows != 3 || got.NextSeq != 3 || strings.Join(got.Key, ",") != "state,iata" || got.Index.Bytes != 20 ||
		got.Lake.LagMS != 2000 || got.Lake.LagChanges != 3 || got.Lake.Location == "" {
		t.Errorf("describe: %+v", got)
	}
	same := r.text("PUT", airports, string(got.Definition), "Content-Type", "application/json")
	if !strings.Contains(same, `"steps":[]`) {
		t.Errorf("a description does not apply as it is: %s", same)
	}

	if res := r.do("DELETE", c, ""); res.StatusCode != http.StatusNoContent {
		t.Errorf("drop: %s", res.Status)
	}
	if p := r.problem("GET", c, ""); p.Code != "not_found" {
		t.Errorf("dropped: %+v", p)
	}
}

func TestListPages(t *testing.T) {
	r := newRig(t)
	for i := range 5 {
		r.text("PUT", "/v1/tenants/other/collections/c"+strconv.Itoa(i), `{"fields":[{"name":"x","type":"int"}]}`, "Content-Type", "application/json")
	}
	var names []string
	after := ""
	for {
		var page struct {
			Collections []struct{ Tenant, Collection string }
			After       *string
		}
		if err := json.Unmarshal([]byte(r.text("GET", "/v1/tenants/other/collections?prefix=c&limit=2&after="+after, "")), &page); err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Collections {
			names = append(names, c.Collection)
		}
		if page.After == nil {
			break
		}
		after = *page.After
	}
	if got := strings.Join(names, " "); got != "c0 c1 c2 c3 c4" {
		t.Errorf("got %s", got)
	}
	wantText(t, "no such tenant", r.text("GET", "/v1/tenants/nobody/collections", ""), `{"collections":[],"after":null}`)
}

func TestAtLeast(t *testing.T) {
	r := newRig(t)
	p := r.problem("GET", airports+"/records/WA/SEA", "", "Trine-At-Least", "1-99", "Trine-Wait", "10ms")
	if p.Status != 503 || p.Code != "not_caught_up" || p.Retry != arrowhttp.RetrySame {
		t.Errorf("got %+v", p)
	}
	answer := make(chan *http.Response)
	go func() {
		res, err := r.try(t.Context(), "GET", events+"/log", "", "Trine-At-Least", "1-5", "Trine-Wait", "30")
		if err != nil {
			t.Error(err)
		}
		answer <- res
	}()
	r.put("acme", "events", `{"id":4}`)
	res := <-answer
	defer res.Body.Close()
	if got := res.Header.Get("Trine-Position"); got != "1-5" {
		t.Errorf("position %s", got)
	}
}

// A file of many collections is applied by one request, for the path's tenant.
func TestApplyCollections(t *testing.T) {
	r := newRig(t)
	const path = "/v1/tenants/acme/collections"
	yaml := []string{"Content-Type", "application/yaml"}
	file := "fields: [{name: id, type: long}]\ncollections: [one, two]\n"
	want := `"collections":[{"collection":"one","created":true,"steps":[{"kind":"create"`
	if got := r.text("POST", path+"?dry_run=true", file, yaml...); !strings.Contains(got, want) || !strings.Contains(got, `"dry_run":true`) {
		t.Errorf("dry run: %s", got)
	}
	if p := r.problem("GET", path+"/one", ""); p.Status != 404 {
		t.Errorf("after a dry run: %+v", p)
	}
	res := r.do("POST", path, file, yaml...)
	if body, _ := io.ReadAll(res.Body); res.StatusCode != 200 || !strings.Contains(string(body), want) || res.Header.Get("Trine-Position") == "" {
		t.Errorf("%s: %s", res.Status, body)
	}
	if got := r.text("POST", path, file, yaml...); strings.Count(got, `"created":false,"steps":[]`) != 2 {
		t.Errorf("again: %s", got)
	}
	many := "fields: [{name: id, type: long}]\ncollections:\n"
	for i := range arrowhttp.MaxListLimit + 1 {
		many += fmt.Sprintf("  - many%d\n", i)
	}
	for _, tc := range []struct {
		name, body, code string
	}{
		{"another tenant", "tenant: other\n" + file, "invalid"},
		{"one of another tenant", `[{"collection":"x","fields":[{"name":"id","type":"long"}]},{"tenant":"other","collection":"x","fields":[{"name":"id","type":"long"}]}]`, "invalid"},
		{"twice", "fields: [{name: id, type: long}]\ncollections: [one, one]\n", "invalid"},
		{"incompatible", "fields: [{name: id, type: string}]\ncollections: [three, one]\n", "incompatible"},
		{"empty", "{}", "invalid"},
		{"too many", many, "too_large"},
		{"too large", strings.Repeat("# \n", 2<<20), "too_large"},
	} {
		if p := r.problem("POST", path, tc.body, yaml...); p.Code != tc.code {
			t.Errorf("%s: %+v", tc.name, p)
		}
	}
	if p := r.problem("GET", path+"/x", ""); p.Status != 404 {
		t.Errorf("a part of a refused file: %+v", p)
	}
}
