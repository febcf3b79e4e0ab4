package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/rowjson"
)

// jsonRecords decodes record objects into a builder.
type jsonRecords struct {
	b       *builder
	decoder *rowjson.Decoder
	row     []schema.Value
	present []bool
}

func newJSONRecords(b *builder) *jsonRecords {
	j := &jsonRecords{b: b, decoder: rowjson.NewDecoder(b.schema)}
	if b.schema.Keyed() {
		j.decoder.Beside(ifSeqMember)
	}
	return j
}

// add decodes one record. data is not kept.
func (j *jsonRecords) add(line int, op schema.Op, data []byte) error {
	var (
		ok      bool
		present []bool // nil: all
	)
	if partial(op) {
		j.row, j.present, ok = j.decoder.DecodePatch(data, j.row[:0], j.present[:0], &j.b.findings.errs, line)
		present = j.present
	} else {
		j.row, ok = j.decoder.Decode(data, j.row[:0], &j.b.findings.errs, line)
	}
	if !ok {
		return j.b.findings.refused()
	}
	cond, wrong := parseCondition(j.decoder.BesideValue())
	if wrong != nil {
		wrong.Line = line
		j.b.findings.tell(wrong)
		return j.b.findings.refused()
	}
	before := len(j.b.records)
	if err := j.b.add(line, op, j.row, present); err != nil {
		return err
	}
	if len(j.b.records) > before { // else it was refused
		j.b.require(cond)
	}
	return nil
}

// eachLine calls fn for each line of NDJSON that is not blank.
func eachLine(r io.Reader, f *findings, maxBytes int, fn func(line int, data []byte) error) error {
	lines := newLineReader(r, maxBytes)
	for {
		data, tooLong, err := lines.next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case tooLong:
			f.tooLarge(lines.line, fmt.Sprintf("the record is longer than %d bytes", maxBytes))
			if !f.skip {
				return errStop // the rest of the line is not worth reading
			}
			if err := lines.rest(); err != nil {
				return err
			}
			if err := f.refused(); err != nil {
				return err
			}
			continue
		}
		if len(bytes.TrimSpace(data)) == 0 {
			continue
		}
		if err := fn(lines.line, data); err != nil {
			return err
		}
	}
}

// readJSON reads one record object, or an array of them, of which the number
// stands for the line.
func readJSON(r io.Reader, b *builder, op schema.Op, maxBytes int) error {
	bounded := &boundedReader{r: r, most: int64(maxBytes)}
	buffered := bufio.NewReaderSize(bounded, 64<<10)
	if head, _ := buffered.Peek(len(byteOrderMark)); bytes.Equal(head, byteOrderMark) {
		_, _ = buffered.Discard(len(byteOrderMark))
	}
	// What is wrong within a record is told by its own decoder.
	dec := jsontext.NewDecoder(buffered, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	records := newJSONRecords(b)
	failed := func(n int, err error) error {
		switch {
		case bounded.over:
			b.findings.tooLarge(n, fmt.Sprintf("the record is longer than %d bytes", maxBytes))
			b.findings.skip, b.findings.kind = false, schema.ErrTooLarge
			return errStop
		case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
			return b.findings.fatal(n, "", "the body is cut off: its JSON ends in the middle")
		case isSyntax(err):
			return b.findings.fatal(n, "", "the body is not JSON: "+err.Error())
		default:
			return err
		}
	}
	if dec.PeekKind() != '[' {
		data, err := dec.ReadValue()
		if err != nil {
			return failed(1, err)
		}
		if err := records.add(1, op, data); err != nil {
			return err
		}
		return endOfJSON(dec, failed)
	}
	if _, err := dec.ReadToken(); err != nil {
		return failed(1, err)
	}
	for n := 1; ; n++ {
		if dec.PeekKind() == ']' {
			if _, err := dec.ReadToken(); err != nil {
				return failed(n, err)
			}
			return endOfJSON(dec, failed)
		}
		data, err := dec.ReadValue()
		if err != nil {
			return failed(n, err)
		}
		bounded.mark = dec.InputOffset()
		if err := records.add(n, op, data); err != nil {
			return err
		}
	}
}

func endOfJSON(dec *jsontext.Decoder, failed func(int, error) error) error {
	switch _, err := dec.ReadToken(); {
	case err == nil:
		return failed(0, errTrailing)
	case err == io.EOF:
		return nil
	default:
		return failed(0, err)
	}
}

var errTrailing = errors.New("there is more after its end; for one record a line send application/x-ndjson")

func isSyntax(err error) bool {
	var syntax *jsontext.SyntacticError
	return errors.As(err, &syntax) || errors.Is(err, errTrailing)
}

// boundedReader bounds what is read from one record's end to the next one's,
// for decoders that hold a record whole. They read ahead by no more than as
// much again as they hold.
type boundedReader struct {
	r    io.Reader
	most int64
	read int64
	mark int64 // where the last record ended; who decodes sets it
	over bool
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.read-b.mark > b.most+readAhead {
		b.over = true
		return 0, schema.ErrTooLarge
	}
	n, err := b.r.Read(p[:min(len(p), readAhead)])
	b.read += int64(n)
	return n, err
}

const readAhead = 128 << 10
