package lakehouse

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/trinedb/trine/schema"
)

// maxLanes bounds how many columns of a batch are decoded at a time; batches of fewer
// rows than minLaneRows are not worth it.
const (
	maxLanes    = 4
	minLaneRows = 512
)

// columnReaders read some columns side by side.
type columnReaders struct {
	columns []columnReader
	place   []int // by field: which of the columns, or -1
}

// openColumns reads the fields' columns of some row groups. Leaves are those of them
// all.
func (r *fileReader) openColumns(ctx context.Context, run *rowRun, leaves []int) (*columnReaders, error) {
	f, err := pqarrow.NewFileReader(r.parquet, pqarrow.ArrowReadProperties{}, r.opts.Allocator)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", schema.ErrCorrupt, err)
	}
	wanted := map[int]bool{}
	for _, leaf := range leaves {
		wanted[leaf] = true
	}
	c := &columnReaders{place: make([]int, len(r.columns))}
	var read []int // columns of the file
	for i, column := range r.columns {
		if c.place[i] = slices.Index(read, column); c.place[i] >= 0 || column < 0 {
			continue
		}
		reader, err := newColumnReader(ctx, f, column, wanted, run.groups, r.opts.Allocator)
		if err != nil {
			c.release()
			return nil, err
		}
		c.place[i] = len(read)
		read, c.columns = append(read, column), append(c.columns, reader)
	}
	return c, nil
}

// next reads the next n rows, which the caller releases. That fewer are left is
// corruption.
func (c *columnReaders) next(n int) ([]arrow.ArrayData, error) {
	data := make([]arrow.ArrayData, len(c.columns))
	err := c.each(n >= minLaneRows, func(i int) (err error) {
		if data[i], err = c.columns[i].next(n); err == nil && data[i].Len() != n {
			err = fmt.Errorf("a column has %d of %d rows: %w", data[i].Len(), n, schema.ErrCorrupt)
		}
		return err
	})
	if err != nil {
		releaseAll(data)
		return nil, err
	}
	return data, nil
}

// seek makes row the one that next begins with.
func (c *columnReaders) seek(row int64) error {
	return c.each(true, func(i int) error { return c.columns[i].seek(row) })
}

// each calls fn with each column, perhaps some at a time, and has joined them when it
// returns.
func (c *columnReaders) each(together bool, fn func(i int) error) error {
	var taken atomic.Int64
	lane := func() (err error) {
		defer damage(&err)
		for {
			i := int(taken.Add(1)) - 1
			if i >= len(c.columns) {
				return nil
			}
			if err := fn(i); err != nil {
				return err
			}
		}
	}
	lanes := min(maxLanes, runtime.GOMAXPROCS(0), len(c.columns))
	if lanes <= 1 || !together {
		return lane()
	}
	var all errgroup.Group
	for range lanes {
		all.Go(lane)
	}
	return all.Wait()
}

func (c *columnReaders) release() {
	for _, column := range c.columns {
		column.release()
	}
}
