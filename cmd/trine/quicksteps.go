package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"

	"github.com/trinedb/trine/client"
	"github.com/trinedb/trine/schema/definition"
)

var (
	airports = client.Ref{Tenant: "acme", Collection: "airports"}
	weather  = client.Ref{Tenant: "acme", Collection: "weather"}
	flights  = client.Ref{Tenant: "acme", Collection: "flights"}
)

func (t *tour) say(format string, args ...any) { fmt.Fprintf(t.out, "   "+format+"\n", args...) }

// expect is an error unless got is want.
func expect[T any](what string, got, want T) error {
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("wrong answer: %s is %v, want %v", what, got, want)
	}
	return nil
}

func (t *tour) applyCollections(ctx context.Context) error {
	file, err := definition.ParseFile(t.data.collections)
	if err != nil {
		return err
	}
	for _, d := range file.Collections {
		body, err := json.Marshal(d)
		if err != nil {
			return err
		}
		done, err := t.api.Apply(ctx, client.Ref{Tenant: d.Tenant, Collection: d.Collection}, body, false)
		if err != nil {
			return err
		}
		if err := expect("created "+d.String(), done.Created, true); err != nil {
			return err
		}
		t.say("%s is there: %d fields, key %v", d, len(d.Fields), d.Key)
	}
	return nil
}

func (t *tour) writeAll(ctx context.Context) error {
	for _, f := range []struct {
		ref  client.Ref
		csv  []byte
		rows int
	}{
		{airports, t.data.airportsCSV, len(t.data.airports)},
		{weather, t.data.weatherCSV, len(t.data.weather)},
		{flights, t.data.flightsCSV, len(t.data.flights)},
	} {
		done, err := t.api.Write(ctx, f.ref, f.csv, client.WriteOptions{ContentType: client.CSV})
		if err != nil {
			return err
		}
		if err := expect("rows written to "+f.ref.String(), done.Count, f.rows); err != nil {
			return err
		}
		t.say("%s: %d records durable at position %s", f.ref, done.Count, done.Position)
	}
	return nil
}

func (t *tour) change(ctx context.Context) error {
	for _, w := range []struct {
		ref      client.Ref
		op, body string
	}{
		{airports, "patch", `{"iata":"SEA","name":"Seattle-Tacoma Intl (renovated)"}`},
		{weather, "patch", `{"location":"Seattle","date":"2012-01-01","weather":"sun"}`},
		{airports, "delete", `{"iata":"00M"}`},
	} {
		done, err := t.api.Write(ctx, w.ref, []byte(w.body), client.WriteOptions{Op: w.op})
		if err != nil {
			return err
		}
		t.say("%s %s %s: seq %d", w.op, w.ref, w.body, *done.FirstSeq)
	}
	t.data.airports["SEA"]["name"] = "Seattle-Tacoma Intl (renovated)"
	delete(t.data.airports, "00M")
	return nil
}

func (t *tour) lookup(ctx context.Context) error {
	rec, err := t.api.Get(ctx, airports, "SEA")
	if err != nil {
		return err
	}
	t.say("GET …/airports/records/SEA → %s", rec)
	var got struct{ Name string }
	if err := json.Unmarshal(rec, &got); err != nil {
		return err
	}
	if err := expect("the name of SEA", got.Name, t.data.airports["SEA"]["name"]); err != nil {
		return err
	}
	_, err = t.api.Get(ctx, airports, "00M")
	t.say("GET …/airports/records/00M → 404, as it was deleted")
	return expect("00M is not found", client.IsNotFound(err), true)
}

func (t *tour) rangeOfKeys(ctx context.Context) error {
	o := client.RangeOptions{Prefix: `["Seattle"]`, Columns: []string{"location", "date", "weather"}, Limit: 3}
	t.say(`GET …/weather/records?prefix=["Seattle"]&limit=3`)
	var days []string
	for rec, err := range t.api.Range(ctx, weather, o) {
		if err != nil {
			return err
		}
		t.say("  %s", rec)
		var row struct{ Date, Weather string }
		if err := json.Unmarshal(rec, &row); err != nil {
			return err
		}
		days = append(days, row.Date+" "+row.Weather)
	}
	return expect("the first days of Seattle", days, []string{"2012-01-01 sun", "2012-01-02 rain", "2012-01-03 rain"})
}

func (t *tour) lastChanges(ctx context.Context) error {
	body, err := t.api.Log(ctx, airports, client.LogOptions{Tail: 2})
	if err != nil {
		return err
	}
	defer body.Close()
	t.say("GET …/airports/log?tail=2")
	var ops []string
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		t.say("  %s", lines.Bytes())
		var change struct{ Op string }
		if err := json.Unmarshal(lines.Bytes(), &change); err != nil {
			return err
		}
		ops = append(ops, change.Op)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return expect("the last operations", ops, []string{"update", "delete"})
}

func (t *tour) scan(ctx context.Context) error {
	o := client.ScanOptions{Columns: []string{"origin", "destination", "delay"}, Where: "delay > 60 and origin = 'SEA'"}
	s, err := t.api.Scan(ctx, flights, o)
	if err != nil {
		return err
	}
	defer s.Close()
	rows := int64(0)
	for {
		batch, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		rows += batch.NumRows()
	}
	t.say("GET …/flights/scan?columns=origin,destination,delay&where=%s", o.Where)
	t.say("  %d rows, complete, as of position %s", rows, s.Position)
	return expect("late flights from SEA", rows, t.data.lateFrom("SEA", 60))
}

// tableInfo is what the step shows of a REST catalog's answer.
type tableInfo struct {
	Location string `json:"metadata-location"`
	Metadata struct {
		Current   int64 `json:"current-snapshot-id"`
		Snapshots []struct {
			ID      int64             `json:"snapshot-id"`
			Summary map[string]string `json:"summary"`
		} `json:"snapshots"`
	} `json:"metadata"`
}

func (i tableInfo) records() string {
	for _, s := range i.Metadata.Snapshots {
		if s.ID == i.Metadata.Current {
			return s.Summary["total-records"] + " - " + s.Summary["total-position-deletes"]
		}
	}
	return "no snapshot"
}

func (t *tour) tables(ctx context.Context) error {
	for _, w := range []struct {
		ref     client.Ref
		records int
	}{{airports, len(t.data.airports)}, {weather, len(t.data.weather)}, {flights, len(t.data.flights)}} {
		info, err := t.loadTable(ctx, w.ref)
		if err != nil {
			return err
		}
		t.say("%s: snapshot %d\n     %s", w.ref, info.Metadata.Current, info.Location)
		if err := expect("rows of the table of "+w.ref.String(), info.records(), fmt.Sprintf("%d - 0", w.records)); err != nil {
			return err
		}
	}
	return nil
}

// loadTable asks the catalog as an engine does, which flushes first.
func (t *tour) loadTable(ctx context.Context, ref client.Ref) (info tableInfo, err error) {
	url := fmt.Sprintf("%s/iceberg/v1/namespaces/%s/tables/%s", t.server.url(), ref.Tenant, ref.Collection)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return info, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return info, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return info, fmt.Errorf("load table %s: %s", ref, resp.Status)
	}
	return info, json.NewDecoder(resp.Body).Decode(&info)
}

func (t *tour) verify(ctx context.Context) error {
	for report, err := range t.server.node.Verify(ctx, "") {
		if err != nil {
			return err
		}
		if !report.OK() {
			return fmt.Errorf("wrong answer: the stores of %s differ: %+v", report.Collection, report.Differences)
		}
		t.say("%s: %d changes in the log, %d rows in index and lake, all equal", report.Collection, report.Changes, report.Rows)
	}
	return nil
}
