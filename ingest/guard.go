package ingest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/trinedb/trine/schema"
)

// Bounds of a guard.
const (
	MaxTokenBytes    = 64 // of a fencing token
	MaxProducerBytes = 64 // of a producer's id
	// MaxProducers is how many producers of a collection are remembered: the
	// ones that wrote last.
	MaxProducers = 32
)

// FenceRequest sets a collection's fencing token.
type FenceRequest struct {
	Tenant     string
	Collection string
	Token      string  // "": none
	IfToken    *string // if any, must be the token until now; "" is none
}

// FenceError refuses a write for its fencing token. It is a
// schema.ErrPrecondition.
type FenceError struct{ Sent, Actual string }

// Error tells both tokens.
func (e *FenceError) Error() string {
	if e.Actual == "" {
		return fmt.Sprintf("the fencing token is %q, the collection has none", e.Sent)
	}
	return fmt.Sprintf("the fencing token is %q, that of the collection %q", e.Sent, e.Actual)
}

// FenceToken is the collection's token.
func (e *FenceError) FenceToken() string { return e.Actual }

// Is makes a FenceError an ErrPrecondition.
func (e *FenceError) Is(target error) bool { return target == schema.ErrPrecondition }

// Fence sets a collection's fencing token, in order with the writes to it, and
// returns when that is durable: a write that comes after it and sends another
// token is refused.
func (w *Writer) Fence(ctx context.Context, r FenceRequest) (schema.Position, error) {
	if err := checkGuardText("token", r.Token, MaxTokenBytes); err != nil {
		return schema.Position{}, err
	}
	c, err := w.o.Registry.Get(ctx, r.Tenant, r.Collection)
	if err != nil {
		return schema.Position{}, err
	}
	batch := Batch{Groups: []Group{{Instance: schema.InstanceGuards}}}
	batch.Decide = func([]Group) ([]Group, error) {
		g, err := w.guardOf(c.Instance)
		if err != nil {
			return nil, err
		}
		if r.IfToken != nil && *r.IfToken != g.token {
			return nil, &FenceError{Sent: *r.IfToken, Actual: g.token}
		}
		g.token = r.Token
		return []Group{g.record(c.Instance)}, nil
	}
	ack, err := w.o.Log.Append(ctx, batch)
	if err != nil {
		return schema.Position{}, fmt.Errorf("fence %s: %w", c, err)
	}
	return ack.Position, nil
}

// guarded decides what depends on a collection's guard, then on its rows.
type guarded struct {
	w        *Writer
	instance schema.Instance
	fence    string // "": not compared
	producer string // "": none
	seq      uint64
	decide   func([]Group) ([]Group, error) // or nil
	replayed bool                           // by the last run
}

// guard puts a Request's conditions before what the batch decides itself. It
// gives nil if there are none.
func (w *Writer) guard(r *Request, c *schema.Collection, batch *Batch) (*guarded, error) {
	if r.Fence == "" && r.Producer == "" {
		return nil, nil
	}
	if err := checkGuardText("Trine-Fence", r.Fence, MaxTokenBytes); err != nil {
		return nil, err
	}
	if err := checkGuardText("Trine-Producer", r.Producer, MaxProducerBytes); err != nil {
		return nil, err
	}
	if r.Producer != "" && r.IfSeq != nil {
		return nil, &schema.FieldError{Field: "Trine-If-Seq", Rule: "cannot be sent with Trine-Producer: a batch that is sent again would be refused for its seq"}
	}
	g := &guarded{w: w, instance: c.Instance, fence: r.Fence, producer: r.Producer, seq: r.ProducerSeq, decide: batch.Decide}
	if r.Producer != "" {
		// Named now so that the log knows the collection before it sequences.
		batch.Groups = append(batch.Groups, Group{Instance: schema.InstanceGuards})
	}
	batch.Decide = g.run
	return g, nil
}

// run may be called more than once, each time from the start.
func (g *guarded) run(groups []Group) ([]Group, error) {
	g.replayed = false
	guard, err := g.w.guardOf(g.instance)
	if err != nil {
		return nil, err
	}
	if g.fence != "" && g.fence != guard.token {
		return nil, &FenceError{Sent: g.fence, Actual: guard.token}
	}
	if g.producer != "" {
		if last, known := guard.last(g.producer); known && g.seq <= last {
			g.replayed = true
			return nil, nil
		}
		groups = groups[:len(groups)-1]
	}
	if g.decide != nil {
		if groups, err = g.decide(groups); err != nil {
			return nil, err
		}
	}
	if g.producer == "" {
		return groups, nil
	}
	guard.wrote(g.producer, g.seq)
	return append(slices.Clip(groups), guard.record(g.instance)), nil
}

func checkGuardText(field, text string, most int) error {
	if len(text) > most {
		return &schema.FieldError{Field: field, Value: cut(text), Rule: fmt.Sprintf("has %d bytes, at most %d are kept", len(text), most)}
	}
	return nil
}

// guard is what a collection's writers are held to; docs/format/guard.md has its
// bytes.
type guard struct {
	token     string
	producers []producer // the one that wrote last first
}

type producer struct {
	id   string
	last uint64
}

// guardOf reads a collection's guard as of the batch being sequenced.
func (w *Writer) guardOf(inst schema.Instance) (guard, error) {
	row, _, ok, err := w.o.Index.GetSequenced(schema.InstanceGuards, schema.GuardKey(inst))
	if err != nil || !ok {
		return guard{}, err
	}
	return decodeGuard(row)
}

func (g *guard) last(id string) (uint64, bool) {
	i := slices.IndexFunc(g.producers, func(p producer) bool { return p.id == id })
	if i < 0 {
		return 0, false
	}
	return g.producers[i].last, true
}

// wrote notes a producer's write, and forgets the one that has not written for
// longest if there are too many.
func (g *guard) wrote(id string, seq uint64) {
	rest := slices.DeleteFunc(g.producers, func(p producer) bool { return p.id == id })
	g.producers = append([]producer{{id, seq}}, rest[:min(len(rest), MaxProducers-1)]...)
}

// record is the change that makes g the collection's guard.
func (g *guard) record(inst schema.Instance) Group {
	return Group{Instance: schema.InstanceGuards, Records: []schema.Record{
		{Op: schema.OpUpsert, Key: schema.GuardKey(inst), Row: g.append(nil)},
	}}
}

const guardFormat = 1

func (g *guard) append(dst []byte) []byte {
	dst = appendText(append(dst, guardFormat), g.token)
	for _, p := range g.producers {
		dst = binary.AppendUvarint(appendText(dst, p.id), p.last)
	}
	return dst
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func decodeGuard(row []byte) (g guard, err error) {
	bad := fmt.Errorf("guard %.100x: %w", row, schema.ErrCorrupt)
	if len(row) == 0 || row[0] != guardFormat {
		return guard{}, bad
	}
	in := bytes.NewReader(row[1:])
	text := func(most uint64) string {
		n, rerr := binary.ReadUvarint(in)
		if rerr != nil || n > most || n > uint64(in.Len()) {
			err = bad
			return ""
		}
		b := make([]byte, n)
		_, _ = in.Read(b) // has n bytes
		return string(b)
	}
	for g.token = text(MaxTokenBytes); err == nil && in.Len() > 0; {
		p := producer{id: text(MaxProducerBytes)}
		last, rerr := binary.ReadUvarint(in)
		if p.last = last; rerr != nil || p.id == "" || len(g.producers) == MaxProducers {
			err = bad
		}
		g.producers = append(g.producers, p)
	}
	if err != nil {
		return guard{}, err
	}
	return g, nil
}
