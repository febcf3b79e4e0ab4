package s3test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// versitygwModule is the independent judge, pinned.
const versitygwModule = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

// Versitygw is a running versitygw on a folder of its own.
type Versitygw struct {
	URL    string
	Bucket string // exists
	AccessKey,
	SecretKey string
}

// buildVersitygw gives the program. It is built, not `go run`: that would leave
// the server running when it is killed.
func buildVersitygw(t testing.TB) string {
	t.Helper()
	bin := t.TempDir()
	build := exec.Command("go", "install", versitygwModule)
	build.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=-buildvcs=false", "GOWORK=off")
	build.Dir = bin // outside of any module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", versitygwModule, err, out)
	}
	return filepath.Join(bin, "versitygw")
}

// StartVersitygw builds versitygw through the module proxy and starts it on the
// loopback interface until the test ends. It fails the test if that does not
// work: whoever asks for the judge wants its verdict.
//
// It keeps ETags in extended attributes, which the folder of t.TempDir must have.
// With --sidecar it keeps them in files of their own, and a GET during an
// overwrite gives the bytes of one version with the ETag and the checksum of
// another: in 2 of 8 runs of the suite's swap races, for longer than five tries.
func StartVersitygw(t testing.TB) *Versitygw {
	t.Helper()
	program, root := buildVersitygw(t), t.TempDir()
	v := &Versitygw{Bucket: "bucket", AccessKey: "judge", SecretKey: "of-the-fake"}
	if err := os.Mkdir(filepath.Join(root, v.Bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	v.URL = "http://" + address
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "--quiet", "--port", address, "--health", "/health", "posix", root)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+v.AccessKey, "ROOT_SECRET_KEY="+v.SecretKey)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	stop := sync.OnceFunc(func() { cancel(); <-exited })
	t.Cleanup(stop)
	if err := await(v.URL+"/health", exited); err != nil {
		stop()
		t.Fatalf("versitygw: %v\n%s", err, output.Bytes())
	}
	return v
}

// await asks for a page until it is there, for half a minute.
func await(url string, exited chan error) error {
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		resp, err := client.Get(url)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("status %s", resp.Status)
		}
		select {
		case werr := <-exited:
			exited <- werr
			return fmt.Errorf("ended at once: %v", werr)
		case <-deadline:
			return fmt.Errorf("not ready: %w", err)
		case <-tick.C:
		}
	}
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
