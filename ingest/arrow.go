package ingest

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/trinedb/trine/schema"
)

// arrowRecords reads the record batches of an Arrow IPC stream. The number of a
// row, over all batches, stands for its line.
type arrowRecords struct {
	in       *body
	b        *builder // takes the rows
	op       schema.Op
	messages *arrowMessages
	reader   *ipc.Reader
	rows     *schema.ArrowRows
	present  []bool         // fields that the stream has
	check    *schema.Schema // what rows are checked against
	before   int            // rows of the batches before
}

func readArrow(in *body, b *builder, op schema.Op, match schema.ArrowMatch) error {
	a, err := newArrowRecords(in, b, op, match)
	if err != nil {
		return err
	}
	defer a.close()
	for more := true; more && err == nil; {
		more, err = a.next()
	}
	return err
}

// newArrowRecords reads a stream's schema.
func newArrowRecords(in *body, b *builder, op schema.Op, match schema.ArrowMatch) (*arrowRecords, error) {
	messages := newArrowMessages(in, b.limits.o)
	reader, err := openArrow(messages)
	if err != nil {
		return nil, arrowFailed(in, b.findings, 0, err)
	}
	a := &arrowRecords{in: in, b: b, op: op, messages: messages, reader: reader}
	if err := a.bind(reader.Schema(), match); err != nil {
		reader.Release()
		return nil, err
	}
	return a, nil
}

func (a *arrowRecords) close() { a.reader.Release() }

// next adds the rows of the next batch; more is false at the stream's end.
func (a *arrowRecords) next() (more bool, err error) {
	if !a.reader.Next() {
		if err := a.reader.Err(); err != nil {
			return false, arrowFailed(a.in, a.b.findings, a.before+1, err)
		}
		return false, a.messages.end()
	}
	batch := a.reader.RecordBatch()
	if err := a.rows.Each(batch, a.add); err != nil {
		var e *schema.FieldError
		if errors.As(err, &e) {
			return false, a.b.findings.fatal(a.before+e.Line, e.Value, e.Rule)
		}
		return false, err
	}
	a.before += int(batch.NumRows())
	return true, nil
}

// openArrow reads a stream's schema. Arrow panics on some that are forged.
func openArrow(messages *arrowMessages) (r *ipc.Reader, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return ipc.NewReaderFromMessageReader(messages)
}

// arrowFailed tells an error of the stream from one of the body or a limit.
func arrowFailed(in *body, f *findings, line int, err error) error {
	switch {
	case in.err != nil:
		return in.err
	case errors.Is(err, schema.ErrTooLarge):
		return err
	default:
		return f.fatal(line, "", "the body is not a valid Arrow stream: "+err.Error())
	}
}

// bind matches the stream's columns to fields.
func (a *arrowRecords) bind(in *arrow.Schema, match schema.ArrowMatch) (err error) {
	s, f := a.b.schema, a.b.findings
	defer func() {
		if p := recover(); p != nil {
			err = f.fatal(0, "", fmt.Sprintf("the stream's schema is not valid: %v", p))
		}
	}()
	a.rows, err = match.Rows(s, in)
	var e *schema.FieldError
	switch {
	case errors.As(err, &e):
		f.skip = false
		f.tell(e)
		return errStop
	case err != nil:
		return err
	}
	a.present, a.check = a.rows.Fields(), s
	if !partial(a.op) {
		return nil
	}
	a.check = relaxed(s, a.present)
	if e := missingKey(s, a.present, 0); e != nil {
		f.skip = false
		f.tell(e)
		return errStop
	}
	return nil
}

// add takes one row of a batch.
func (a *arrowRecords) add(i int, row []schema.Value, bad *schema.FieldError) error {
	line := a.before + i + 1
	if bad == nil {
		bad = a.check.CheckRow(row)
	}
	if bad != nil {
		bad.Line = line
		a.b.findings.tell(bad)
		return a.b.findings.refused()
	}
	return a.b.add(line, a.op, row, a.present)
}
