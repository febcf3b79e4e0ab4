package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/trinedb/trine/client"
)

func (b *scanBench) ref() client.Ref {
	return client.Ref{Tenant: b.coll.Tenant, Collection: b.coll.Name}
}

// httpScan reads a scan to its end, as Arrow.
func (b *scanBench) httpScan(ctx context.Context, api *client.Client, o client.ScanOptions) (rows int64, err error) {
	s, err := api.Scan(ctx, b.ref(), o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for {
		batch, err := s.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows += batch.NumRows()
	}
}

// textScan reads a scan to its end, as lines of JSON.
func (b *scanBench) textScan(ctx context.Context, api *client.Client, o client.ScanOptions) (int64, error) {
	var lines lineCount
	err := api.ScanText(ctx, b.ref(), o, client.NDJSON, &lines)
	return int64(lines), err
}

type lineCount int64

func (n *lineCount) Write(p []byte) (int, error) {
	*n += lineCount(bytes.Count(p, []byte{'\n'}))
	return len(p), nil
}

// firstBatch measures how long a client waits for the first rows of all, beside an
// exchange that says nothing.
func (b *scanBench) firstBatch(ctx context.Context, r *Report, api *client.Client, budget time.Duration) error {
	ours := func(ctx context.Context) (turn, error) {
		start := time.Now()
		s, err := api.Scan(ctx, b.ref(), client.ScanOptions{})
		if err != nil {
			return turn{}, err
		}
		_, err = s.Next()
		took := time.Since(start)
		return turn{1, took}, errors.Join(err, s.Close())
	}
	floor := func(ctx context.Context) (int64, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.rig.url+"/healthz", nil)
		if err != nil {
			return 0, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return 1, errors.Join(err, resp.Body.Close())
	}
	defer http.DefaultClient.CloseIdleConnections()
	pairs, err := alternate(ctx, b.o.Options, "first batch", budget, ours, b.turn(1, 1, floor))
	if err != nil || len(pairs.ours) == 0 {
		return err
	}
	r.Seconds += pairs.took().Seconds()
	r.Figures = append(r.Figures, pairs.time("first batch", "ms", "GET /healthz", time.Millisecond))
	return nil
}

// time is the figure of how long a turn of each side takes: the medians.
func (r rounds) time(name, unit, floorName string, scale time.Duration) Figure {
	f := Figure{Name: name, Unit: unit, FloorName: floorName, Rounds: len(r.ours)}
	var ours, floor, ratios []float64
	for i := range r.ours {
		a, b := float64(r.ours[i].took)/float64(scale), float64(r.floor[i].took)/float64(scale)
		ours, floor, ratios = append(ours, a), append(floor, b), append(ratios, quotient(a, b))
	}
	_, f.Ours, _ = quartiles(ours)
	_, f.Floor, _ = quartiles(floor)
	f.Low, f.Ratio, f.High = quartiles(ratios)
	return f
}

// Of scans that are read slowly.
const (
	slowScans     = 50
	slowPiece     = 64 << 10 // read of each at a time
	slowTime      = 3 * time.Second
	slowMostBytes = 8 << 20 // that each may hold
)

// slowScans measures what the process holds while many scans are read slowly.
func (b *scanBench) slowScans(ctx context.Context, r *Report, budget time.Duration) error {
	if _, _, err := residentBytes(os.Getpid()); err != nil && ctx.Err() == nil {
		r.note("memory of slow scans was not measured: " + err.Error())
		return nil
	}
	idle := rest().anonymous
	peak, err := b.readSlowly(ctx, min(slowTime, budget))
	if err != nil || peak == 0 {
		return err
	}
	per := float64(max(peak-idle, 1)) / slowScans / (1 << 20)
	r.Figures = append(r.Figures, Figure{
		Name: fmt.Sprintf("memory of %d slow scans", slowScans), Unit: "MiB each", Ours: per,
		Floor: slowMostBytes >> 20, FloorName: "what each may hold", Ratio: per / (slowMostBytes >> 20),
	})
	return nil
}
