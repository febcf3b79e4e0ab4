package arrowhttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
	"github.com/trinedb/trine/schema/rowjson"
)

// store is an engine in memory: a list of changes and a map of rows for each
// collection, one position for all.
type store struct {
	mu          sync.Mutex
	changed     chan struct{} // closed and made anew at each write
	named       map[string]*schema.NamedSchema
	collections map[string]*table
	schemas     map[schema.SchemaID]*schema.Schema
	next        schema.Instance
	pos         schema.Position
	now         int64

	// Injected.
	writeErr    error
	eachWritten arrowhttp.WriteEachResult
	scanAfter   int   // batches before scanErr
	scanErr     error //
	scanOpenErr error
	scanPanic   bool
	readErr     error
	indexErr    error
	logErr      error // after the changes that there are
	batchRows   int
	scans       int // under way
	scanned     int // begun
	endless     bool
	closed      chan struct{} // a mark when a scan was closed
	readEnded   chan struct{} // a mark when a read of a log ended
	token       string
	lastWrite   arrowhttp.WriteRequest
}

type table struct {
	c       *schema.Collection
	changes []schema.Change
	first   schema.Seq
	rows    map[string][]byte
	last    map[string]int // change of each key
}

func newStore() *store {
	return &store{
		changed: make(chan struct{}), closed: make(chan struct{}, 100), readEnded: make(chan struct{}, 1000), collections: map[string]*table{}, named: map[string]*schema.NamedSchema{}, schemas: map[schema.SchemaID]*schema.Schema{},
		next: schema.FirstUserInstance, pos: schema.Position{Generation: 1}, now: 1_700_000_000_000_000, batchRows: 3,
	}
}

func (s *store) backend() arrowhttp.Backend {
	return arrowhttp.Backend{Collections: s, Named: namedSchemas{s}, Schemas: s, Writer: s, Reader: reader{s}, Changes: changes{s}, Trimmer: changes{s},
		Scanner: s, Describer: s, Positions: s, Verifier: s, Upkeep: upkeep{s}, Tags: tags{s}}
}

func (s *store) table(tenant, name string) (*table, error) {
	t := s.collections[tenant+"/"+name]
	if t == nil {
		return nil, fmt.Errorf("collection %s/%s: %w", tenant, name, schema.ErrNotFound)
	}
	return t, nil
}

func (s *store) Get(_ context.Context, tenant, name string) (*schema.Collection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.table(tenant, name)
	if err != nil {
		return nil, err
	}
	return t.c, nil
}

func (s *store) List(_ context.Context, tenant, prefix, after string, limit int) ([]*schema.Collection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*schema.Collection
	for _, t := range s.collections {
		if t.c.Tenant == tenant && strings.HasPrefix(t.c.Name, prefix) && t.c.Name > after {
			out = append(out, t.c)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out[:min(limit, len(out))], nil
}

func (s *store) Apply(_ context.Context, defs []definition.Definition, dryRun bool) (out []arrowhttp.Applied, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, def := range defs {
		plan, c, err := s.applyLocked(def, dryRun)
		if err != nil {
			return nil, err
		}
		out = append(out, arrowhttp.Applied{Plan: plan, Collection: c})
	}
	return out, nil
}

func (s *store) applyLocked(def definition.Definition, dryRun bool) (definition.Plan, *schema.Collection, error) {
	var cur *schema.Collection
	t := s.collections[def.Tenant+"/"+def.Collection]
	if t != nil {
		cur = t.c
	}
	plan, err := definition.Evolve(cur, def)
	if err != nil || dryRun || len(plan.Steps) == 0 {
		return plan, cur, err
	}
	sc := *plan.Schema
	if sc.ID == 0 {
		sc.ID = schema.SchemaID(len(s.schemas) + 1)
		s.schemas[sc.ID] = &sc
	}
	if t == nil {
		t = &table{rows: map[string][]byte{}}
		s.collections[def.Tenant+"/"+def.Collection] = t
		t.c = &schema.Collection{Instance: s.next}
		s.next++
	}
	t.c = &schema.Collection{Tenant: def.Tenant, Name: def.Collection, Instance: t.c.Instance, Schema: &sc,
		Indexes: plan.Indexes, Options: plan.Options}
	s.bumpLocked()
	return plan, t.c, nil
}

func (s *store) Drop(_ context.Context, tenant, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.table(tenant, name)
	delete(s.collections, tenant+"/"+name)
	return err
}

func (s *store) Schema(_ context.Context, id schema.SchemaID) (*schema.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sc := s.schemas[id]; sc != nil {
		return sc, nil
	}
	return nil, schema.ErrNotFound
}

func (s *store) bumpLocked() {
	s.pos.Chunk++
	s.now += 1_000_000
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *store) Fence(_ context.Context, req arrowhttp.FenceRequest) (schema.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.table(req.Tenant, req.Collection); err != nil {
		return schema.Position{}, err
	}
	if req.IfToken != nil && *req.IfToken != s.token {
		return schema.Position{}, fmt.Errorf("the token is %q: %w", s.token, schema.ErrPrecondition)
	}
	s.token = req.Token
	return schema.Position{Generation: 1, Chunk: 9}, nil
}

// WriteEach takes none, after eachWritten.
func (s *store) WriteEach(_ context.Context, req arrowhttp.WriteRequest) (arrowhttp.WriteEachResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	req.Body = nil
	s.lastWrite = req
	return s.eachWritten, s.writeErr
}

// Write takes NDJSON alone.
func (s *store) Write(_ context.Context, req arrowhttp.WriteRequest) (arrowhttp.WriteResult, error) {
	data, err := io.ReadAll(req.Body)
	if err != nil {
		return arrowhttp.WriteResult{}, fmt.Errorf("%w: body", schema.ErrInvalid) // hides the cause, as a decoder may
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	req.Body = nil
	s.lastWrite = req
	if s.writeErr != nil {
		return arrowhttp.WriteResult{}, s.writeErr
	}
	t, err := s.table(req.Tenant, req.Collection)
	if err != nil {
		return arrowhttp.WriteResult{}, err
	}
	if req.IfSeq != nil && int(*req.IfSeq) != len(t.changes) {
		return arrowhttp.WriteResult{}, fmt.Errorf("next seq is %d: %w", len(t.changes), schema.ErrPrecondition)
	}
	var errs schema.FieldErrors
	res := arrowhttp.WriteResult{FirstSeq: schema.Seq(len(t.changes))}
	for i, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		row, ok := rowjson.Decode(t.c.Schema, line, nil, &errs, i+1)
		if ok {
			s.appendLocked(t, req.Op, row)
			res.Count++
		}
	}
	if len(errs) > 0 && !req.SkipBad {
		return arrowhttp.WriteResult{}, errs
	}
	s.bumpLocked()
	res.Skipped, res.Position = errs, s.pos
	return res, nil
}

func (s *store) appendLocked(t *table, op string, row []schema.Value) {
	ch := schema.Change{Seq: schema.Seq(len(t.changes)), TimeMicros: s.now}
	if t.c.Schema.Keyed() {
		ch.Key = t.c.Schema.AppendKey(nil, row)
	}
	if t.c.Options.BeforeImages {
		ch.Before = t.rows[string(ch.Key)]
	}
	if op == "delete" {
		ch.Op = schema.OpDelete
		delete(t.rows, string(ch.Key))
	} else {
		ch.Op, ch.Row = schema.OpUpsert, t.c.Schema.AppendRow(nil, row)
		if ch.Before != nil {
			ch.Op = schema.OpUpdate
		}
		t.rows[string(ch.Key)] = ch.Row
	}
	if t.last == nil {
		t.last = map[string]int{}
	}
	t.last[string(ch.Key)] = len(t.changes)
	t.changes = append(t.changes, ch)
}

// fill writes rows with ids from 0.
func (s *store) fill(name string, rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range rows {
		s.appendLocked(s.collections[name], "upsert", []schema.Value{schema.Int(int64(i))})
	}
}

func (s *store) WriteMany(ctx context.Context, req arrowhttp.WriteManyRequest) (arrowhttp.WriteManyResult, error) {
	var out arrowhttp.WriteManyResult
	dec := json.NewDecoder(req.Body)
	for {
		var line struct {
			Collection, Op string
			Record         json.RawMessage
		}
		if err := dec.Decode(&line); err == io.EOF {
			return out, nil
		} else if err != nil {
			return out, fmt.Errorf("%w: %v", schema.ErrInvalid, err)
		}
		res, err := s.Write(ctx, arrowhttp.WriteRequest{Tenant: req.Tenant, Collection: line.Collection, Op: line.Op, Body: bytes.NewReader(line.Record)})
		if err != nil {
			return out, err
		}
		out.Collections = append(out.Collections, arrowhttp.CollectionWrite{Collection: line.Collection, FirstSeq: res.FirstSeq, Count: res.Count})
		out.Position = res.Position
	}
}

type reader struct{ s *store }

func (r reader) Get(_ context.Context, c *schema.Collection, key []byte) (arrowhttp.Row, bool, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	t := r.s.collections[c.String()]
	row, ok := t.rows[string(key)]
	return t.row(key, row), ok, r.s.readErr
}

// row is a row with the seq and time of the last change of its key.
func (t *table) row(key, bytes []byte) arrowhttp.Row {
	row := arrowhttp.Row{Bytes: bytes}
	if at, ok := t.last[string(key)]; ok {
		row.Seq, row.TimeMicros = t.changes[at].Seq, t.changes[at].TimeMicros
	}
	return row
}

// entries are the rows by their entries in an index.
func (t *table) entries(by *schema.IndexSpec) map[string]string {
	entries := map[string]string{}
	for key, row := range t.rows {
		if by == nil {
			entries[key] = key
			continue
		}
		values, err := schema.NewRowDecoder(t.c.Schema, t.c.Schema).Decode(row, nil)
		if err != nil {
			panic(err)
		}
		var fields []int
		for _, id := range by.FieldIDs {
			fields = append(fields, t.c.Schema.IndexID(id))
		}
		entries[string(t.c.Schema.AppendIndexFields(nil, fields, values))+key] = key
	}
	return entries
}

func (r reader) Lookup(ctx context.Context, c *schema.Collection, by *schema.IndexSpec, keys [][]byte, fn func(int, arrowhttp.Row) error) error {
	for i := len(keys) - 1; i >= 0; i-- { // any order
		err := r.Range(ctx, c, by, arrowhttp.KeyRange{From: keys[i], To: schema.PrefixEnd(keys[i])}, func(_ []byte, row arrowhttp.Row) (bool, error) {
			return false, fn(i, row)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r reader) Range(_ context.Context, c *schema.Collection, by *schema.IndexSpec, kr arrowhttp.KeyRange, fn func(at []byte, row arrowhttp.Row) (bool, error)) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	t := r.s.collections[c.String()]
	if r.s.indexErr != nil && by != nil {
		return r.s.indexErr
	}
	entries := t.entries(by)
	var keys []string
	for k := range entries {
		if k >= string(kr.From) && (kr.To == nil || k < string(kr.To)) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	if kr.Reverse {
		slices.Reverse(keys)
	}
	for _, k := range keys {
		if more, err := fn([]byte(k), t.row([]byte(entries[k]), t.rows[entries[k]])); err != nil || !more {
			return err
		}
	}
	return r.s.readErr
}

type changes struct{ s *store }

func (l changes) Read(ctx context.Context, c *schema.Collection, req arrowhttp.ChangesRequest) iter.Seq2[schema.Change, error] {
	s := l.s
	return func(yield func(schema.Change, error) bool) {
		defer func() { s.readEnded <- struct{}{} }()
		at := func(i schema.Seq) (schema.Change, bool, chan struct{}) {
			s.mu.Lock()
			defer s.mu.Unlock()
			all := s.collections[c.String()].changes
			if int(i) < len(all) {
				return all[i], true, nil
			}
			return schema.Change{}, false, s.changed
		}
		if req.Descending {
			for i := req.To; i > req.From; i-- {
				if ch, _, _ := at(i - 1); !yield(ch, nil) {
					return
				}
			}
			return
		}
		for i := req.From; req.Follow || i < req.To; {
			ch, ok, changed := at(i)
			if ok {
				i++
				if !yield(ch, nil) {
					return
				}
				continue
			}
			if s.logErr != nil {
				break
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(schema.Change{}, ctx.Err())
				return
			}
		}
		if s.logErr != nil {
			yield(schema.Change{}, s.logErr)
		}
	}
}

func (l changes) SeqAt(_ context.Context, c *schema.Collection, micros int64) (schema.Seq, error) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	all := l.s.collections[c.String()].changes
	return schema.Seq(sort.Search(len(all), func(i int) bool { return all[i].TimeMicros >= micros })), nil
}

func (l changes) Extent(_ context.Context, c *schema.Collection, from, to schema.Seq) (x arrowhttp.LogExtent, _ error) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for _, ch := range l.s.collections[c.String()].changes {
		if x.LastMicros = ch.TimeMicros; ch.Seq >= from && ch.Seq < to {
			x.Bytes += int64(len(ch.Key) + len(ch.Row))
		}
	}
	return x, nil
}

func (l changes) FirstSeq(_ context.Context, c *schema.Collection) (schema.Seq, error) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.s.collections[c.String()].first, nil
}

func (l changes) Trim(_ context.Context, c *schema.Collection, before schema.Seq) (arrowhttp.Trimmed, error) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	t := l.s.collections[c.String()]
	if next := len(t.changes); before > schema.Seq(next) {
		return arrowhttp.Trimmed{}, &schema.FieldError{Field: "before_seq", Rule: fmt.Sprintf("the next change gets seq %d", next)}
	}
	t.first = max(t.first, before)
	return arrowhttp.Trimmed{First: t.first, Position: l.s.pos}, nil
}

func (l changes) NextSeq(_ context.Context, c *schema.Collection) (schema.Seq, error) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return schema.Seq(len(l.s.collections[c.String()].changes)), nil
}

func (s *store) Scan(ctx context.Context, c *schema.Collection, req query.Scan) (*arrowhttp.ScanStream, error) {
	where, err := query.ParseWhere(req.Where, c.Schema)
	if err != nil {
		return nil, err
	}
	if s.scanOpenErr != nil {
		return nil, s.scanOpenErr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var columns []int
	for _, name := range req.Columns {
		if i := c.Schema.Index(name); i >= 0 {
			columns = append(columns, i)
		}
	}
	s.scans++
	s.scanned++
	to := schema.Seq(len(s.collections[c.String()].changes))
	place := query.ScanPlace{Tail: true}
	state := query.ScanState{Snapshot: 7, LakeTo: math.MaxUint64, To: to, Position: s.pos}
	if req.Resume != nil {
		if state = req.Resume.State; state.Snapshot != 7 || state.To > to {
			s.scans--
			return nil, fmt.Errorf("snapshot %d: %w", state.Snapshot, schema.ErrTrimmed)
		}
		place = req.Resume.Place
	}
	return &arrowhttp.ScanStream{
		Schema:   c.Schema.Arrow(columns, true),
		Position: state.Position, SnapshotID: 7,
		State: &state, Place: func() query.ScanPlace { return place },
		Batches: s.batches(ctx, c, columns, where, req.Limit, state.To, &place),
		Close:   sync.OnceValue(s.closeScan),
	}, nil
}

func (s *store) closeScan() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scans--
	s.closed <- struct{}{}
	return nil
}

func (s *store) batches(ctx context.Context, c *schema.Collection, columns []int, where *query.Predicate, limit int64, to schema.Seq, place *query.ScanPlace) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		b := schema.NewArrowBuilder(memory.DefaultAllocator, c.Schema, columns, true)
		sent := 0
		begin := place.Rows // of what comes
		emit := func() bool {
			batch := b.NewRecordBatch()
			defer batch.Release()
			sent++
			place.Rows, begin = begin, begin+batch.NumRows()
			return yield(batch, nil)
		}
		failing := func() bool {
			if s.scanErr != nil && sent == s.scanAfter {
				if s.scanPanic {
					panic(s.scanErr)
				}
				yield(nil, s.scanErr)
				return true
			}
			return false
		}
		dec := schema.NewRowDecoder(c.Schema, c.Schema)
		var rows int64
		skip := begin
		for again := true; again; again = s.endless {
			s.mu.Lock()
			all := slices.Clone(s.collections[c.String()].changes[:to])
			s.mu.Unlock()
			for _, ch := range all {
				row, err := dec.Decode(ch.Row, nil)
				if err != nil {
					yield(nil, err)
					return
				}
				if !where.Match(row, ch.Seq, ch.TimeMicros) || limit > 0 && rows == limit {
					continue
				}
				if skip > 0 {
					skip--
					continue
				}
				rows++
				b.Append(row, ch.Seq, ch.TimeMicros)
				if b.Len() < s.batchRows {
					continue
				}
				if ctx.Err() != nil {
					yield(nil, ctx.Err())
					return
				}
				if failing() || !emit() {
					return
				}
			}
		}
		if failing() || b.Len() > 0 && !emit() {
			return
		}
		failing()
	}
}

func (s *store) Describe(_ context.Context, c *schema.Collection) (arrowhttp.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.collections[c.String()]
	next := schema.Seq(len(t.changes))
	return arrowhttp.Status{Rows: int64(len(t.rows)), NextSeq: next, Position: s.pos,
		Log: arrowhttp.StoreStatus{NextSeq: next, Bytes: 10}, Index: arrowhttp.StoreStatus{NextSeq: next, Bytes: 20},
		Lake: arrowhttp.LakeStatus{StoreStatus: arrowhttp.StoreStatus{LagMicros: 2_000_000}, Location: "file:///lake/x"},
		Indexes: []arrowhttp.IndexStatus{{Name: "one_delay", State: "failed", RowsDone: 2, Rows: 3, Reason: "two rows"},
			{Name: "by_name", State: "ready", Rows: 3}}}, nil
}

func (s *store) Current(string) schema.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pos
}

func (s *store) Wait(ctx context.Context, tenant string, pos schema.Position) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if s.Current(tenant).Compare(pos) >= 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait: %w", ctx.Err())
		}
	}
}

// upkeep has one table file for each row.
type upkeep struct{ *store }

func (u upkeep) Status(_ context.Context, c *schema.Collection) (arrowhttp.TableStatus, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	rows := len(u.collections[c.String()].rows)
	return arrowhttp.TableStatus{Location: "file:///lake/" + c.String(), Files: rows, Rows: int64(rows)}, u.readErr
}

func (u upkeep) Compact(_ context.Context, c *schema.Collection) iter.Seq2[arrowhttp.Compaction, error] {
	return func(yield func(arrowhttp.Compaction, error) bool) {
		if u.readErr != nil {
			yield(arrowhttp.Compaction{}, u.readErr)
			return
		}
		if yield(arrowhttp.Compaction{FilesBefore: 4, FilesAfter: 1}, nil) && u.scanErr != nil {
			yield(arrowhttp.Compaction{}, u.scanErr)
		}
	}
}

func (u upkeep) Expire(context.Context, *schema.Collection) iter.Seq2[arrowhttp.Expiry, error] {
	return func(func(arrowhttp.Expiry, error) bool) {} // nothing is past its time
}

// tags is one tag, q3, of a table whose snapshots are 1 to 9.
type tags struct{ *store }

func (t tags) Tags(context.Context, *schema.Collection) ([]arrowhttp.Tag, error) {
	return []arrowhttp.Tag{{Name: "q3", Snapshot: 3, NextSeq: 30}}, t.readErr
}

func (t tags) SetTag(_ context.Context, _ *schema.Collection, name string, at arrowhttp.TagAt) (arrowhttp.Tag, error) {
	tag := arrowhttp.Tag{Name: name, Snapshot: max(at.Snapshot, 1)}
	if at.AtSeq != nil {
		tag.NextSeq = *at.AtSeq + 1
	}
	return tag, nil
}

func (t tags) RemoveTag(_ context.Context, _ *schema.Collection, name string) error {
	if name != "q3" {
		return fmt.Errorf("tag %s: %w", name, schema.ErrNotFound)
	}
	return nil
}

func (s *store) Verify(_ context.Context, only string) iter.Seq2[arrowhttp.VerifyReport, error] {
	return func(yield func(arrowhttp.VerifyReport, error) bool) {
		if only == "acme/none" {
			yield(arrowhttp.VerifyReport{}, schema.ErrNotFound)
			return
		}
		for _, name := range []string{"acme/airports", "acme/events"} {
			if (only == "" || only == name) && !yield(arrowhttp.VerifyReport{Collection: name, OK: true}, nil) {
				return
			}
		}
		if s.scanErr != nil {
			yield(arrowhttp.VerifyReport{}, s.scanErr)
		}
	}
}

// rig is a server over a store, with a client.
type rig struct {
	t     *testing.T
	store *store
	srv   *arrowhttp.Server
	http  *httptest.Server
}

const (
	airports = "/v1/tenants/acme/collections/airports"
	events   = "/v1/tenants/acme/collections/events"
)

// newRig serves a keyed and an append-only collection with three records each.
func newRig(t *testing.T, change ...func(*arrowhttp.Options)) *rig {
	t.Helper()
	r := &rig{t: t, store: newStore()}
	opts := arrowhttp.Options{Backend: r.store.backend(), SpoolDir: t.TempDir(),
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, fn := range change {
		fn(&opts)
	}
	srv, err := arrowhttp.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	r.srv = srv
	r.http = httptest.NewUnstartedServer(srv.Handler())
	r.http.Config.BaseContext = srv.BaseContext
	r.http.Start()
	t.Cleanup(func() {
		r.http.CloseClientConnections()
		r.http.Close()
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	apply := func(text string) {
		def, err := definition.ParseOne([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.store.Apply(t.Context(), []definition.Definition{def}, false); err != nil {
			t.Fatal(err)
		}
	}
	apply(`{tenant: acme, collection: airports, key: [state, iata], fields: [
		{name: state, type: string, required: true}, {name: iata, type: string, required: true},
		{name: name, type: string}, {name: delay, type: long}, {name: tags, type: {type: list, element: string}}],
		indexes: [{name: by_name, fields: [name]}, {name: one_delay, fields: [delay], unique: true}]}`)
	apply(`{tenant: acme, collection: events, fields: [{name: id, type: long, required: true}, {name: note, type: string}]}`)
	r.put("acme", "airports", `{"state":"WA","iata":"SEA","name":"Seattle","delay":10,"tags":["a","b"]}
{"state":"WA","iata":"P/X","name":"a, \"b\"","delay":null,"tags":null}
{"state":"OR","iata":"PDX","name":"","delay":30,"tags":[]}`)
	r.put("acme", "events", "{\"id\":1,\"note\":\"x\"}\n{\"id\":2,\"note\":null}\n{\"id\":3,\"note\":\"z\"}")
	return r
}

func (r *rig) put(tenant, name, lines string) {
	r.t.Helper()
	_, err := r.store.Write(r.t.Context(), arrowhttp.WriteRequest{Tenant: tenant, Collection: name, Body: strings.NewReader(lines)})
	if err != nil {
		r.t.Fatal(err)
	}
}

// do sends a request; header is name, value, name, value, …
func (r *rig) do(method, path, body string, header ...string) *http.Response {
	r.t.Helper()
	res, err := r.try(r.t.Context(), method, path, body, header...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func (r *rig) try(ctx context.Context, method, path, body string, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.http.URL+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	if body != "" {
		req.Header.Set("Content-Type", "application/x-ndjson")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return r.http.Client().Do(req)
}

// text is a successful answer's body.
func (r *rig) text(method, path, body string, header ...string) string {
	r.t.Helper()
	res := r.do(method, path, body, header...)
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		r.t.Fatalf("%s %s: %s %v\n%s", method, path, res.Status, err, b)
	}
	return string(b)
}

// problem is a failed answer's body.
func (r *rig) problem(method, path, body string, header ...string) arrowhttp.Problem {
	r.t.Helper()
	res := r.do(method, path, body, header...)
	return r.readProblem(res)
}

func (r *rig) readProblem(res *http.Response) arrowhttp.Problem {
	r.t.Helper()
	var p arrowhttp.Problem
	b, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil || res.Header.Get("Content-Type") != "application/problem+json" || p.Status != res.StatusCode || p.Detail == "" || p.Retry == "" {
		r.t.Fatalf("%s %s: not a problem: %s %v\n%s", res.Request.Method, res.Request.URL, res.Status, err, b)
	}
	return p
}

func wantText(t *testing.T, what, got, want string) {
	t.Helper()
	if strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

var errBoom = errors.New("boom at /secret/path")
