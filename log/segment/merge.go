package segment

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// mergeAhead is how much a merge reads at once of each input.
const mergeAhead = 2 << 20

// Job says what a merge makes of what.
type Job struct {
	Inputs []Span // in order and without a hole
	Output Ref    // holds just the chunks of the inputs, on a level above theirs
	// From, when set, is the first change of a collection that is still kept: what
	// a chunk has of it is left out if all of that, and the change after it, lie
	// before. So the last change before From stays, and with it the next Seq of a
	// collection that keeps nothing. It is asked once for each input and collection,
	// and must not fall.
	From func(schema.Instance) schema.Seq
}

// Validate reports whether the job can be done.
func (j *Job) Validate() error {
	out := j.Output
	ok := len(j.Inputs) > 0 && out.valid() && j.Inputs[0].From == out.From && j.Inputs[len(j.Inputs)-1].To == out.To
	for i, s := range j.Inputs {
		ok = ok && s.Ref.valid() && s.Ref.Channel == out.Channel && s.Ref.Generation == out.Generation && s.Ref.Level < out.Level &&
			s.Ref.From <= s.From && s.From <= s.To && s.To <= s.Ref.To && (i == 0 || s.From == j.Inputs[i-1].To+1)
	}
	if !ok {
		return fmt.Errorf("merge to %v: inputs do not fit: %v: %w", out, j.Inputs, schema.ErrInvalid)
	}
	return nil
}

// Merge makes one segment of several and returns when it is durable; it deletes
// nothing. On an error the output may or may not exist, and Merge may be called
// again. It holds the index and the filter of each input and of the output in
// memory, and 2 MiB of blocks of each input.
//
// A block of nothing but one collection is taken over as it is, so that large
// collections are compressed once.
func Merge(ctx context.Context, store Target, dec *Decoder, job Job) (_ Info, err error) {
	if err := job.Validate(); err != nil {
		return Info{}, err
	}
	inputs := make([]*input, len(job.Inputs))
	var info Info
	for i, s := range job.Inputs {
		r, err := Open(ctx, store, dec, s.Ref)
		if err != nil {
			return Info{}, err
		}
		inputs[i] = &input{span: s, from: job.From, scan: scan{r: r, hi: len(r.tail.index), ahead: mergeAhead, reuse: true}}
		inputs[i].describe(&info, i == 0)
	}
	w, err := newWriter(ctx, store, job.Output)
	if err != nil {
		return Info{}, err
	}
	defer func() {
		if aerr := w.abort(); err == nil {
			err = aerr
		}
	}()
	w.info, w.lossy = info, job.From != nil
	for _, in := range inputs {
		if err := in.advance(ctx); err != nil {
			return Info{}, err
		}
	}
	for {
		in := lowest(inputs)
		if in == nil {
			break
		}
		// All that this input has of the collection comes before what later
		// inputs have of it.
		for id := in.run().instance; !in.done && in.run().instance == id; {
			if err := in.take(ctx, w); err != nil {
				return Info{}, err
			}
		}
	}
	for _, in := range inputs {
		w.info.LeftOut += in.leftOut
	}
	return w.finish(ctx, store)
}

// lowest is the input with the lowest collection, the earliest of several.
func lowest(inputs []*input) *input {
	var low *input
	for _, in := range inputs {
		if !in.done && (low == nil || in.run().instance < low.run().instance) {
			low = in
		}
	}
	return low
}

// input is a segment that is being merged; it stands on a run that is in its
// span, or is done.
type input struct {
	scan
	span    Span
	from    func(schema.Instance) schema.Seq // of Job
	kept    schema.Seq                       // from's answer for the collection at hand
	asked   schema.Instance                  // of which from was asked; 0: none yet
	leftOut uint64                           // bytes of records
	fresh   bool                             // the run is the first of its block
	done    bool
}

func (in *input) run() *run { return &in.block.run }

// describe adds what the footer says to that of the output.
func (in *input) describe(to *Info, first bool) {
	from := &in.r.tail.info
	if first {
		to.FirstMicros = from.FirstMicros
	}
	to.LastMicros = from.LastMicros
	to.Epoch = max(to.Epoch, from.Epoch)
	to.Images = to.Images || from.Images
	for _, n := range from.Empty {
		if in.span.has(n) {
			to.Empty = append(to.Empty, n)
		}
	}
}

// take gives the writer the run at hand, or its whole block, and moves on.
func (in *input) take(ctx context.Context, w *writer) error {
	if in.fresh {
		copied, err := in.copy(w)
		if err != nil {
			return err
		}
		if copied {
			in.block = nil
			return in.advance(ctx)
		}
	}
	if err := w.add(*in.run()); err != nil {
		return err
	}
	return in.advance(ctx)
}

// copy gives the writer the block at hand as it is stored, if it holds one
// collection, all of it in the span, and is not so short that many of its kind
// would make the index long.
func (in *input) copy(w *writer) (bool, error) {
	e := in.block.entry
	if e.first != e.last || e.raw < BlockBytes/2 {
		return false, nil
	}
	look := *in.block // behind the first run
	last, changes := look.run, uint64(look.run.count)
	for {
		ok, err := look.next(in.r.ref)
		if err != nil {
			return false, err
		}
		if !ok {
			break
		}
		last = look.run
		changes += uint64(last.count)
		if !in.span.has(last.number) {
			return false, nil
		}
	}
	return true, w.copy(e, in.stored, *in.run(), last, changes)
}

// advance moves to the next run in the span.
func (in *input) advance(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("merge segment %v: %w", in.span.Ref, err)
	}
	for {
		ok, err := in.scan.next(ctx)
		if err != nil {
			return err
		}
		if !ok {
			in.done = true
			return nil
		}
		if in.span.has(in.run().number) && !in.forgotten() {
			in.fresh = in.run().first == in.block.entry.seq && in.run().instance == in.block.entry.first
			return nil
		}
	}
}

// forgotten reports whether the run at hand is left out.
func (in *input) forgotten() bool {
	if in.from == nil {
		return false
	}
	r := in.run()
	if r.instance != in.asked {
		in.asked, in.kept = r.instance, in.from(r.instance)
	}
	if r.next() >= in.kept {
		return false
	}
	in.leftOut += uint64(len(r.records))
	return true
}
