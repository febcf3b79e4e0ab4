package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// served is `trine serve` in a process of its own, so that what it costs is
// looked at from outside, and a kill is one.
type served struct {
	cmd   *exec.Cmd
	url   string
	ready time.Duration // from its start until it answered that it is ready
	http  *http.Client
	done  chan struct{} // closed when it has ended
	ended error         // how, once done is closed
}

// serveTimeout is how long a server may take to start.
const serveTimeout = 10 * time.Minute

// startServed starts a server on a data directory, with additions to its environment,
// and waits until it is ready.
func startServed(ctx context.Context, program, dir string, env ...string) (*served, error) {
	s := &served{
		cmd:  exec.Command(program, "serve", "--data", dir, "--listen", "127.0.0.1:0"),
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: fleetWriters}, Timeout: time.Minute},
		done: make(chan struct{}),
	}
	s.cmd.Env = append(os.Environ(), env...)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	start := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	url := make(chan string, 1)
	var said bytes.Buffer
	go func() {
		defer close(s.done)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if said.Len() < 4096 {
				fmt.Fprintln(&said, lines.Text())
			}
			if _, rest, ok := strings.Cut(lines.Text(), "url="); ok && s.ready == 0 {
				at, _, _ := strings.Cut(rest, " ")
				select {
				case url <- at:
				default:
				}
			}
		}
		s.ended = s.cmd.Wait()
	}()
	select {
	case s.url = <-url:
	case <-s.done:
		return nil, fmt.Errorf("serve: it ended before it was ready: %w: %s", errors.Join(s.ended, errNothing), said.String())
	case <-time.After(serveTimeout):
		err = errors.New("serve: it takes too long to start")
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil {
		_, err = s.get(ctx, "/readyz")
	}
	if err != nil {
		s.kill()
		return nil, err
	}
	s.ready = time.Since(start)
	return s, nil
}

// kill ends it as a crash would, and waits for it. A second call does nothing.
func (s *served) kill() {
	_ = s.cmd.Process.Kill() // it may have ended by itself
	<-s.done
	s.http.CloseIdleConnections()
}

// stop ends it as an operator would.
func (s *served) stop() error {
	s.http.CloseIdleConnections()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end the server: %w", err)
	}
	<-s.done
	return s.ended
}

func (s *served) get(ctx context.Context, path string) ([]byte, error) {
	return s.do(ctx, http.MethodGet, path, "")
}

func (s *served) post(ctx context.Context, path, body string) error {
	_, err := s.do(ctx, http.MethodPost, path, body)
	return err
}

func (s *served) do(ctx context.Context, method, path, body string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := s.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s: %.500s", method, path, answer.Status, data)
	}
	return data, nil
}

// The server is at rest when it takes hardly any processor time for a while.
const (
	restLook = time.Second
	restCPU  = 20 * time.Millisecond
	restFor  = 3 // looks in a row
)

// settle waits until the server is at rest, and tells how long that took.
func (s *served) settle(ctx context.Context, most time.Duration) (time.Duration, error) {
	start, quiet := time.Now(), 0
	for time.Since(start) < most {
		before, err := s.cpu()
		if err != nil {
			return 0, err
		}
		if err := wait(ctx, restLook); err != nil {
			return 0, err
		}
		after, err := s.cpu()
		if err != nil {
			return 0, err
		}
		if quiet++; after-before > restCPU {
			quiet = 0
		}
		if quiet == restFor {
			return time.Since(start) - restFor*restLook, nil
		}
	}
	return time.Since(start), nil
}

// rest looks at a server that nothing is asked of.
func (s *served) rest(ctx context.Context, long time.Duration, p *FleetPoint) error {
	before, err := s.cpu()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := wait(ctx, long); err != nil {
		return err
	}
	after, err := s.cpu()
	if err != nil {
		return err
	}
	p.IdleCPU = micros(after-before) / 1e3 / time.Since(start).Seconds()
	if p.Resident, p.Anonymous, err = residentBytes(s.cmd.Process.Pid); err != nil {
		return err
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		return fmt.Errorf("count open files: %w", err)
	}
	p.OpenFiles = int64(len(files))
	p.Load = machineLoad()
	return s.tells(ctx, p)
}

// tells reads what the server says of itself.
func (s *served) tells(ctx context.Context, p *FleetPoint) error {
	metrics, err := s.get(ctx, "/metrics")
	if err != nil {
		return err
	}
	for name, into := range map[string]*int64{"go_goroutines ": &p.Goroutines, "go_memstats_heap_inuse_bytes ": &p.Heap} {
		_, rest, ok := strings.Cut(string(metrics), "\n"+name)
		value, _, _ := strings.Cut(rest, "\n")
		v, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil {
			return fmt.Errorf("the server's metrics have no %s", name)
		}
		*into = int64(v)
	}
	return nil
}

// cpu is the processor time that the server took so far.
func (s *served) cpu() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	// Fields 14 and 15, in ticks; the second, in parentheses, may hold anything.
	_, rest, _ := strings.Cut(string(data[bytes.LastIndexByte(data, ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("read processor time: %q", data)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read processor time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// ticksPerSecond is what Linux counts processor time in, on every platform that
// Go has.
const ticksPerSecond = 100

// machineLoad is the load of the last minute; 0 if not known.
func machineLoad() float64 {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(data), " ")
	load, _ := strconv.ParseFloat(first, 64)
	return load
}

func wait(ctx context.Context, long time.Duration) error {
	select {
	case <-time.After(long):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func latencyOf(times []time.Duration) Latency {
	slices.Sort(times)
	at := func(q float64) float64 { return micros(times[int(q*float64(len(times)-1))]) / 1e3 }
	return Latency{P50: at(0.5), P99: at(0.99)}
}
