package arrowhttp_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

const readings = "/v1/tenants/acme/collections/readings"

// newImages serves a collection whose changes have images of the rows before
// them: one made, one of it changed, one deleted, and one deleted that is not there.
func newImages(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.text("PUT", readings, `{"key":["id"],"fields":[{"name":"id","type":"long","required":true},{"name":"at","type":"string"},
		{"name":"tags","type":{"type":"list","element":"string"}}],"options":{"before_images":true}}`, "Content-Type", "application/json")
	for _, body := range []string{`{"id":1,"at":"a","tags":["x"]}`, `{"id":1,"at":"b"}`} {
		r.text("POST", readings+"/records", body)
	}
	r.text("POST", readings+"/records?op=delete", `{"id":1}`+"\n"+`{"id":2}`)
	return r
}

func TestLogOfBeforeImages(t *testing.T) {
	r := newImages(t)
	const want = `{"seq":0,"time":"2023-11-14T22:13:25Z","op":"upsert","record":{"id":1,"at":"a","tags":["x"]}}
{"seq":1,"time":"2023-11-14T22:13:26Z","op":"update","record":{"id":1,"at":"b","tags":null},"before":{"id":1,"at":"a","tags":["x"]}}
{"seq":2,"time":"2023-11-14T22:13:27Z","op":"delete","record":{"id":1},"before":{"id":1,"at":"b","tags":null}}
{"seq":3,"time":"2023-11-14T22:13:27Z","op":"delete","record":{"id":2}}`
	wantText(t, "lines", r.text("GET", readings+"/log", ""), want)
	wantText(t, "followed", r.text("GET", readings+"/log?follow=true&to_seq=4", ""), want)
	lines := strings.Split(want, "\n")
	wantText(t, "newest first", r.text("GET", readings+"/log?order=desc&limit=2", ""), lines[3]+"\n"+lines[2])
	wantText(t, "an event", r.text("GET", readings+"/log?from_seq=1&limit=1", "", "Accept", "text/event-stream"), "id: 1\ndata: "+lines[1])
	for _, c := range []struct{ where, want string }{
		{"at = 'a'", "0"},                  // what was there before an update is not looked at
		{"at = 'b'", "1 2"},                // of a delete it is
		{"at is null", "3"},                // of an unknown row only the key is known
		{"id = 1", "0 1 2"},                //
		{"tags is null and id = 1", "1 2"}, //
	} {
		got := seqsOf(r.text("GET", readings+"/log?where="+strings.ReplaceAll(strings.ReplaceAll(c.where, " ", "+"), "=", "%3D"), ""))
		if got != c.want {
			t.Errorf("where %s: %s, want %s", c.where, got, c.want)
		}
	}
	// Images count as what a client reads.
	if got := seqsOf(r.text("GET", readings+"/log?limit_bytes=40", "")); got != "0 1" {
		t.Errorf("40 bytes are %s", got)
	}
}

// Images of rows from before an evolution are told in the shape that the
// collection has.
func TestBeforeImagesEvolve(t *testing.T) {
	r := newImages(t)
	r.text("PUT", readings, `{"key":["id"],"fields":[{"name":"n","type":"int"},{"name":"id","type":"long","required":true},
		{"name":"place","type":"string","was":"at"}],"options":{"before_images":true}}`, "Content-Type", "application/json")
	got := r.text("GET", readings+"/log?from_seq=1&limit=2", "")
	wantText(t, "lines", got, `{"seq":1,"time":"2023-11-14T22:13:26Z","op":"update","record":{"n":null,"id":1,"place":"b"},"before":{"n":null,"id":1,"place":"a"}}
{"seq":2,"time":"2023-11-14T22:13:27Z","op":"delete","record":{"id":1},"before":{"n":null,"id":1,"place":"b"}}`)
}

func TestArrowLogOfBeforeImages(t *testing.T) {
	r := newImages(t)
	rd, err := ipc.NewReader(r.do("GET", readings+"/log", "", "Accept", "application/vnd.apache.arrow.stream").Body)
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Release()
	var rows []string
	for rd.Next() {
		b := rd.RecordBatch()
		op, before := b.Column(3).(*array.String), b.Column(4).(*array.Struct)
		for i := range int(b.NumRows()) {
			row := op.Value(i)
			if before.IsValid(i) {
				row += fmt.Sprintf(" %d %s", before.Field(0).(*array.Int64).Value(i), before.Field(1).(*array.String).Value(i))
			}
			rows = append(rows, row)
		}
	}
	if err := rd.Err(); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	wantText(t, "rows", strings.Join(rows, ", "), "upsert, update 1 a, delete 1 b, delete")
	f := rd.Schema().Field(4)
	inner := f.Type.(*arrow.StructType)
	if f.Name != "_before" || !f.Nullable || inner.NumFields() != 3 || inner.Field(1).HasMetadata() {
		t.Errorf("column %v", f)
	}
}
