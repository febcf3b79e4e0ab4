package blob_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/blob/crashfs"
	"github.com/trinedb/trine/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openDir(t testing.TB, root string) *blob.Dir {
	d, err := blob.OpenDir(root, blob.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestMem(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blobtest.Store { return blob.NewMem() })
}

func TestDir(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blobtest.Store { return openDir(t, filepath.Join(t.TempDir(), "new/root")) })
}

func TestDirOnCrashFS(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blobtest.Store { return onFS(t, crashfs.New()) })
}

func TestFaultyPassesThrough(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blobtest.Store {
		return &blobtest.Faulty{Store: blob.NewMem(), Hook: func(blobtest.Call, string) (error, error) { return nil, nil }}
	})
}

func onFS(t *testing.T, f blob.FS) *blob.Dir {
	d, err := blob.OpenDir("", blob.DirOptions{FS: f})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOpenCleansUpAfterTheDead(t *testing.T) {
	root := t.TempDir()
	alive := openDir(t, root)
	w, err := alive.Create(t.Context(), "slow")
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(root, ".tmp", "1-dead")
	for _, name := range []string{"lock", "1", "2"} {
		if err := errors.Join(os.MkdirAll(dead, 0o755), os.WriteFile(filepath.Join(dead, name), []byte("x"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	openDir(t, root)
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a dead process left is still there: %v", err)
	}
	if _, err := w.Write([]byte("slow")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Errorf("a process that lives lost its file: %v", err)
	}
}

// TestFailedStep fails each step of each kind of write, before and after its
// effect, and checks what the error promises.
func TestFailedStep(t *testing.T) {
	for _, failure := range []error{syscall.ENOSPC, syscall.EIO} {
		for _, late := range []bool{false, true} {
			for step := 1; ; step++ {
				f := crashfs.New()
				d, n := onFS(t, f), 0
				f.SetHook(func(crashfs.Op, string) (before, after error) {
					if n++; n != step {
						return nil, nil
					}
					if late {
						return nil, failure
					}
					return failure, nil
				})
				err := d.PutIfAbsent(t.Context(), "a/b/c", []byte("data"))
				f.SetHook(nil)
				if err == nil {
					if n >= step {
						t.Fatalf("step %d failed with %v, the put did not", step, failure)
					}
					break
				}
				_, getErr := d.Get(t.Context(), "a/b/c")
				// A step that did its work and failed all the same is seen with
				// the last one only: no file system does that to a link.
				if blob.NoEffect(err) && getErr == nil && !late {
					t.Errorf("step %d: %v, but the object is there", step, err)
				}
				if failure == syscall.ENOSPC && blob.NoEffect(err) && !errors.Is(err, schema.ErrNoSpace) {
					t.Errorf("step %d: %v, want ErrNoSpace", step, err)
				}
				if !blob.NoEffect(err) && getErr != nil {
					t.Errorf("step %d: %v claims an unknown outcome, but nothing is there", step, err)
				}
			}
		}
	}
}

// TestExistsIsDurable fails the sync of a folder after an object got its name:
// who tries again is told that it exists, and may rely on it.
func TestExistsIsDurable(t *testing.T) {
	for seed := range uint64(20) {
		f := crashfs.New()
		d := onFS(t, f)
		if err := d.PutIfAbsent(t.Context(), "a/first", nil); err != nil {
			t.Fatal(err)
		}
		f.SetHook(func(op crashfs.Op, _ string) (before, after error) {
			if op == crashfs.OpSyncDir {
				return syscall.EIO, nil
			}
			return nil, nil
		})
		for range 2 { // the second finds the name taken, and no proof that it lasts
			if err := d.PutIfAbsent(t.Context(), "a/b", []byte("data")); err == nil || blob.NoEffect(err) {
				t.Fatalf("put with a folder that cannot be synced: %v", err)
			}
		}
		f.SetHook(nil)
		if err := d.PutIfAbsent(t.Context(), "a/b", []byte("data")); !errors.Is(err, blob.ErrExists) {
			t.Fatalf("put again: %v", err)
		}
		after := onFS(t, f.Crash(rand.New(rand.NewPCG(seed, 1))))
		if _, err := after.Get(t.Context(), "a/b"); err != nil {
			t.Fatalf("seed %d: after the power failure: %v", seed, err)
		}
	}
}

// TestCrash cuts the power at each step of a series of writes: what was
// acknowledged is there afterwards, and nothing is there in part.
func TestCrash(t *testing.T) {
	for seed := range uint64(20) {
		for step := 1; ; step++ {
			r := rand.New(rand.NewPCG(seed, uint64(step)))
			f := crashfs.New()
			n := 0
			f.SetHook(func(crashfs.Op, string) (before, after error) {
				if n++; n == step {
					f.PowerOffLocked()
				}
				return nil, nil
			})
			acked := writeSome(t, onFS(t, f))
			if n < step {
				break
			}
			d := onFS(t, f.Crash(r))
			for i := range 6 {
				name := objectName(i)
				data, err := d.Get(t.Context(), name)
				switch {
				case err == nil && string(data) != objectData(i) && name != "head":
					t.Fatalf("seed %d step %d: %s holds %q", seed, step, name, data)
				case errors.Is(err, blob.ErrNotFound) && acked[i], err != nil && !errors.Is(err, blob.ErrNotFound):
					t.Fatalf("seed %d step %d: %s: %v, acknowledged %v", seed, step, name, err, acked[i])
				}
			}
			checkHead(t, d, acked)
		}
	}
}

func objectName(i int) string {
	if i%3 == 2 {
		return "head"
	}
	return fmt.Sprintf("d%d/%d", i/2, i)
}

func objectData(i int) string { return fmt.Sprintf("content of %d, long enough to be torn", i) }

func writeSome(t *testing.T, d *blob.Dir) (acked [6]bool) {
	ctx := t.Context()
	v := blob.Absent
	for i := range acked {
		var err error
		switch i % 3 {
		case 0:
			err = d.PutIfAbsent(ctx, objectName(i), []byte(objectData(i)))
		case 1:
			err = stream(ctx, d, objectName(i), objectData(i))
		case 2:
			v, err = d.Swap(ctx, "head", v, []byte(objectData(i)))
		}
		acked[i] = err == nil
	}
	return acked
}

func stream(ctx context.Context, d *blob.Dir, name, data string) error {
	w, err := d.Create(ctx, name)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write([]byte(data)); err != nil {
		return err
	}
	return w.Commit()
}

// checkHead demands the last acknowledged head or a later one.
func checkHead(t *testing.T, d *blob.Dir, acked [6]bool) {
	t.Helper()
	data, err := d.Get(t.Context(), "head")
	got := string(data)
	ok := got == objectData(5) || got == objectData(2) && !acked[5] || errors.Is(err, blob.ErrNotFound) && !acked[2] && !acked[5]
	if !ok {
		t.Fatalf("head holds %q, %v; acknowledged %v", got, err, acked)
	}
}

func BenchmarkDirPut(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			d := openDir(b, b.TempDir())
			data := make([]byte, size)
			b.SetBytes(int64(size))
			for i := 0; b.Loop(); i++ {
				if err := d.PutIfAbsent(b.Context(), fmt.Sprintf("ch/0/0/%020d", i), data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
