package node

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

func (n *Node) newWriter() (*ingest.Writer, error) {
	return ingest.New(ingest.Options{Registry: n.Registry, Log: batches{n}, Index: n.index, Registerer: n.opts.Registerer})
}

// spaceForWrites refuses a write while the disk is so full that the index
// could not take it: Badger must never meet a full disk.
func (n *Node) spaceForWrites() error {
	if n.index.SpaceLow() {
		return fmt.Errorf("disk of %s is nearly full; free some space, reads go on: %w", n.opts.Data, schema.ErrNoSpace)
	}
	return n.Engine.Err()
}

// batches is the log as ingest sees it.
type batches struct{ n *Node }

func (b batches) Append(ctx context.Context, in ingest.Batch) (ingest.Ack, error) {
	if err := b.n.spaceForWrites(); err != nil {
		return ingest.Ack{}, err
	}
	a := log.Append{Groups: toLog(in.Groups), Dedup: in.Dedup, Digest: in.Digest}
	if in.IfSeq != nil {
		a.IfSeq = &log.IfSeq{Instance: in.IfSeq.Instance, Seq: in.IfSeq.Seq}
	}
	if in.Decide != nil {
		a.Decide = func(groups []log.AppendGroup) ([]log.AppendGroup, error) {
			decided, err := in.Decide(fromLog(groups))
			return toLog(decided), err
		}
	}
	ack, err := b.n.channel.Append(ctx, a)
	if err != nil {
		return ingest.Ack{}, err
	}
	out := ingest.Ack{Position: ack.Position, Replayed: ack.Replayed}
	for _, g := range ack.Groups {
		out.Groups = append(out.Groups, ingest.AckGroup(g))
	}
	return out, nil
}

func toLog(groups []ingest.Group) []log.AppendGroup {
	out := make([]log.AppendGroup, len(groups))
	for i, g := range groups {
		out[i] = log.AppendGroup(g)
	}
	return out
}

func fromLog(groups []log.AppendGroup) []ingest.Group {
	out := make([]ingest.Group, len(groups))
	for i, g := range groups {
		out[i] = ingest.Group(g)
	}
	return out
}

// writes is ingest as the HTTP surface sees it.
type writes struct{ n *Node }

func (w writes) Write(ctx context.Context, r arrowhttp.WriteRequest) (arrowhttp.WriteResult, error) {
	res, err := w.n.Writer.Write(ctx, writeRequest(r))
	if err != nil {
		return arrowhttp.WriteResult{}, err
	}
	return writeResult(res), nil
}

func (w writes) WriteEach(ctx context.Context, r arrowhttp.WriteRequest) (arrowhttp.WriteEachResult, error) {
	res, err := w.n.Writer.WriteEach(ctx, writeRequest(r))
	return arrowhttp.WriteEachResult{WriteResult: writeResult(res.Result), LastSeq: res.LastSeq, Batches: res.Batches}, err
}

func writeRequest(r arrowhttp.WriteRequest) ingest.Request {
	return ingest.Request{
		Tenant: r.Tenant, Collection: r.Collection, Op: ingest.Op(r.Op),
		Format: r.ContentType, Encoding: r.Encoding, Body: r.Body, Size: r.Size,
		IdempotencyKey: r.IdempotencyKey, IfSeq: r.IfSeq, IfRow: (*ingest.IfRow)(r.IfRow), SkipBad: r.SkipBad,
		Fence: r.Fence, Producer: r.Producer, ProducerSeq: r.ProducerSeq, Match: r.Match,
	}
}

func writeResult(r ingest.Result) arrowhttp.WriteResult {
	return arrowhttp.WriteResult{FirstSeq: r.FirstSeq, Count: r.Count, Position: r.Position, Replayed: r.Replayed, Skipped: r.Skipped}
}

func (w writes) Fence(ctx context.Context, r arrowhttp.FenceRequest) (schema.Position, error) {
	return w.n.Writer.Fence(ctx, ingest.FenceRequest(r))
}

func (w writes) WriteMany(ctx context.Context, r arrowhttp.WriteManyRequest) (arrowhttp.WriteManyResult, error) {
	res, err := w.n.Writer.WriteMany(ctx, ingest.ManyRequest{
		Tenant: r.Tenant, Format: r.ContentType, Encoding: r.Encoding, Body: r.Body, Size: r.Size, IdempotencyKey: r.IdempotencyKey, SkipBad: r.SkipBad,
	})
	if err != nil {
		return arrowhttp.WriteManyResult{}, err
	}
	out := arrowhttp.WriteManyResult{Position: res.Position, Replayed: res.Replayed, Skipped: res.Skipped}
	for _, c := range res.Collections {
		out.Collections = append(out.Collections, arrowhttp.CollectionWrite{Collection: c.Collection, FirstSeq: c.FirstSeq, Count: c.Count})
	}
	return out, nil
}
