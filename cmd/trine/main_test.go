package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain puts a `trine` that is this test binary on the PATH, so that tests
// run real processes.
func TestMain(m *testing.M) {
	// The race detector has each process that ends sleep for a second, and these
	// are hundreds.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"trine": main})
}

// process is a trine that runs beside the test.
type process struct {
	cmd  *exec.Cmd
	url  string
	done chan error
}

// serveProcess serves dir until the test ends.
func serveProcess(t testing.TB, dir string, args ...string) *process {
	t.Helper()
	p, err := startProcess(dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// startProcess starts `trine serve` on dir and waits until it serves.
func startProcess(dir string, args ...string) (*process, error) {
	cmd := command(append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan error, 1)}
	url := make(chan string, 1)
	var said strings.Builder
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			said.WriteString(lines.Text() + "\n")
			if _, rest, ok := strings.Cut(lines.Text(), "url="); ok {
				at, _, _ := strings.Cut(rest, " ")
				url <- at
			}
		}
		p.done <- cmd.Wait()
	}()
	select {
	case p.url = <-url:
		return p, nil
	case err := <-p.done:
		return nil, fmt.Errorf("trine serve ended before it served: %w: %s", err, said.String())
	case <-time.After(time.Minute):
		p.kill()
		return nil, errors.New("trine serve does not serve after a minute")
	}
}

// kill ends the process as a crash would, and waits for it.
func (p *process) kill() {
	if p.cmd.ProcessState == nil && p.cmd.Process.Signal(syscall.SIGKILL) == nil {
		<-p.done
		p.done <- nil
	}
}

// stop ends the process as an operator would, and tells how it ended.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := <-p.done
	p.done <- err
	return err
}

// trine runs one command of the command line in this process, for one of its own
// takes longer to start than most commands take.
func trine(t testing.TB, args ...string) (stdout string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	if errs.Len() > 0 {
		t.Logf("trine %s: %s", strings.Join(args, " "), errs.String())
	}
	return out.String(), code
}

// mustRun runs a command in this process that must succeed, and gives what it prints.
func mustRun(t *testing.T, input string, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := run(t.Context(), args, strings.NewReader(input), &out, &out); code != exitOK {
		t.Fatalf("trine %s: exit code %d\n%s", strings.Join(args, " "), code, out.String())
	}
	return out.String()
}

// spawn runs a command in a process of its own.
func spawn(t testing.TB, args ...string) (stdout string, code int) {
	t.Helper()
	cmd := command(args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if errs.Len() > 0 {
		t.Logf("trine %s: %s", strings.Join(args, " "), errs.String())
	}
	return string(out), cmd.ProcessState.ExitCode()
}
