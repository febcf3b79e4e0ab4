package bench

import (
	"context"
	"fmt"
	"iter"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/count"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// commits is what some small commits to one table asked of the store, after the
// first, which makes the table.
type commits struct {
	number int
	used   count.Usage
}

// mean is what one of them would be billed as.
func (c commits) mean() charge {
	all, n := chargeOf(c.used), float64(c.number)
	return charge{
		puts: quotient(all.puts, n), gets: quotient(all.gets, n), lists: quotient(all.lists, n),
		sent: quotient(all.sent, n), received: quotient(all.received, n),
	}
}

const (
	commitsMeasured = 10
	commitRows      = 100
)

// measureCommits makes a table in a lake of its own and commits to it.
func measureCommits(ctx context.Context, o Options, p *place) (c commits, err error) {
	ctx = context.WithoutCancel(ctx) // it takes no time
	dir, err := blob.OpenDir(p.path("lake"), blob.DirOptions{})
	if err != nil {
		return c, err
	}
	defer dir.Close()
	store := count.Around("lake", dir)
	lake, err := lakehouse.Open(lakehouse.Options{Objects: store, BaseURI: "file://" + p.path("lake")})
	if err != nil {
		return c, err
	}
	coll, err := looseCollection("commits")
	if err != nil {
		return c, err
	}
	var base *lakehouse.Snapshot
	for i := range commitsMeasured + 1 {
		if i == 1 {
			c.used = store.Usage()
		}
		rows := flightRows(o.Seed, i*commitRows, commitRows)
		base, _, err = lake.Commit(ctx, lakehouse.Commit{
			Collection: coll, Base: base, NextSeq: schema.Seq((i + 1) * commitRows), Rows: lakeRows(rows), Since: flightTime,
		})
		if err != nil {
			return c, fmt.Errorf("commit %d: %w", i, err)
		}
	}
	c.number, c.used = commitsMeasured, store.Usage().Minus(c.used)
	return c, nil
}

// looseCollection is a collection of flights that no registry knows.
func looseCollection(name string) (*schema.Collection, error) {
	def, err := definition.ParseOne([]byte(flightFields))
	if err != nil {
		return nil, err
	}
	def.Tenant, def.Collection = tenant, name
	plan, err := definition.Evolve(nil, def)
	if err != nil {
		return nil, err
	}
	return &schema.Collection{
		Tenant: tenant, Name: name, Instance: schema.FirstUserInstance, Schema: plan.Schema,
		Options: plan.Options, Created: flightTime,
	}, nil
}

// lakeRows are rows as a commit takes them.
func lakeRows(rows []flight) iter.Seq2[lakehouse.Row, error] {
	return func(yield func(lakehouse.Row, error) bool) {
		for i := range rows {
			row := lakehouse.Row{Values: rows[i].values(), Seq: schema.Seq(rows[i].Seq), TimeMicros: flightTime.UnixMicro()}
			if !yield(row, nil) {
				return
			}
		}
	}
}
