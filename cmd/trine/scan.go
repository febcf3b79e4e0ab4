package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/parquet"
	parquetcompress "github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/spf13/cobra"

	"github.com/trinedb/trine/client"
)

func newScan(a *app) *cobra.Command {
	var o client.ScanOptions
	var atSeq uint64
	var format, output string
	cmd := &cobra.Command{
		Use:   "scan TENANT/COLLECTION",
		Short: "Read a whole collection as of now",
		Example: `  trine scan acme/airports --where "state = 'WA'" --columns iata,name
  trine scan acme/flights --format parquet -o flights.parquet
  trine scan acme/flights --format arrow | python -c 'import pyarrow as pa, sys; print(pa.ipc.open_stream(sys.stdin.buffer).read_all())'`,
		Args: nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("at-seq") {
				o.AtSeq = &atSeq
			}
			if format == "" && output != "" {
				var err error
				if format, err = formatOf("", output, "", "csv", "ndjson", "arrow", "parquet"); err != nil {
					return err
				}
			}
			name, err := outputFormat(cmd, a, format, "table", "ndjson", "csv", "arrow", "parquet")
			if err != nil {
				return err
			}
			return a.scan(cmd, args[0], o, name, output)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Columns, "columns", nil, "columns, comma-separated, also _seq and _time; default all fields")
	f.StringVar(&o.Where, "where", "", "SQL predicate")
	f.Int64Var(&o.Limit, "limit", 0, "most rows; 0: all")
	f.Uint64Var(&atSeq, "at-seq", 0, "as of the change with this seq")
	f.StringVar(&o.Tag, "snapshot", "", "as of this snapshot of the Iceberg table: its id or a tag")
	f.StringVarP(&output, "output", "o", "", "file to write; default standard output")
	formatFlag(cmd, &format, "table, ndjson, csv, arrow or parquet")
	cmd.MarkFlagsMutuallyExclusive("at-seq", "snapshot")
	return cmd
}

func (a *app) scan(cmd *cobra.Command, name string, o client.ScanOptions, format, output string) error {
	c, ref, err := a.connect(name)
	if err != nil {
		return err
	}
	if output == "" {
		return scanTo(cmd, c, ref, o, format, cmd.OutOrStdout())
	}
	return writeWhole(output, func(w io.Writer) error { return scanTo(cmd, c, ref, o, format, w) })
}

// writeWhole gives a file its name once fill has written all of it: a cut scan
// leaves no file that could be taken for a whole one, and an older file stays.
func writeWhole(name string, fill func(io.Writer) error) error {
	partial := name + ".partial"
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		partial = name // a pipe or a device is not replaced
	}
	file, err := os.Create(partial)
	if err != nil {
		return fmt.Errorf("open output: %w", err)
	}
	if err = errors.Join(fill(file), file.Close()); partial == name {
		return err
	}
	if err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	return os.Rename(partial, name)
}

func scanTo(cmd *cobra.Command, c *client.Client, ref client.Ref, o client.ScanOptions, format string, w io.Writer) error {
	switch format {
	case "ndjson":
		return c.ScanText(cmd.Context(), ref, o, client.NDJSON, w)
	case "csv":
		return c.ScanText(cmd.Context(), ref, o, client.CSV, w)
	case "table":
		return scanTable(cmd, c, ref, o, w)
	}
	s, err := c.Scan(cmd.Context(), ref, o)
	if err != nil {
		return err
	}
	defer s.Close()
	if format == "parquet" {
		return scanParquet(s, w)
	}
	out := ipc.NewWriter(w, ipc.WithSchema(s.Schema()))
	if err := eachBatch(s, out.Write); err != nil {
		return errors.Join(err, cutArrow(w, err))
	}
	return out.Close()
}

// cutArrow ends a stream of Arrow that failed with a frame that is shorter than
// it says, as a server does: every reader reports that, while one that merely
// ends is taken for whole by most.
func cutArrow(w io.Writer, cause error) error {
	text := cause.Error()
	frame := binary.LittleEndian.AppendUint32(nil, 0xFFFFFFFF)
	frame = binary.LittleEndian.AppendUint32(frame, uint32(len(text)/8*8+64))
	_, err := w.Write(append(frame, text...))
	return err
}

// eachBatch gives fn every batch of a whole scan.
func eachBatch(s *client.Scan, fn func(arrow.RecordBatch) error) error {
	for {
		batch, err := s.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = fn(batch)
		}
		if err != nil {
			return err
		}
	}
}

func scanParquet(s *client.Scan, w io.Writer) error {
	props := parquet.NewWriterProperties(parquet.WithCompression(parquetcompress.Codecs.Zstd))
	// Parquet's writer closes what can be closed, which is for the caller to do.
	out, err := pqarrow.NewFileWriter(s.Schema(), struct{ io.Writer }{w}, props, pqarrow.DefaultWriterProps())
	if err != nil {
		return fmt.Errorf("write parquet: %w", err)
	}
	if err := eachBatch(s, out.WriteBuffered); err != nil {
		return err // without its footer a cut file cannot be read
	}
	return out.Close()
}

// scanTable lays out the rows that come as NDJSON.
func scanTable(cmd *cobra.Command, c *client.Client, ref client.Ref, o client.ScanOptions, w io.Writer) error {
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(c.ScanText(cmd.Context(), ref, o, client.NDJSON, pw)) }()
	defer pr.Close()
	out := newRecordWriter(w, "table")
	lines := bufio.NewScanner(pr)
	lines.Buffer(nil, maxLineBytes)
	for lines.Scan() {
		if err := out.write(json.RawMessage(lines.Bytes())); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return out.close()
}

// maxLineBytes is the longest line of NDJSON: a record of the largest size,
// written as text.
const maxLineBytes = 16 << 20
