package kvindex_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

const crashDir = "TRINE_TEST_CRASH_DIR"

// crashChunk is the same chunk in parent and child: most are small, some take
// several transactions, and every record of chunk n counts.
func crashChunk(n uint64, next *schema.Seq) *schema.Chunk {
	rnd := rand.New(rand.NewPCG(n, 3))
	rows := 1 + rnd.IntN(50)
	if n%4 == 0 {
		rows = 3000
	}
	g := schema.Group{Instance: schema.FirstUserInstance, FirstSeq: *next}
	for range rows {
		r := upsert(fmt.Sprintf("key %d", rnd.IntN(7_000)), fmt.Sprintf("%d of chunk %d", rnd.IntN(1e9), n))
		if rnd.IntN(3) == 0 {
			r = remove(string(r.Key))
		}
		g.Records = append(g.Records, r)
	}
	*next += schema.Seq(rows)
	return &schema.Chunk{Position: at(n), TimeMicros: int64(n), Groups: []schema.Group{g}}
}

// crashChild applies chunks until it is killed, when it is told to be the child.
func crashChild() bool {
	dir := os.Getenv(crashDir)
	if dir == "" {
		return false
	}
	x, err := kvindex.Open(testOptions(dir))
	if err != nil {
		fmt.Println("child:", err)
		return true
	}
	var next schema.Seq
	for n := uint64(1); ; n++ {
		c := crashChunk(n, &next)
		if c.Position.Compare(x.Applied()) <= 0 {
			continue
		}
		fmt.Println("apply", n)
		if err := x.Apply(context.Background(), c); err != nil {
			fmt.Println("child:", err)
			return true
		}
	}
}

func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for deadline, kills := time.Now().Add(8*time.Second), 0; kills < 12 && time.Now().Before(deadline); kills++ {
		killChild(t, dir, 1+rnd.IntN(8), time.Duration(rnd.IntN(30_000))*time.Microsecond)
		checkAfterKill(t, dir, kills%3 == 0)
	}
}

// killChild runs a child until it has begun a number of chunks, and some time.
func killChild(t *testing.T, dir string, chunks int, more time.Duration) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	lines := bufio.NewScanner(out)
	for range chunks {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), "apply") {
			t.Errorf("child said %q", lines.Text())
			break
		}
	}
	time.Sleep(more)
	must(t, child.Process.Kill())
	_ = child.Wait()
}

// checkAfterKill opens what is left, finishes the chunk that was begun, and
// compares with the fold of the log.
func checkAfterKill(t *testing.T, dir string, keep bool) {
	t.Helper()
	if !keep {
		// Look at a copy, so that the next child meets the crash itself.
		copied := t.TempDir()
		copyIndex(t, dir, copied)
		dir = copied
	}
	ctx := context.Background()
	x := open(t, dir)
	defer closeIndex(t, x)
	want := state{}
	var next schema.Seq
	last := x.Applied().Chunk + 1
	for n := uint64(1); n <= last; n++ {
		c := crashChunk(n, &next)
		fold(want, c)
		must(t, x.Apply(ctx, c))
	}
	rows := want[schema.FirstUserInstance]
	st, err := x.Stats(ctx, schema.FirstUserInstance)
	must(t, err)
	if st.Rows != int64(len(rows)) || st.NextSeq != next {
		t.Errorf("at chunk %d: %d rows and next seq %d, want %d and %d", last, st.Rows, st.NextSeq, len(rows), next)
	}
	n := 0
	must(t, x.RangeRows(ctx, schema.FirstUserInstance, kvindex.KeyRange{}, func(key []byte, row kvindex.Row) (bool, error) {
		n++
		if w := rows[string(key)]; w.row != string(row.Bytes) || w.seq != row.Seq {
			t.Errorf("row %q: got %q at %d, want %q at %d", key, row.Bytes, row.Seq, w.row, w.seq)
		}
		return true, nil
	}))
	if n != len(rows) {
		t.Errorf("range gave %d rows, want %d", n, len(rows))
	}
}

// fill applies a few chunks and gives the index back closed or as a crash left it.
func fill(t *testing.T, chunks int, crashed bool) (dir string) {
	t.Helper()
	dir = t.TempDir()
	x := open(t, dir)
	var next schema.Seq
	for n := range chunks {
		must(t, x.Apply(context.Background(), crashChunk(uint64(n)+1, &next)))
	}
	if !crashed {
		closeIndex(t, x)
		return dir
	}
	copied := t.TempDir()
	copyIndex(t, dir, copied)
	closeIndex(t, x)
	return copied
}

func TestPowerLoss(t *testing.T) {
	dir := fill(t, 6, false)
	x := open(t, dir)
	next := schema.Seq(0)
	for n := range 10 {
		c := crashChunk(uint64(n)+1, &next)
		must(t, x.Apply(context.Background(), c))
	}
	torn := t.TempDir()
	copyIndex(t, dir, torn)
	mems, _ := filepath.Glob(filepath.Join(torn, "00", "*.mem"))
	if len(mems) == 0 {
		t.Fatal("no memtable to tear")
	}
	for _, mem := range mems {
		must(t, os.WriteFile(mem, []byte("torn"), 0o640))
	}
	must(t, os.WriteFile(filepath.Join(torn, "00", "000009.vlog"), nil, 0o640))
	o := testOptions(torn)
	o.BootID = "another"
	y, err := kvindex.Open(o)
	must(t, err)
	defer closeIndex(t, y)
	if y.Applied() != at(6) {
		t.Fatalf("applied %s, want what was flushed", y.Applied())
	}
	next = 0
	for n := range 10 {
		must(t, y.Apply(context.Background(), crashChunk(uint64(n)+1, &next)))
	}
	a, err := x.Stats(context.Background(), schema.FirstUserInstance)
	must(t, err)
	b, err := y.Stats(context.Background(), schema.FirstUserInstance)
	must(t, err)
	if a != b {
		t.Fatalf("replayed to %+v, want %+v", b, a)
	}
}

func TestDamage(t *testing.T) {
	tables := func(dir string) []string {
		names, _ := filepath.Glob(filepath.Join(dir, "00", "*.sst"))
		if len(names) == 0 {
			t.Fatal("no tables")
		}
		return names
	}
	overwrite := func(path string, change func([]byte) []byte) {
		data, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(path, change(data), 0o640))
	}
	for name, damage := range map[string]func(dir string){
		"format": func(dir string) {
			overwrite(filepath.Join(dir, "FORMAT"), func([]byte) []byte { return []byte("9\n") })
		},
		"no format":    func(dir string) { must(t, os.Remove(filepath.Join(dir, "FORMAT"))) },
		"died opening": func(dir string) { must(t, os.WriteFile(filepath.Join(dir, "OPENING"), []byte("3"), 0o640)) },
		"manifest": func(dir string) {
			overwrite(filepath.Join(dir, "00", "MANIFEST"), func(b []byte) []byte { return b[:5] })
		},
		"table missing": func(dir string) { must(t, os.Remove(tables(dir)[0])) },
		"table zeros":   func(dir string) { overwrite(tables(dir)[0], func(b []byte) []byte { clear(b); return b }) },
		"table cut":     func(dir string) { overwrite(tables(dir)[0], func(b []byte) []byte { return b[:len(b)/2] }) },
		"table index":   func(dir string) { overwrite(tables(dir)[0], func(b []byte) []byte { b[len(b)-60] ^= 1; return b }) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := fill(t, 4, false)
			damage(dir)
			x, err := kvindex.Open(testOptions(dir))
			if !errors.Is(err, schema.ErrCorrupt) {
				if err == nil {
					closeIndex(t, x)
				}
				t.Fatalf("got %v, want corrupt", err)
			}
		})
	}
	t.Run("block", func(t *testing.T) {
		dir := fill(t, 4, false)
		overwrite(tables(dir)[0], func(b []byte) []byte { b[100] ^= 1; return b })
		x := open(t, dir)
		if err := x.VerifyChecksums(context.Background()); !errors.Is(err, schema.ErrCorrupt) {
			t.Fatalf("got %v, want corrupt", err)
		}
	})
}

func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	if _, err := kvindex.Open(testOptions(dir)); !errors.Is(err, schema.ErrUnavailable) || errors.Is(err, schema.ErrCorrupt) {
		t.Fatalf("second open: %v", err)
	}
}
