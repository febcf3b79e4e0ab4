package node

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// verifyPage is how many collections are listed at a time.
const verifyPage = 1000

// Verify compares the stores of the collection called only, or of each, one
// after the other, if that is "".
func (n *Node) Verify(ctx context.Context, only string) iter.Seq2[*sync.Report, error] {
	return func(yield func(*sync.Report, error) bool) {
		for c, err := range n.collectionsToVerify(ctx, only) {
			if err != nil {
				yield(nil, err)
				return
			}
			report, err := n.Engine.Verify(ctx, c)
			if errors.Is(err, schema.ErrNotFound) {
				continue // dropped meanwhile
			}
			if !yield(report, err) || err != nil {
				return
			}
		}
	}
}

func (n *Node) collectionsToVerify(ctx context.Context, only string) iter.Seq2[*schema.Collection, error] {
	if only == "" {
		return n.everyCollection(ctx)
	}
	return func(yield func(*schema.Collection, error) bool) {
		tenant, name, _ := strings.Cut(only, "/")
		yield(n.Registry.Get(ctx, tenant, name))
	}
}

// everyCollection yields every collection of every tenant, by name.
func (n *Node) everyCollection(ctx context.Context) iter.Seq2[*schema.Collection, error] {
	return func(yield func(*schema.Collection, error) bool) {
		for tenant := ""; ; {
			next, err := n.Registry.Tenants(ctx, tenant, 1)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(next) == 0 {
				return
			}
			tenant = next[0]
			if !n.everyCollectionOf(ctx, tenant, yield) {
				return
			}
		}
	}
}

func (n *Node) everyCollectionOf(ctx context.Context, tenant string, yield func(*schema.Collection, error) bool) bool {
	for after := ""; ; {
		page, err := n.Registry.List(ctx, tenant, "", after, verifyPage)
		if err != nil {
			yield(nil, err)
			return false
		}
		for _, c := range page {
			after = c.Name
			if !yield(c, nil) {
				return false
			}
		}
		if len(page) < verifyPage {
			return true
		}
	}
}

// verifies is the node as the HTTP surface's verify sees it.
type verifies struct{ n *Node }

func (v verifies) Verify(ctx context.Context, only string) iter.Seq2[arrowhttp.VerifyReport, error] {
	return func(yield func(arrowhttp.VerifyReport, error) bool) {
		for r, err := range v.n.Verify(ctx, only) {
			if err != nil {
				yield(arrowhttp.VerifyReport{}, err)
				return
			}
			out := arrowhttp.VerifyReport{
				Collection: r.Collection.String(), OK: r.OK(), Changes: r.Changes, Rows: r.Rows,
				LakeRows: r.LakeRows, LakeSeq: r.LakeSeq, More: r.More,
			}
			for _, d := range r.Differences {
				out.Differences = append(out.Differences, arrowhttp.VerifyDifference(d))
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}
