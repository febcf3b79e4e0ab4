package node_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	stdsync "sync"
	"testing"
	"time"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/internal/registry"
	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

const peopleDef = `{"tenant":"acme","collection":"people","key":["id"],"fields":[
	{"name":"id","type":"long","required":true},{"name":"mail","type":"string"},{"name":"city","type":"string"}],"indexes":[%s]}`

const (
	byCity = `{"name":"by_city","fields":["city"]}`
	byMail = `{"name":"by_mail","fields":["mail"],"unique":true}`
)

// byIndex reads the rows of a prefix as "id" by an index.
func byIndex(t *testing.T, n *node.Node, c *schema.Collection, index string, parts ...schema.Value) (string, error) {
	t.Helper()
	x, ok := c.Index(index)
	if !ok {
		t.Fatalf("%s has no index %s", c, index)
	}
	var fields []int
	for _, id := range x.FieldIDs {
		fields = append(fields, c.Schema.IndexID(id))
	}
	from := c.Schema.AppendIndexParts(nil, fields, parts)
	var ids []string
	err := n.Backend().Reader.Range(context.Background(), c, &x, arrowhttp.KeyRange{From: from, To: schema.PrefixEnd(from)},
		func(_ []byte, row arrowhttp.Row) (bool, error) {
			from, err := n.Registry.Schema(context.Background(), mustID(t, row.Bytes))
			if err != nil {
				return false, err
			}
			values, err := schema.NewRowDecoder(from, c.Schema).Decode(row.Bytes, nil)
			if err == nil {
				ids = append(ids, fmt.Sprint(values[0].Int()))
			}
			return true, err
		})
	return strings.Join(ids, " "), err
}

func mustID(t *testing.T, row []byte) schema.SchemaID {
	t.Helper()
	id, err := schema.RowSchemaID(row)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// awaitIndexes waits until no index is being built.
func awaitIndexes(t *testing.T, n *node.Node, c *schema.Collection) []arrowhttp.IndexStatus {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		st, err := n.Backend().Describer.Describe(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(st.Indexes, func(x arrowhttp.IndexStatus) bool { return x.State == "building" }) {
			return st.Indexes
		}
		if time.Now().After(deadline) {
			t.Fatalf("builds do not end: %+v", st.Indexes)
		}
	}
}

func tryWrite(n *node.Node, c *schema.Collection, op ingest.Op, lines ...string) (ingest.Result, error) {
	return n.Writer.Write(context.Background(), ingest.Request{
		Tenant: c.Tenant, Collection: c.Name, Op: op, Format: "application/x-ndjson", Body: strings.NewReader(strings.Join(lines, "\n")),
	})
}

// wantRefusal fails unless a write is refused with a kind, a line and words.
func wantRefusal(t *testing.T, err error, kind error, line int, words ...string) {
	t.Helper()
	var wrong schema.FieldErrors
	if !errors.Is(err, kind) || !errors.As(err, &wrong) || wrong[0].Line != line {
		t.Errorf("got %v, want %v of line %d", err, kind, line)
		return
	}
	for _, w := range words {
		if !strings.Contains(wrong[0].Error(), w) {
			t.Errorf("%q does not tell %q", wrong[0].Error(), w)
		}
	}
}

func TestUniqueIndex(t *testing.T) {
	n := openNode(t, node.Options{Data: dataDir(t)})
	c := makeCollection(t, n, fmt.Sprintf(peopleDef, byMail+","+byCity))
	write(t, n, c, "", `{"id":1,"mail":"a","city":"X"}`, `{"id":2,"mail":"b","city":"X"}`, `{"id":3}`, `{"id":4}`)
	if got, err := byIndex(t, n, c, "by_city", schema.String("X")); got != "1 2" || err != nil {
		t.Errorf("right after the write: %q %v", got, err)
	}
	if got, err := byIndex(t, n, c, "by_mail", schema.Null); got != "3 4" || err != nil {
		t.Errorf("nulls do not collide: %q %v", got, err)
	}
	_, err := tryWrite(n, c, "", `{"id":5,"mail":"c"}`, `{"id":6,"mail":"a"}`)
	wantRefusal(t, err, schema.ErrConflict, 2, "mail", "a", "by_mail", "key 1")
	_, err = tryWrite(n, c, "", `{"id":5,"mail":"c"}`, `{"id":6,"mail":"c"}`)
	wantRefusal(t, err, schema.ErrConflict, 2, "line 1", "by_mail", "key 5")
	_, err = tryWrite(n, c, ingest.OpPatch, `{"id":3,"mail":"b"}`)
	wantRefusal(t, err, schema.ErrConflict, 1, "key 2")
	if res, err := tryWrite(n, c, "", `{"id":1,"mail":"b"}`, `{"id":2,"mail":"a"}`); err != nil || res.Count != 2 {
		t.Errorf("swap within a batch: %v", err)
	}
	if _, err := tryWrite(n, c, "", `{"id":1,"mail":"b","city":"Y"}`); err != nil {
		t.Errorf("a row keeps its own value: %v", err)
	}
	write(t, n, c, ingest.OpDelete, `{"id":1}`)
	if _, err := tryWrite(n, c, ingest.OpInsert, `{"id":7,"mail":"b"}`); err != nil {
		t.Errorf("a deleted row's value is free: %v", err)
	}
	mustVerify(t, n)
}

func TestUniqueIndexSkips(t *testing.T) {
	n := openNode(t, node.Options{Data: dataDir(t)})
	c := makeCollection(t, n, fmt.Sprintf(peopleDef, byMail))
	write(t, n, c, "", `{"id":1,"mail":"a"}`, `{"id":2,"mail":"b"}`)
	// 2 would take a value that 1 gives up, but 1 cannot have its new one.
	res, err := n.Writer.Write(t.Context(), ingest.Request{
		Tenant: c.Tenant, Collection: c.Name, Format: "application/x-ndjson", SkipBad: true,
		Body: strings.NewReader(`{"id":3,"mail":"x"}` + "\n" + `{"id":1,"mail":"x"}` + "\n" + `{"id":2,"mail":"a"}` + "\n" + `{"id":4,"mail":"y"}`),
	})
	if err != nil || res.Count != 2 || res.SkippedCount != 2 || res.Skipped[0].Line != 2 || res.Skipped[1].Line != 3 {
		t.Errorf("got %+v %v", res, err)
	}
	for mail, want := range map[string]string{"a": "1", "b": "2", "x": "3", "y": "4"} {
		if got, err := byIndex(t, n, c, "by_mail", schema.String(mail)); got != want || err != nil {
			t.Errorf("%s: %q %v, want %s", mail, got, err, want)
		}
	}
}

// TestUniqueIndexUnderWriters lets writers race for few values: each has one
// holder at the end.
func TestUniqueIndexUnderWriters(t *testing.T) {
	n := openNode(t, node.Options{Data: dataDir(t)})
	c := makeCollection(t, n, fmt.Sprintf(peopleDef, byMail))
	var wg stdsync.WaitGroup
	var mu stdsync.Mutex
	won := map[string]int{}
	for w := range 8 {
		wg.Go(func() {
			for i := range 40 {
				mail := fmt.Sprintf("m%d", i)
				_, err := tryWrite(n, c, ingest.OpInsert, fmt.Sprintf(`{"id":%d,"mail":%q}`, 1000*w+i, mail))
				if err != nil && !errors.Is(err, schema.ErrConflict) {
					t.Error(err)
				}
				if err == nil {
					mu.Lock()
					won[mail]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for i := range 40 {
		if mail := fmt.Sprintf("m%d", i); won[mail] != 1 {
			t.Errorf("%s has %d holders", mail, won[mail])
		}
	}
	mustVerify(t, n)
}

// TestIndexOfRows adds indexes to a collection that has rows, while it is written
// to, restarted, and its index is lost.
func TestIndexOfRows(t *testing.T) {
	dir := dataDir(t)
	n := openNode(t, node.Options{Data: dir})
	c := makeCollection(t, n, fmt.Sprintf(peopleDef, ""))
	for i := range 20 {
		var lines []string
		for j := range 100 {
			id := 100*i + j
			lines = append(lines, fmt.Sprintf(`{"id":%d,"mail":"m%d","city":"c%d"}`, id, id, id%7))
		}
		write(t, n, c, "", lines...)
	}
	c = makeCollection(t, n, fmt.Sprintf(peopleDef, byCity+","+byMail))
	write(t, n, c, "", `{"id":5,"mail":"m5","city":"new"}`)
	write(t, n, c, ingest.OpDelete, `{"id":6}`)
	for _, lose := range []string{"", "", "kvindex"} {
		for _, st := range awaitIndexes(t, n, c) {
			if st.State != "ready" {
				t.Errorf("after %q: %+v", lose, st)
			}
		}
		if got, err := byIndex(t, n, c, "by_city", schema.String("new")); got != "5" || err != nil {
			t.Errorf("after %q: %q %v", lose, got, err)
		}
		_, err := tryWrite(n, c, "", `{"id":9999,"mail":"m7"}`)
		wantRefusal(t, err, schema.ErrConflict, 1, "key 7")
		mustVerify(t, n)
		closeNode(t, n)
		if lose != "" {
			if err := os.RemoveAll(filepath.Join(dir, lose)); err != nil {
				t.Fatal(err)
			}
		}
		n = openNode(t, node.Options{Data: dir})
		// At no moment after a restart does the index let a value be taken twice.
		if _, err := tryWrite(n, c, "", `{"id":9999,"mail":"m7"}`); !errors.Is(err, schema.ErrConflict) && !errors.Is(err, schema.ErrUnavailable) {
			t.Errorf("right after a restart: %v", err)
		}
	}
	c = makeCollection(t, n, fmt.Sprintf(peopleDef, byMail))
	awaitIndexes(t, n, c)
	mustVerify(t, n)
}

func TestUniqueIndexOverRowsThatBreakIt(t *testing.T) {
	n := openNode(t, node.Options{Data: dataDir(t)})
	c := makeCollection(t, n, fmt.Sprintf(peopleDef, ""))
	write(t, n, c, "", `{"id":1,"mail":"a"}`, `{"id":2,"mail":"a"}`)
	c = makeCollection(t, n, fmt.Sprintf(peopleDef, byMail))
	st := awaitIndexes(t, n, c)
	if len(st) != 1 || st[0].State != "failed" || !strings.Contains(st[0].Reason, "keys 1 and 2") {
		t.Fatalf("got %+v", st)
	}
	if _, err := byIndex(t, n, c, "by_mail"); !errors.Is(err, schema.ErrConflict) || !strings.Contains(err.Error(), "keys 1 and 2") {
		t.Errorf("read by it: %v", err)
	}
	write(t, n, c, "", `{"id":3,"mail":"a"}`) // it is not enforced
	makeCollection(t, n, fmt.Sprintf(peopleDef, ""))
	write(t, n, c, ingest.OpDelete, `{"id":2}`, `{"id":3}`)
	c = makeCollection(t, n, fmt.Sprintf(peopleDef, byMail))
	if st := awaitIndexes(t, n, c); len(st) != 1 || st[0].State != "ready" {
		t.Errorf("made again: %+v", st)
	}
	mustVerify(t, n)
}

func TestIndexedFieldTooLong(t *testing.T) {
	n := openNode(t, node.Options{Data: dataDir(t)})
	c := makeCollection(t, n, fmt.Sprintf(peopleDef, ""))
	long := strings.Repeat("x", schema.MaxIndexedBytes)
	write(t, n, c, "", `{"id":1,"city":"`+long+`"}`)
	c = makeCollection(t, n, fmt.Sprintf(peopleDef, byCity))
	if st := awaitIndexes(t, n, c); len(st) != 1 || st[0].State != "failed" || !strings.Contains(st[0].Reason, "key 1") {
		t.Errorf("over a row that is too long: %+v", st)
	}
	_, err := tryWrite(n, c, "", `{"id":2,"city":"`+long+`"}`)
	wantRefusal(t, err, schema.ErrInvalid, 1, "city", "by_city")
	_, err = tryWrite(n, c, "", `{"id":2,"city":"y"}`, `{"id":3,"mail":"`+long+`"}`)
	if err != nil {
		t.Errorf("a long field that is not indexed: %v", err)
	}
	_, err = tryWrite(n, c, ingest.OpPatch, `{"id":2,"city":"`+long+`"}`)
	wantRefusal(t, err, schema.ErrInvalid, 1, "city")
}

// oneSchema is the catalog of an index that is not a node's.
type oneSchema struct{ s *schema.Schema }

func (o oneSchema) Schema(context.Context, schema.SchemaID) (*schema.Schema, error) { return o.s, nil }

func (oneSchema) Indexes(r schema.Record) (schema.Instance, []schema.IndexSpec, bool, error) {
	return registry.DefinedIndexes(r)
}

// TestVerifySeesWrongEntries builds an index whose last chunk was applied by one
// that knows of no secondary indexes.
func TestVerifySeesWrongEntries(t *testing.T) {
	for _, tc := range []struct {
		op    ingest.Op
		words []string
	}{
		{ingest.OpUpsert, []string{"index", "key [1] by by_city", "want an entry"}},
		{ingest.OpDelete, []string{"index", "key [1] by by_city", "want absent"}},
	} {
		dir := dataDir(t)
		n := openNode(t, node.Options{Data: dir})
		c := makeCollection(t, n, fmt.Sprintf(peopleDef, byCity))
		write(t, n, c, "", `{"id":1,"city":"a"}`, `{"id":2,"city":"b"}`)
		write(t, n, c, tc.op, `{"id":1,"city":"z"}`)
		mustVerify(t, n)
		chunks := n.Chunks(t)
		closeNode(t, n)
		removeAll(t, filepath.Join(dir, "kvindex"))
		o := kvindex.Options{Dir: filepath.Join(dir, "kvindex"), MinFreeBytes: -1, Catalog: oneSchema{c.Schema}}
		for i, chunk := range chunks {
			if i == len(chunks)-1 {
				o.Catalog = nil
			}
			index, err := kvindex.Open(o)
			if err == nil {
				err = errors.Join(index.Apply(context.Background(), chunk), index.Close(context.Background()))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		tells(t, verifyOne(t, openNode(t, node.Options{Data: dir}), c), tc.words...)
	}
}
