//go:build linux

package kvindex_test

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trinedb/trine/kvindex"
)

// evict has the operating system forget what it holds of the files of a folder,
// which nobody has open.
func evict(b *testing.B, dir string) {
	must(b, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := unix.Fsync(int(f.Fd())); err != nil { // what is dirty stays
			return err
		}
		return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	}))
}

// BenchmarkGetCold looks keys up in an index that was just opened and of which
// nothing is in memory, beside Badger: an iteration is a few hundred keys of each,
// opening not counted.
func BenchmarkGetCold(b *testing.B) {
	const lookups = 300
	dir, rawDir := fillDirs(b)
	rnd := rand.New(rand.NewPCG(1, 1))
	var keys []int
	ours := func() time.Duration {
		x, err := kvindex.Open(benchOptions(dir))
		must(b, err)
		defer closeIndex(b, x)
		begin := time.Now()
		for _, i := range keys {
			if _, ok, err := x.Get(context.Background(), benchInst, benchKey(i)); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
		return time.Since(begin)
	}
	badgers := func() time.Duration {
		raw := rawBadger(b, rawDir)
		defer func() { must(b, raw.Close()) }()
		begin := time.Now()
		for _, i := range keys {
			txn := raw.NewTransactionAt(1<<62, false)
			item, err := txn.Get(rawKey(benchKey(i)))
			must(b, err)
			_, err = item.ValueCopy(nil)
			must(b, err)
			txn.Discard()
		}
		return time.Since(begin)
	}
	var our, badger time.Duration
	for first := true; b.Loop(); first = !first {
		evict(b, dir)
		evict(b, rawDir)
		keys = rnd.Perm(benchRows)[:lookups]
		if first {
			our += ours()
			badger += badgers()
		} else {
			badger += badgers()
			our += ours()
		}
	}
	n := float64(b.N * lookups)
	b.ReportMetric(float64(our.Microseconds())/n, "ours-µs")
	b.ReportMetric(float64(badger.Microseconds())/n, "badger-µs")
	b.ReportMetric(float64(badger)/float64(our), "of-its-speed")
	b.ReportMetric(0, "ns/op")
}
