package ingest

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/trinedb/trine/schema"
)

// arrowRecords reads the record batches of an Arrow IPC stream. Columns are
// matched by name; the number of a row, over all batches, stands for its line.
type arrowRecords struct {
	b       *builder
	op      schema.Op
	present []bool
	check   *schema.Schema // what rows are checked against
	before  int            // rows of the batches before
}

func readArrow(in *body, b *builder, op schema.Op) error {
	messages := newArrowMessages(in, b.limits.o)
	reader, err := openArrow(messages)
	if err != nil {
		return arrowFailed(in, b.findings, 0, err)
	}
	defer reader.Release()
	a := &arrowRecords{b: b, op: op}
	rows, err := a.bind(reader.Schema())
	if err != nil {
		return err
	}
	for reader.Next() {
		batch := reader.RecordBatch()
		if err := rows.Each(batch, a.add); err != nil {
			var e *schema.FieldError
			if errors.As(err, &e) {
				return b.findings.fatal(a.before+e.Line, e.Value, e.Rule)
			}
			return err
		}
		a.before += int(batch.NumRows())
	}
	if err := reader.Err(); err != nil {
		return arrowFailed(in, b.findings, a.before+1, err)
	}
	return messages.end()
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
func (a *arrowRecords) bind(in *arrow.Schema) (rows *schema.ArrowRows, err error) {
	s, f := a.b.schema, a.b.findings
	defer func() {
		if p := recover(); p != nil {
			err = f.fatal(0, "", fmt.Sprintf("the stream's schema is not valid: %v", p))
		}
	}()
	rows, err = schema.NewArrowRows(s, in)
	var e *schema.FieldError
	switch {
	case errors.As(err, &e):
		f.skip = false
		f.tell(e)
		return nil, errStop
	case err != nil:
		return nil, err
	}
	a.present = make([]bool, len(s.Fields))
	for _, field := range in.Fields() {
		a.present[s.Index(field.Name)] = true
	}
	a.check = s
	if !partial(a.op) {
		return rows, nil
	}
	a.check = relaxed(s, a.present)
	if e := missingKey(s, a.present, 0); e != nil {
		f.skip = false
		f.tell(e)
		return nil, errStop
	}
	return rows, nil
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
