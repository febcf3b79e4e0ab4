package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/trinedb/trine/client"
)

// importOptions say how a file is split and sent.
type importOptions struct {
	format    string
	op        string
	id        string
	batchRows int
	guards    client.WriteOptions // of the first batch
}

func newImport(a *app) *cobra.Command {
	var o importOptions
	var g guardFlags
	cmd := &cobra.Command{
		Use:   "import TENANT/COLLECTION FILE|-",
		Short: "Write a large file in batches, with progress",
		Long: `Import splits a CSV, NDJSON, Arrow or Parquet file into batches and writes
them in order, each atomic and durable.

With --id an import that was cut can be run again within a day: batches that
were written under the same id are not written twice. The file and --batch-rows
have to be the same then; a batch that is not what it was is refused.

With --producer the batches are numbered from --producer-seq on, and those that
the producer has written are passed over, however long ago that was. With
--if-seq the file's changes get seqs from that number on, or the import ends
where somebody else wrote. With --fence it ends when another token is set.`,
		Example: `  trine import acme/flights flights.parquet --id flights-2026-11
  zcat events.ndjson.gz | trine import acme/events - --format ndjson`,
		Args: nArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.batchRows < 1 || o.batchRows > maxImportBatchRows {
				return usage("--batch-rows %d: want 1 to %d", o.batchRows, maxImportBatchRows)
			}
			if err := checkOp(o.op); err != nil {
				return err
			}
			if err := g.apply(cmd, &o.guards); err != nil {
				return err
			}
			return a.importFile(cmd, args[0], args[1], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "", "csv, ndjson, arrow or parquet; default by the file's name")
	f.StringVar(&o.op, "op", "", "insert, upsert, delete or patch; default upsert, or insert if append-only")
	f.StringVar(&o.id, "id", "", "name of this import, so that it can be run again; default none")
	f.IntVar(&o.batchRows, "batch-rows", 65_536, "most records of a batch")
	g.add(cmd)
	return cmd
}

const maxImportBatchRows = 1_000_000

func (a *app) importFile(cmd *cobra.Command, name, path string, o importOptions) error {
	format, err := formatOf(o.format, path, "", "csv", "ndjson", "arrow", "parquet")
	if err != nil {
		return err
	}
	switch {
	case format == "":
		return usage("%s: cannot tell the format by its name; use --format", path)
	case format == "parquet" && path == "-":
		return usage("Parquet has its index at its end: name a file instead of standard input")
	}
	c, ref, err := a.connect(name)
	if err != nil {
		return err
	}
	src, err := openBatches(path, format, o.batchRows)
	if err != nil {
		return err
	}
	defer src.Close()
	bar := newProgress(cmd, src.size(), ref.String())
	start := time.Now()
	rows, err := sendBatches(cmd.Context(), c, ref, src, o, func(done int64) { _ = bar.Set64(done) })
	if err != nil {
		_ = bar.Exit()
		return fmt.Errorf("import %s: %w (%s rows were written before)", path, err, humanize.Comma(rows))
	}
	_ = bar.Finish()
	return a.printImported(cmd.OutOrStdout(), ref, rows, time.Since(start))
}

func (a *app) printImported(w io.Writer, ref client.Ref, rows int64, took time.Duration) error {
	perSecond := float64(rows) / max(took.Seconds(), 1e-9)
	if a.asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"rows": rows, "seconds": took.Seconds(), "rows_per_second": perSecond})
	}
	_, err := fmt.Fprintf(w, "%s: %s rows in %.1f s, %s rows/s\n", ref, humanize.Comma(rows), took.Seconds(), humanize.Comma(int64(perSecond)))
	return err
}

// newProgress is a bar on a terminal's stderr, and nothing elsewhere.
func newProgress(cmd *cobra.Command, total int64, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total,
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWriter(cmd.ErrOrStderr()),
		progressbar.OptionSetVisibility(isTerminal(cmd.ErrOrStderr())),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
}

// batch is some records of a file in a form that the server takes.
type batch struct {
	body      []byte
	mediaType string
	rows      int
	done      int64 // of the source's size, once this batch is written
}

// sendBatches writes the source's batches in order, the next one being read
// while one is written. It tells how many rows were written.
func sendBatches(ctx context.Context, c *client.Client, ref client.Ref, src batchSource, o importOptions, progress func(int64)) (int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ahead := make(chan batch, 1) // one batch read ahead: writing is the slower part
	var readErr error
	go func() {
		defer close(ahead)
		readErr = src.each(func(b batch) error {
			select {
			case ahead <- b:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	var rows int64
	for n := 0; ; n++ {
		b, ok := <-ahead
		if !ok {
			return rows, readErr
		}
		w := o.guards
		w.Op, w.ContentType = o.op, b.mediaType
		w.ProducerSeq += uint64(n)
		if w.IfSeq != nil {
			at := *w.IfSeq + uint64(rows)
			w.IfSeq = &at
		}
		if o.id != "" {
			w.IdempotencyKey = fmt.Sprintf("import/%s/%d", o.id, n)
		}
		if _, err := c.Write(ctx, ref, b.body, w); err != nil {
			cancel()
			if src.size() >= 0 { // a pipe may not end
				for range ahead { // let the reader end before its file is closed
				}
			}
			return rows, fmt.Errorf("batch %d, which begins at record %d: %w", n, rows+1, err)
		}
		rows += int64(b.rows)
		progress(b.done)
	}
}

// batchSource yields a file's records in batches.
type batchSource interface {
	size() int64 // bytes, for progress; -1: unknown
	each(fn func(batch) error) error
	io.Closer
}

func openBatches(path, format string, rows int) (batchSource, error) {
	file := sourceFile{File: os.Stdin, bytes: -1}
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("open input: %w", err)
		}
		info, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("open input: %w", err)
		}
		file = sourceFile{File: f, bytes: info.Size()}
	}
	switch format {
	case "csv":
		return &csvSource{file, rows}, nil
	case "ndjson":
		return &lineSource{file, rows}, nil
	case "arrow":
		return &arrowSource{file, rows}, nil
	default:
		return &parquetSource{file, rows}, nil
	}
}

type sourceFile struct {
	*os.File
	bytes int64 // -1: it is a pipe
}

func (s sourceFile) size() int64 { return s.bytes }
