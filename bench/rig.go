package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/client"
	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// rig is a node as `trine serve` runs it, and the HTTP surface on it if it
// serves. Its background flush is off: workloads flush when they mean to.
type rig struct {
	dir     string
	node    *node.Node
	backend arrowhttp.Backend
	http    *arrowhttp.Server
	served  chan error
	url     string
}

// tenant is whose collections a workload makes.
const tenant = "bench"

// closeTimeout is how long a rig may take to end.
const closeTimeout = time.Minute

// openRig opens a node on a folder.
func openRig(ctx context.Context, dir string) (*rig, error) {
	n, err := node.Open(ctx, node.Options{Data: dir, FlushBytes: 1 << 50, MinFreeBytes: -1})
	if err != nil {
		return nil, err
	}
	return &rig{dir: dir, node: n, backend: n.Backend()}, nil
}

// serve answers HTTP on loopback.
func (r *rig) serve() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	r.http, err = arrowhttp.New(arrowhttp.Options{
		Backend: r.backend, Iceberg: r.node.Iceberg(), Ready: r.node.Ready, SpoolDir: r.node.SpoolDir(),
	})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	r.served, r.url = make(chan error, 1), "http://"+ln.Addr().String()
	go func() { r.served <- r.http.Serve(ln) }()
	return nil
}

// close ends serving first, then the node. A second call does nothing.
func (r *rig) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var errs []error
	if r.http != nil {
		errs = append(errs, r.http.Shutdown(ctx), <-r.served)
		r.http = nil
	}
	return errors.Join(append(errs, r.node.Close(ctx))...)
}

func (r *rig) client() (*client.Client, error) {
	return client.New(client.Options{Server: r.url})
}

// create makes a collection by a definition without names.
func (r *rig) create(ctx context.Context, name string, fields string) (*schema.Collection, error) {
	def, err := definition.ParseOne([]byte(fields))
	if err != nil {
		return nil, fmt.Errorf("define %s: %w", name, err)
	}
	def.Tenant, def.Collection = tenant, name
	return r.apply(ctx, def)
}

func (r *rig) apply(ctx context.Context, def definition.Definition) (*schema.Collection, error) {
	applied, err := r.backend.Collections.Apply(ctx, []definition.Definition{def}, false)
	if err != nil {
		return nil, err
	}
	return applied[0].Collection, nil
}

// fillBatch is how many rows are written at a time, as `trine import` does.
const fillBatch = 65_536

// fill writes flights from on, and waits until the index has them.
func (r *rig) fill(ctx context.Context, o Options, c *schema.Collection, from, count int) error {
	for done := 0; done < count; {
		o.Progress("write rows", int64(done), int64(count))
		n := min(count-done, fillBatch)
		body, err := arrowStream(c.Schema, flightRows(o.Seed, from+done, n))
		if err != nil {
			return err
		}
		res, err := r.node.Writer.Write(ctx, ingest.Request{
			Tenant: c.Tenant, Collection: c.Name, Format: "application/vnd.apache.arrow.stream",
			Body: bytes.NewReader(body), Size: int64(len(body)),
		})
		if err != nil {
			return fmt.Errorf("write rows: %w", err)
		}
		if res.Count != n {
			return fmt.Errorf("write rows: %d of %d were written", res.Count, n)
		}
		done += n
	}
	// Describe waits for the index.
	s, err := r.node.Engine.Describe(ctx, c)
	if err == nil && s.Rows != int64(from+count) {
		err = fmt.Errorf("write rows: the index holds %d, want %d", s.Rows, from+count)
	}
	return err
}
