package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trinedb/trine/bench"
	"github.com/trinedb/trine/schema"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// short is enough for a round or two of everything.
func short(t *testing.T) bench.Options {
	return bench.Options{Folder: t.TempDir(), Duration: 100 * time.Millisecond, Seed: 3}
}

// whole fails unless a report has these figures, all above 0, and its data
// directory is gone.
func whole(t *testing.T, o bench.Options, r *bench.Report, err error, figures ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range figures {
		f, ok := r.Find(name)
		if !ok {
			t.Errorf("no figure %q", name)
			continue
		}
		if f.Ours <= 0 || f.Floor <= 0 || f.Ratio <= 0 || f.FloorName == "" || f.Low > f.Ratio || (f.High != 0 && f.High < f.Ratio) {
			t.Errorf("figure %+v", f)
		}
	}
	if r.Seed != o.Seed || r.Interrupted || r.Seconds <= 0 {
		t.Errorf("seed %d, interrupted %t, %g s", r.Seed, r.Interrupted, r.Seconds)
	}
	empty(t, o.Folder)
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func empty(t *testing.T, folder string) {
	t.Helper()
	left, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("%s is left behind", left[0].Name())
	}
}

func TestLog(t *testing.T) {
	o := bench.LogOptions{
		Options: short(t), Senders: 4, RecordBytes: 200, BatchRecords: 3, Collections: 50, Zipf: 1, Report: true,
	}
	r, err := bench.Log(t.Context(), o)
	whole(t, o.Options, r, err, "append", "append bytes", "ack p50", "ack p99", "ack p999")
	c := r.Counts
	if c.Of("records") != 3*c.Of("batches") || c.Of("raw_bytes") != 200*c.Of("records") {
		t.Errorf("%v", c)
	}
	if c.Of("chunks") < 1 || c.Of("chunks") > c.Of("batches") || c.Of("stored_bytes") <= 0 {
		t.Errorf("%v", c)
	}
	// Every chunk is one PUT, of the bytes that were stored.
	if put := verb(t, r, "log", "put"); float64(put.Requests) != c.Of("chunks") || float64(put.Bytes) != c.Of("stored_bytes") {
		t.Errorf("%+v, want %v", put, c)
	}
	if create := verb(t, r, "lake", "create"); create.Requests == 0 || create.BilledAs != "PUT" {
		t.Errorf("%+v", create)
	}
	if r.Cost.Verified || r.Cost.Date == "" || len(r.Cost.Stores) != 3 {
		t.Errorf("%+v", r.Cost)
	}
	for _, s := range r.Cost.Stores {
		if s.RunPerMillion <= 0 || s.PerMillion <= 0 || s.PerMonth <= 0 || s.KeepWeekPerMonth <= 0 {
			t.Errorf("%+v", s)
		}
	}
	lake := r.Cost.Lake
	if lake.PutsPerCommit < 2 || lake.Active <= 0 || lake.Active > 50 || lake.PerMonth <= 0 {
		t.Errorf("%+v", lake)
	}
}

func verb(t *testing.T, r *bench.Report, store, name string) bench.Verb {
	t.Helper()
	for _, s := range r.Stores {
		for _, v := range s.Verbs {
			if s.Name == store && v.Verb == name {
				return v
			}
		}
	}
	t.Fatalf("store %s has no %s", store, name)
	return bench.Verb{}
}

// On a store that is made slow no ack and no PUT of the floor is quicker than it.
func TestLogSlow(t *testing.T) {
	o := bench.LogOptions{Options: short(t), Senders: 4, Latency: "20ms"}
	o.Duration = 400 * time.Millisecond
	r, err := bench.Log(t.Context(), o)
	whole(t, o.Options, r, err, "append", "ack p50", "ack p99")
	if f, _ := r.Find("ack p50"); f.Ours < 20_000 || f.Floor < 20_000 {
		t.Errorf("%+v", f)
	}
}

func TestLogEndsAtRecords(t *testing.T) {
	o := bench.LogOptions{Options: short(t), Senders: 3, BatchRecords: 7, Records: 1000}
	o.Duration = time.Minute
	r, err := bench.Log(t.Context(), o)
	whole(t, o.Options, r, err, "append")
	if n := r.Counts.Of("records"); n != 1000 {
		t.Errorf("%g records", n)
	}
}

// An interrupt ends a workload with what it has measured.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := bench.LogOptions{Options: short(t), Senders: 2}
	o.Duration = 4 * time.Second // a slice of it is 200 ms
	rounds := 0
	o.Progress = func(string, int64, int64) {
		if rounds++; rounds == 2 {
			cancel()
		}
	}
	r, err := bench.Log(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || r.Counts.Of("records") == 0 {
		t.Errorf("%+v", r)
	}
	empty(t, o.Folder)
}

func TestInterruptedBeforeTheFirstRound(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := bench.LogOptions{Options: short(t)}
	if r, err := bench.Log(ctx, o); err == nil {
		t.Errorf("%+v", r)
	}
	empty(t, o.Folder)
}

func TestGet(t *testing.T) {
	o := bench.GetOptions{Options: short(t), Records: 300, Clients: 2}
	r, err := bench.Get(t.Context(), o)
	whole(t, o.Options, r, err, "in process", "in process p50", "in process p999", "over HTTP", "over HTTP p99")
	f, _ := r.Find("over HTTP")
	if n := r.Counts.Of("lookups_over_HTTP"); n != float64(f.Rounds*2*100) {
		t.Errorf("%g lookups in %d rounds", n, f.Rounds)
	}
	if r.Counts.Of("body_bytes_http") < 50 {
		t.Errorf("%v", r.Counts)
	}
}

func TestScan(t *testing.T) {
	o := bench.ScanOptions{Options: short(t), Records: 5000}
	r, err := bench.Scan(t.Context(), o)
	whole(t, o.Options, r, err, "all columns", "two columns", "two columns of all", "1% by key", "1% filter", "as Arrow", "first batch")
	if runtime.GOOS == "linux" {
		whole(t, o.Options, r, err, "memory of 50 slow scans")
	}
	if r.Counts.Of("rows_1%_by_key") != 50 {
		t.Errorf("%v", r.Counts)
	}
	if n := r.Counts.Of("rows_1%_filter"); n < 10 || n > 200 {
		t.Errorf("%g rows of one bucket in 100", n)
	}
	if r.Counts.Of("files") < 1 || r.Counts.Of("rows_all_columns") != 5000 {
		t.Errorf("%v", r.Counts)
	}
}

func TestFlush(t *testing.T) {
	o := bench.FlushOptions{Options: short(t), Records: 2000}
	r, err := bench.Flush(t.Context(), o)
	whole(t, o.Options, r, err, "flush from the log", "commit alone")
	if r.Counts.Of("table_bytes_per_row") <= 0 || r.Counts.Of("parquet_bytes_per_row") <= 0 {
		t.Errorf("%v", r.Counts)
	}
	verb(t, r, "lake", "create")
}

func TestChannel(t *testing.T) {
	for _, index := range []bool{false, true} {
		o := bench.ChannelOptions{Options: short(t), Collections: 3000, Zipf: 1, Senders: 4, Index: index, Memory: index}
		r, err := bench.Channel(t.Context(), o)
		whole(t, o.Options, r, err, "append", "ack p50", "ack p99")
		c := r.Counts
		if c.Of("collections_with_changes") != 3000 || c.Of("distinct_in_rounds") < 10 {
			t.Errorf("%v", c)
		}
		if index && (c.Of("heap_1000") <= 0 || c.Of("heap_3000") <= 0) {
			t.Errorf("%v", c)
		}
	}
}

func TestFollow(t *testing.T) {
	o := bench.FollowOptions{Options: short(t), Followers: 5, Rate: 200, Stalled: true}
	o.Duration = 600 * time.Millisecond
	r, err := bench.Follow(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"in process", "NDJSON", "SSE"} {
		if f, ok := r.Find(name + " after ack p99"); !ok || f.Ours <= 0 || f.Floor <= 0 {
			t.Errorf("%s: %+v", name, f)
		}
		if n := r.Counts.Of("delivered_" + strings.ReplaceAll(name, " ", "_")); n < 5 {
			t.Errorf("%s: %g delivered", name, n)
		}
	}
	empty(t, o.Folder)
}

func TestCollections(t *testing.T) {
	o := bench.CollectionsOptions{Options: short(t), Collections: 60, Workers: 4}
	o.Duration = time.Minute
	r, err := bench.Collections(t.Context(), o)
	whole(t, o.Options, r, err, "create and write", "restart")
	c := r.Counts
	if c.Of("collections") != 60 || c.Of("chunks") < 1 || c.Of("chunks") > 2*61 {
		t.Errorf("%v", c)
	}
	if c.Of("log_after") <= c.Of("log_before") {
		t.Errorf("%v", c)
	}
}

func TestOptionsAreRefused(t *testing.T) {
	for _, run := range []func() (*bench.Report, error){
		func() (*bench.Report, error) { return bench.Log(t.Context(), bench.LogOptions{Senders: -1}) },
		func() (*bench.Report, error) { return bench.Log(t.Context(), bench.LogOptions{Zipf: -1}) },
		func() (*bench.Report, error) { return bench.Log(t.Context(), bench.LogOptions{Latency: "slow"}) },
		func() (*bench.Report, error) { return bench.Log(t.Context(), bench.LogOptions{InFlight: 17}) },
		func() (*bench.Report, error) {
			return bench.Channel(t.Context(), bench.ChannelOptions{Collections: -1})
		},
		func() (*bench.Report, error) {
			return bench.Log(t.Context(), bench.LogOptions{RecordBytes: 200 << 10, BatchRecords: 10_000})
		},
		func() (*bench.Report, error) { return bench.Get(t.Context(), bench.GetOptions{Records: -1}) },
		func() (*bench.Report, error) { return bench.Scan(t.Context(), bench.ScanOptions{Records: -1}) },
		func() (*bench.Report, error) { return bench.Flush(t.Context(), bench.FlushOptions{Records: 1 << 30}) },
		func() (*bench.Report, error) {
			return bench.Collections(t.Context(), bench.CollectionsOptions{Workers: -1})
		},
	} {
		if _, err := run(); !errors.Is(err, schema.ErrInvalid) {
			t.Error(err)
		}
	}
}

// Every row that was acknowledged is there when it is asked for first.
func TestFreshness(t *testing.T) {
	o := bench.FreshnessOptions{Options: short(t), Collections: 20, Rate: 100, Queries: 40}
	o.Duration = time.Second
	r, err := bench.Freshness(t.Context(), o)
	whole(t, o.Options, r, err, "ack to visible p50", "ack to visible p99")
	c := r.Counts
	if c.Of("queries") == 0 || c.Of("queries_that_missed_the_row") != 0 || c.Of("writes") == 0 || c.Of("tables") == 0 || c.Of("tables") > 20 {
		t.Errorf("%v", c)
	}
	if c.Of("lake_PUT_per_hour") <= 0 || c.Of("lake_GET_per_hour") <= 0 || c.Of("lake_dollars_per_hour") <= 0 || c.Of("log_PUT_per_hour") <= 0 {
		t.Errorf("%v", c)
	}
}
