package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
)

// recordWriter prints records that come as JSON objects.
type recordWriter interface {
	write(rec json.RawMessage) error
	close() error
}

func newRecordWriter(w io.Writer, format string) recordWriter {
	switch format {
	case "csv":
		return &csvRecords{out: csv.NewWriter(w)}
	case "table":
		return &tableRecords{w: w}
	default:
		return &lineRecords{out: bufio.NewWriter(w)}
	}
}

type lineRecords struct{ out *bufio.Writer }

func (l *lineRecords) write(rec json.RawMessage) error { return printLine(l.out, rec) }
func (l *lineRecords) close() error                    { return l.out.Flush() }

type csvRecords struct {
	out   *csv.Writer
	begun bool
}

func (c *csvRecords) write(rec json.RawMessage) error {
	names, values, err := flatten(rec)
	if err != nil {
		return err
	}
	if !c.begun {
		c.begun = true
		if err := c.out.Write(names); err != nil {
			return err
		}
	}
	return c.out.Write(values)
}

func (c *csvRecords) close() error {
	c.out.Flush()
	return c.out.Error()
}

// tablePage is how many rows a table is laid out for at a time, so that a long
// one is neither held in memory nor kept from the reader.
const tablePage = 1000

type tableRecords struct {
	w    io.Writer
	page table.Writer
	rows int
}

func (t *tableRecords) write(rec json.RawMessage) error {
	names, values, err := flatten(rec)
	if err != nil {
		return err
	}
	if t.page == nil {
		t.page = newTable(t.w, anys(names)...)
	}
	t.page.AppendRow(anys(values))
	if t.rows++; t.rows%tablePage == 0 {
		return t.close()
	}
	return nil
}

func (t *tableRecords) close() error {
	if t.page != nil {
		t.page.Render()
		t.page = nil
	}
	return nil
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// flatten is an object's names and values in order, the values as text: null
// is empty, what is nested stays JSON.
func flatten(rec json.RawMessage) (names, values []string, err error) {
	dec := json.NewDecoder(bytes.NewReader(rec))
	if _, err := dec.Token(); err != nil {
		return nil, nil, fmt.Errorf("record is not an object: %w", err)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("read record: %w", err)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, nil, fmt.Errorf("read record: %w", err)
		}
		names = append(names, fmt.Sprint(name))
		values = append(values, cellText(raw))
	}
	return names, values, nil
}

func cellText(raw json.RawMessage) string {
	var s string
	switch {
	case string(raw) == "null":
		return ""
	case json.Unmarshal(raw, &s) == nil:
		return s
	default:
		return string(raw)
	}
}
