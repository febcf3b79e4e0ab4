package snapshot_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/trinedb/trine/kvindex/snapshot"
	"github.com/trinedb/trine/schema"
)

var errCrash = errors.New("crash")

// TestCrashWhileTaking ends Take and Collect at each of their writes, before it
// and after it. What was announced can be restored each time, and the next
// snapshot leaves nothing that is not named.
func TestCrashWhileTaking(t *testing.T) {
	points := 0
	for crashed := true; crashed; points++ {
		for _, landed := range []bool{false, true} {
			crashed = crashAt(t, points, landed)
		}
	}
	if points < 5 {
		t.Errorf("only %d writes were met", points)
	}
}

func crashAt(t *testing.T, point int, landed bool) (crashed bool) {
	t.Helper()
	m, store, dir := newMaker(uint64(point)), newStore(), t.TempDir()
	s := snapshot.New(quick(store))
	x := openIndex(t, filepath.Join(dir, "x"))
	defer closeIndex(t, x)
	step := func(epoch schema.Epoch) (snapshot.Info, error) {
		info, err := s.Take(bg, x, epoch)
		if err != nil {
			return info, err
		}
		return info, s.Collect(bg, info)
	}
	var announced snapshot.Info
	for range 3 {
		must(t, x.Apply(bg, m.chunk()))
		info, err := step(1)
		must(t, err)
		announced = info
	}
	must(t, x.Apply(bg, m.chunk()))
	left := point
	crash := func(verb, _ string) error {
		if verb != "put" && verb != "delete" {
			return nil
		}
		if left--; left < 0 {
			crashed = true
			return errCrash
		}
		return nil
	}
	if landed {
		store.after = crash
	} else {
		store.before = crash
	}
	if info, err := s.Take(bg, x, 1); err == nil {
		announced = info
		_ = s.Collect(bg, info)
	}
	store.before, store.after = nil, nil

	// Another process begins with the store as it is.
	s = snapshot.New(quick(store))
	y, info := restored(t, s, filepath.Join(dir, "y"))
	if y == nil || info.Position.Compare(announced.Position) < 0 {
		t.Fatalf("write %d, landed %t: restored %+v, announced %+v", point, landed, info, announced)
	}
	defer closeIndex(t, y)
	m.replay(t, y)
	sameState(t, "restored", m.state(t, y), m.state(t, x))
	must(t, y.Apply(bg, m.chunk()))
	final, err := s.Take(bg, y, 2)
	must(t, err)
	must(t, s.Collect(bg, final))
	store.noOrphans(t)
	if n := store.names("0/snap/"); len(n) != 2 {
		t.Errorf("write %d, landed %t: %d snapshots are kept", point, landed, len(n))
	}
	return crashed
}

// TestCrashWhileRestoring looks at the disk each time something was fetched, and
// when a fetch fails: the index's directory is not there, or it is whole, and
// restoring over what is left works.
func TestCrashWhileRestoring(t *testing.T) {
	m, store, dir := newMaker(8), newStore(), t.TempDir()
	x := openIndex(t, filepath.Join(dir, "x"))
	for range 3 { // each makes a table
		must(t, x.Apply(bg, m.chunk()))
		closeIndex(t, x)
		x = openIndex(t, filepath.Join(dir, "x"))
	}
	must(t, x.Apply(bg, m.chunk()))
	_, err := snapshot.New(quick(store)).Take(bg, x, 1)
	must(t, err)
	want := m.state(t, x)

	crashes := 0
	disk := filepath.Join(dir, "disk")
	look := func() {
		crashes++
		image := filepath.Join(dir, fmt.Sprint("image", crashes))
		copyTree(t, disk, image)
		if _, err := os.Stat(filepath.Join(image, "kvindex")); err == nil {
			t.Fatal("the index has its name before it is whole")
		}
		y, _ := restored(t, snapshot.New(quick(store)), filepath.Join(image, "kvindex"))
		sameState(t, "restored over a crash", m.state(t, y), want)
		closeIndex(t, y)
		if left, _ := filepath.Glob(filepath.Join(image, "*.restoring")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		must(t, os.RemoveAll(image))
	}
	must(t, os.MkdirAll(disk, 0o750))
	o := quick(store)
	o.Progress = func(snapshot.Progress) { look() }
	y, _ := restored(t, snapshot.New(o), filepath.Join(disk, "kvindex"))
	sameState(t, "restored", m.state(t, y), want)
	closeIndex(t, y)
	if crashes < 3 {
		t.Errorf("looked %d times", crashes)
	}

	for at := range 4 {
		var left atomic.Int32 // tables are fetched side by side
		left.Store(int32(at))
		store.before = func(verb, _ string) error {
			if verb == "get" && left.Add(-1) < 0 {
				return errCrash
			}
			return nil
		}
		dest := filepath.Join(dir, fmt.Sprint("failed", at))
		if _, err := snapshot.New(quick(store)).Restore(bg, indexOptions(dest), anyInfo); !errors.Is(err, schema.ErrNotFound) {
			t.Errorf("fetch %d failed: %v", at, err)
		}
		if left, _ := filepath.Glob(dest + "*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// TestCollectBesideAnUpload has an owner that was replaced collect at each write of
// the next one's snapshot: it leaves what is uploaded.
func TestCollectBesideAnUpload(t *testing.T) {
	m, store, dir := newMaker(12), newStore(), t.TempDir()
	x := openIndex(t, filepath.Join(dir, "x"))
	must(t, x.Apply(bg, m.chunk()))
	old := snapshot.New(quick(store))
	first, err := old.Take(bg, x, 1)
	must(t, err)
	must(t, x.Apply(bg, m.chunk()))
	beside := &memStore{objects: store.objects}
	beside.before = func(verb, _ string) error {
		if verb != "put" {
			return nil
		}
		return old.Collect(bg, first)
	}
	second, err := snapshot.New(quick(beside)).Take(bg, x, 2)
	must(t, err)
	y, info := restored(t, snapshot.New(quick(store)), filepath.Join(dir, "y"))
	if info.Number != second.Number {
		t.Errorf("restored %+v, want the second", info)
	}
	closeIndex(t, y)
}
