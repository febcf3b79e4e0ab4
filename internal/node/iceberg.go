package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/lakehouse/rest"
	"github.com/trinedb/trine/schema"
)

// Iceberg is the REST catalog that engines attach to, without its prefix.
func (n *Node) Iceberg() http.Handler {
	return rest.NewHandler(tables{n}, rest.Options{Logger: n.opts.Logger, TableConfig: n.stores.engine, Vendor: n.stores.vendor, Drops: n.opts.EngineDrops})
}

// tables is the node as the catalog sees it: a tenant is a namespace, a
// collection a table.
type tables struct{ n *Node }

func (t tables) Namespaces(ctx context.Context, after string, limit int) ([]string, error) {
	return t.n.Registry.Tenants(ctx, after, limit)
}

func (t tables) Tables(ctx context.Context, namespace, after string, limit int) ([]string, error) {
	if ok, err := t.Exists(ctx, namespace, ""); err != nil || !ok {
		return nil, errors.Join(err, notFoundUnless(ok, namespace))
	}
	var names []string
	for len(names) < limit {
		page, err := t.n.Registry.List(ctx, namespace, "", after, limit)
		if err != nil {
			return nil, err
		}
		for _, c := range page {
			after = c.Name
			if c.Options.Lake != schema.LakeOff && len(names) < limit {
				names = append(names, c.Name)
			}
		}
		if len(page) < limit {
			break
		}
	}
	return names, nil
}

func notFoundUnless(ok bool, namespace string) error {
	if ok {
		return nil
	}
	return fmt.Errorf("tenant %s: %w", namespace, schema.ErrNotFound)
}

func (t tables) Exists(ctx context.Context, namespace, table string) (bool, error) {
	if table == "" {
		page, err := t.n.Registry.List(ctx, namespace, "", "", 1)
		if errors.Is(err, schema.ErrInvalid) {
			return false, nil // no tenant can have such a name
		}
		return len(page) > 0, err
	}
	c, err := t.collection(ctx, namespace, table)
	if errors.Is(err, schema.ErrNotFound) {
		return false, nil
	}
	return c != nil, err
}

// Load flushes the table first, so that an engine reads what was acknowledged
// before it asked; when that takes too long, it gets the last snapshot.
func (t tables) Load(ctx context.Context, namespace, table string) (string, []byte, error) {
	c, err := t.collection(ctx, namespace, table)
	if err != nil {
		return "", nil, err
	}
	t.n.Engine.Used(ctx, c)
	flushing, cancel := context.WithTimeout(ctx, t.n.opts.FlushDeadline)
	defer cancel()
	snap, err := t.n.Engine.Flush(flushing, c)
	if err != nil && ctx.Err() == nil {
		t.n.opts.Logger.Warn("table is loaded without its newest changes", "collection", c.String(), "error", err)
		stale, readErr := t.n.lake.Current(ctx, c)
		if readErr != nil {
			return "", nil, err
		}
		snap, err = stale, nil
	}
	if err != nil {
		return "", nil, err
	}
	return snap.MetadataLocation(), snap.Metadata(), nil
}

// Location tells where the table lies.
func (t tables) Location(ctx context.Context, namespace, table string) (string, error) {
	c, err := t.collection(ctx, namespace, table)
	if err != nil {
		return "", err
	}
	return t.n.lake.Location(c), nil
}

// Commit makes what an engine asks of a table its next version.
func (t tables) Commit(ctx context.Context, namespace, table string, ask lakehouse.EngineCommit) (string, []byte, error) {
	c, err := t.collection(ctx, namespace, table)
	if err != nil {
		return "", nil, err
	}
	if err := t.n.spaceForWrites(); err != nil {
		return "", nil, err
	}
	t.n.Engine.Used(ctx, c)
	snap, err := t.n.Engine.CommitByEngine(ctx, c, ask)
	if err != nil {
		return "", nil, err
	}
	return snap.MetadataLocation(), snap.Metadata(), nil
}

// collection finds the collection of a table; one without a lake is no table.
func (t tables) collection(ctx context.Context, namespace, table string) (*schema.Collection, error) {
	c, err := t.n.Registry.Get(ctx, namespace, table)
	if errors.Is(err, schema.ErrInvalid) {
		return nil, fmt.Errorf("table %s.%s: %w", namespace, table, schema.ErrNotFound)
	}
	if err == nil && c.Options.Lake == schema.LakeOff {
		return nil, fmt.Errorf("table %s.%s: the collection's option lake is off: %w", namespace, table, schema.ErrNotFound)
	}
	return c, err
}
