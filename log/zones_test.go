package log_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// three is a channel's three zones and the store of its head, in memory, with
// faults that a test switches on.
type three struct {
	mems  [3]*blob.Mem
	zones [3]*faults
	heads *faults
}

func newThree() *three {
	h := &three{heads: newFaults(blob.NewMem())}
	for i := range h.zones {
		h.mems[i] = blob.NewMem()
		h.zones[i] = newFaults(h.mems[i])
	}
	return h
}

// options are those of a writer on the zones.
func (h *three) options(x *fakeIndex) log.Options {
	o := x.options(nil)
	o.Store, o.Head = nil, h.heads
	for i, z := range h.zones {
		o.Zones = append(o.Zones, log.Zone{Name: string(rune('a' + i)), Store: z})
	}
	return o
}

// away is a hook of a zone that does not answer as it should.
func away(err error) func(blobtest.Call, string) (error, error) {
	return func(blobtest.Call, string) (error, error) { return err, nil }
}

// kinds tells what each zone has at a number: data, marker, or nothing.
func (h *three) kinds(t *testing.T, n uint64) string {
	t.Helper()
	var kinds []string
	for _, m := range h.mems {
		data, err := m.Get(t.Context(), name(n))
		if errors.Is(err, blob.ErrNotFound) {
			kinds = append(kinds, "-")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		hdr, err := chunk.DecodeHeader(name(n), 0, schema.Position{Chunk: n}, data)
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, hdr.Kind.String())
	}
	return strings.Join(kinds, " ")
}

func TestZones(t *testing.T) {
	h, x := newThree(), newFakeIndex(t)
	c := open(t, h.options(x))
	for i, row := range []string{"a", "b", "c"} {
		if ack := mustAppend(t, c, keyed(byte(i+1), 1, group(16, row))); ack.Position.Chunk != uint64(2+i) {
			t.Errorf("%s at %v", row, ack.Position)
		}
	}
	if got := fmt.Sprint(rows(t, c)); got != "map[16:[a b c]]" {
		t.Errorf("rows %s", got)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := uint64(2); n <= 4; n++ {
		if got := h.kinds(t, n); got != "data data data" {
			t.Errorf("zones have %s at %d", got, n)
		}
	}
	// Another, whose index has nothing, with one zone gone for good.
	h.zones[1].set(away(schema.ErrUnavailable))
	c = open(t, h.options(newFakeIndex(t)))
	if got := fmt.Sprint(rows(t, c)); got != "map[16:[a b c]]" {
		t.Errorf("after the restart: rows %s", got)
	}
	if ack := mustAppend(t, c, keyed(2, 1, group(16, "b"))); !ack.Replayed {
		t.Errorf("sent again: %+v", ack)
	}
	mustAppend(t, c, batch(group(16, "d")))
	head, err := h.heads.Get(t.Context(), chunk.HeadName(0))
	if err != nil || !strings.Contains(string(head), `"zones":["a","b","c"],"sealed":5,"serves":2,"owners":[[1,2,4]]`) {
		t.Errorf("head %s, %v", head, err)
	}
}

// TestZoneAway appends and reads while a zone fails in some way: nobody notices,
// and when it is back it is given what it lacks.
func TestZoneAway(t *testing.T) {
	hang := errors.New("timed out")
	for what, hook := range map[string]func(blobtest.Call, string) (error, error){
		"refuses":     away(schema.ErrUnavailable),
		"lost":        away(errors.New("request lost")),
		"answer lost": func(blobtest.Call, string) (error, error) { return nil, errors.New("answer lost") },
		"slow":        func(blobtest.Call, string) (error, error) { time.Sleep(time.Second); return nil, nil },
		"hangs":       func(blobtest.Call, string) (error, error) { time.Sleep(10 * time.Second); return hang, nil },
	} {
		for zone := range 3 {
			t.Run(fmt.Sprintf("%s/%d", what, zone), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h, x := newThree(), newFakeIndex(t)
					o := h.options(x)
					o.TailBytes, o.CacheBytes, o.InFlight, o.MaxChunkBytes = 1, 1, 2, 1
					c := open(t, o)
					h.zones[zone].set(hook)
					begin := time.Now()
					var want []string
					for i := range 20 {
						want = append(want, fmt.Sprint("r", i))
						mustAppend(t, c, batch(group(16, want[i])))
					}
					if took := time.Since(begin); took > 0 {
						t.Errorf("appends took %v, two zones take no time", took)
					}
					c.Applied(x.apply(100))
					begin = time.Now()
					coldRows(t, c, fmt.Sprint(want))
					// One look at the bad zone each time that it is trusted again.
					if took := time.Since(begin); took > 200*time.Millisecond {
						t.Errorf("reads took %v", took)
					}
					h.zones[zone].set(nil)
					time.Sleep(time.Minute)
					for n := uint64(3); n <= 22; n++ {
						if got := h.kinds(t, n); got != "data data data" {
							t.Errorf("zones have %q at %d", got, n)
						}
					}
				})
			})
		}
	}
}

// TestHeadAway appends while the store of the head does not answer: nobody
// notices, and the head tells of it all when it is back.
func TestHeadAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, x := newThree(), newFakeIndex(t)
		o := h.options(x)
		o.InFlight, o.MaxChunkBytes, o.HintEvery = 2, 1, 1
		c, err := log.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		h.heads.set(func(blobtest.Call, string) (error, error) {
			time.Sleep(10 * time.Second)
			return errors.New("timed out"), nil
		})
		begin := time.Now()
		for i := range 50 {
			mustAppend(t, c, batch(group(16, fmt.Sprint(i))))
		}
		if took := time.Since(begin); took > 0 {
			t.Errorf("appends took %v", took)
		}
		h.heads.set(nil)
		time.Sleep(time.Minute)
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, sealed, err := headOf(t, h); err != nil || sealed != 52 {
			t.Errorf("sealed %d, %v", sealed, err)
		}
	})
}

func headOf(t *testing.T, h *three) (serves, sealed uint64, err error) {
	t.Helper()
	data, err := h.heads.Get(t.Context(), chunk.HeadName(0))
	if err != nil {
		t.Fatal(err)
	}
	return log.HeadSealed(data)
}

// TestZoneLagIsBounded lets a zone hang for long: only so many PUTs wait for it.
func TestZoneLagIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, x := newThree(), newFakeIndex(t)
		c := open(t, h.options(x))
		gate := make(chan struct{})
		waiting := make(chan struct{}, 1000)
		h.zones[2].set(func(blobtest.Call, string) (error, error) {
			waiting <- struct{}{}
			<-gate
			return nil, nil
		})
		for i := range 300 {
			mustAppend(t, c, batch(group(16, fmt.Sprint(i))))
		}
		synctest.Wait()
		if n := len(waiting); n < 60 || n > 70 { // some 64, and a repair
			t.Errorf("%d calls wait for the zone", n)
		}
		h.zones[2].set(nil)
		close(gate)
		time.Sleep(time.Minute)
		for n := uint64(2); n <= 301; n++ {
			if got := h.kinds(t, n); got != "data data data" {
				t.Fatalf("zones have %q at %d", got, n)
			}
		}
	})
}

// TestTwoZonesAway is one too many: senders are told so, and that there was no
// effect where there was none.
func TestTwoZonesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, x := newThree(), newFakeIndex(t)
		c := open(t, h.options(x))
		mustAppend(t, c, batch(group(16, "a")))
		for _, z := range h.zones {
			z.set(away(schema.ErrUnavailable))
		}
		_, err := c.Append(t.Context(), batch(group(16, "b")))
		wantErr(t, err, schema.ErrUnavailable)
		if errors.Is(err, schema.ErrUnknownOutcome) {
			t.Errorf("no zone took it, but: %v", err)
		}
		h.zones[0].set(nil)
		done := start(t.Context(), c, keyed(7, 1, group(16, "c")))
		wantErr(t, (<-done).err, schema.ErrUnknownOutcome)
		h.zones[1].set(nil) // a and b are sealed: a third might be, and a not
		time.Sleep(time.Minute)
		if ack := mustAppend(t, c, keyed(7, 1, group(16, "c"))); !ack.Replayed {
			t.Errorf("zone a had it, and it was adopted, but: %+v", ack)
		}
		if got := fmt.Sprint(rows(t, c)); got != "map[16:[a c]]" {
			t.Errorf("rows %s", got)
		}
	})
}

// TestZonesTakenOver takes a channel over whose owner goes on to write.
func TestZonesTakenOver(t *testing.T) {
	h, x := newThree(), newFakeIndex(t)
	old := open(t, h.options(x))
	mustAppend(t, old, batch(group(16, "a")))
	young := open(t, h.options(newFakeIndex(t)))
	mustAppend(t, young, batch(group(16, "b")))
	// It may be in one zone, which the other did not look into.
	for _, want := range []error{schema.ErrUnknownOutcome, schema.ErrFenced} {
		_, err := old.Append(t.Context(), batch(group(16, "zombie")))
		wantErr(t, err, want)
	}
	if !old.Fenced() {
		t.Error("it does not know")
	}
	wantErr(t, old.Close(t.Context()), schema.ErrFenced)
	if got := fmt.Sprint(rows(t, young)); got != "map[16:[a b]]" {
		t.Errorf("rows %s", got)
	}
}

// TestZonesRefused opens channels in other ways than they were made.
func TestZonesRefused(t *testing.T) {
	h := newThree()
	c := open(t, h.options(newFakeIndex(t)))
	mustAppend(t, c, batch(group(16, "a")))
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what   string
		change func(o *log.Options)
		want   error
		says   string
	}{
		{"another zone", func(o *log.Options) { o.Zones[1] = log.Zone{Name: "d", Store: blob.NewMem()} }, schema.ErrInvalid, "[a b c], not in [a c d]"},
		{"one store", func(o *log.Options) { o.Store, o.Zones, o.Head = h.heads, nil, nil }, schema.ErrInvalid, "zones [a b c]"},
		{"a lost head", func(o *log.Options) { o.Head = blob.NewMem() }, schema.ErrCorrupt, "there is no head"},
		{"two zones", func(o *log.Options) { o.Zones = o.Zones[:2] }, schema.ErrInvalid, "2 zones: want 3"},
		{"one zone twice", func(o *log.Options) { o.Zones[1] = o.Zones[0] }, schema.ErrInvalid, "names that differ"},
		{"no head", func(o *log.Options) { o.Head = nil }, schema.ErrInvalid, "Zones and Head"},
		{"store and zones", func(o *log.Options) { o.Store = blob.NewMem() }, schema.ErrInvalid, "Zones and Head"},
	} {
		t.Run(test.what, func(t *testing.T) {
			o := h.options(newFakeIndex(t))
			test.change(&o)
			_, err := log.Open(t.Context(), o)
			wantErr(t, err, test.want)
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v does not say %q", err, test.says)
			}
		})
	}
	t.Run("zones of one store's log", func(t *testing.T) {
		o := h.options(newFakeIndex(t))
		mem := blob.NewMem()
		open(t, newFakeIndex(t).options(mem))
		o.Head = mem
		_, err := log.Open(t.Context(), o)
		wantErr(t, err, schema.ErrInvalid)
	})
	t.Run("two zones away", func(t *testing.T) {
		h.zones[0].set(away(schema.ErrUnavailable))
		h.zones[2].set(away(schema.ErrUnavailable))
		_, err := log.Open(t.Context(), h.options(newFakeIndex(t)))
		wantErr(t, err, schema.ErrUnavailable)
	})
}

// TestZoneHasWhatDoesNotCount reads chunks of which one zone has a damaged copy,
// another's chunk, or a marker.
func TestZoneHasWhatDoesNotCount(t *testing.T) {
	other := func(kind chunk.Kind) func(data []byte) []byte {
		return func([]byte) []byte {
			e, err := chunk.NewEncoder()
			if err != nil {
				t.Fatal(err)
			}
			hdr := chunk.Header{Kind: kind, Position: schema.Position{Chunk: 4}, Epoch: 7}
			var groups []schema.Group
			if kind == chunk.Data {
				groups = []schema.Group{{Instance: 16, FirstSeq: 2, Records: group(16, "void").Records}}
			}
			data, err := e.Append(nil, hdr, groups, nil)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
	for what, change := range map[string]func([]byte) []byte{
		"damaged": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"cut":     func(b []byte) []byte { return b[:20] },
		"void":    other(chunk.Data),
		"marker":  other(chunk.Marker),
	} {
		for zone := range 3 {
			t.Run(fmt.Sprintf("%s/%d", what, zone), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { readPast(t, zone, change) })
			})
		}
	}
}

// readPast changes what one zone has at number 4 and reads it all the same.
func readPast(t *testing.T, zone int, change func([]byte) []byte) {
	h, x := newThree(), newFakeIndex(t)
	o := h.options(x)
	o.TailBytes, o.CacheBytes = 1, 1
	c := open(t, o)
	for _, row := range []string{"a", "b", "c", "d"} {
		mustAppend(t, c, batch(group(16, row)))
	}
	c.Applied(x.apply(100))
	synctest.Wait() // the third PUTs are through
	if err := replace(name(4), change)(t.Context(), h.mems[zone]); err != nil {
		t.Fatal(err)
	}
	coldRows(t, c, "[a b c d]")
	if got := fmt.Sprint(rows(t, c)); got != "map[16:[a b c d]]" {
		t.Errorf("in order: %s", got)
	}
	// With both others gone there is nothing to be had, and it says so.
	for i := range h.zones {
		if i != zone {
			h.zones[i].set(away(schema.ErrUnavailable))
		}
	}
	_, err := c.Chunk(t.Context(), schema.Position{Chunk: 4})
	wantErr(t, err, schema.ErrUnavailable)
}

// TestLostInAllZones is damage, not an outage.
func TestLostInAllZones(t *testing.T) {
	synctest.Test(t, lostInAllZones)
}

func lostInAllZones(t *testing.T) {
	h, x := newThree(), newFakeIndex(t)
	o := h.options(x)
	o.TailBytes, o.CacheBytes = 1, 1
	c := open(t, o)
	for _, row := range []string{"a", "b"} {
		mustAppend(t, c, batch(group(16, row)))
	}
	c.Applied(x.apply(100))
	synctest.Wait() // the third PUTs are through
	for _, m := range h.mems {
		if err := m.Delete(t.Context(), name(2)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.Chunk(t.Context(), schema.Position{Chunk: 2})
	wantErr(t, err, schema.ErrCorrupt)
}

// TestHoleStaysWithItsOwner: what was not repaired when a channel ends is in two
// zones, and is read from there.
func TestHoleStaysWithItsOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newThree()
		c, err := log.Open(t.Context(), h.options(newFakeIndex(t)))
		if err != nil {
			t.Fatal(err)
		}
		h.zones[0].set(away(schema.ErrUnavailable))
		mustAppend(t, c, batch(group(16, "a")))
		begin := time.Now()
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("closing took %v", took)
		}
		h.zones[0].set(nil)
		c = open(t, h.options(newFakeIndex(t)))
		if got := h.kinds(t, 2); got != "- data data" {
			t.Errorf("zones have %s", got)
		}
		if got := fmt.Sprint(rows(t, c)); got != "map[16:[a]]" {
			t.Errorf("rows %s", got)
		}
	})
}
