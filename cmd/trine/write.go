package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/trinedb/trine/client"
)

// maxWriteBytes is the largest batch that `trine write` reads; import splits
// what is larger.
const maxWriteBytes = 64 << 20

// mediaTypes are the formats that a server takes.
var mediaTypes = map[string]string{
	"ndjson": client.NDJSON, "json": client.JSON, "csv": client.CSV, "arrow": client.Arrow,
}

func newWrite(a *app) *cobra.Command {
	var file, format string
	var o client.WriteOptions
	var g guardFlags
	cmd := &cobra.Command{
		Use:   "write TENANT/COLLECTION [-f FILE]",
		Short: "Write one atomic batch of records",
		Long: `Write sends a batch from a file or standard input. The batch is written
whole or not at all; a batch with a bad record is refused with the line, the
field, the value and the rule. For large files see 'trine import'.

A batch can be held to a condition, and is refused (exit code 1) if it does not
hold, with what is so instead:

  --if-seq N        the first change gets seq N: nobody wrote in between
  --fence TOKEN     TOKEN is the fencing token that 'trine fence' has set
  --producer ID --producer-seq N
                    a batch at or below the last N of the producer is
                    acknowledged and not written again`,
		Example: `  echo '{"iata":"SEA","name":"Seattle-Tacoma"}' | trine write acme/airports
  trine write acme/airports --op delete -f gone.csv
  trine write acme/ledger --if-seq 41 -f entry.json
  trine write acme/orders --fence leader-7 --producer shop --producer-seq 1004 -f batch.ndjson`,
		Args: nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := formatOf(format, file, "ndjson", "ndjson", "json", "csv", "arrow")
			if err != nil {
				return err
			}
			o.ContentType = mediaTypes[name]
			if err := g.apply(cmd, &o); err != nil {
				return err
			}
			return a.write(cmd, args[0], file, o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&file, "file", "f", "-", "file to read, - for standard input")
	f.StringVar(&format, "format", "", "ndjson, json, csv or arrow; default by the file's name, else ndjson")
	f.StringVar(&o.Op, "op", "", "insert, upsert, delete or patch; default upsert, or insert if append-only")
	f.StringVar(&o.IdempotencyKey, "idempotency-key", "", "the same key gets the same answer; default a new one")
	f.StringVar(&o.IfRowSeq, "if-row-seq", "", "of one record: the _seq of the row that it replaces, or none")
	f.BoolVar(&o.SkipBad, "skip-bad", false, "write the good records and tell the bad")
	g.add(cmd)
	return cmd
}

func (a *app) write(cmd *cobra.Command, name, file string, o client.WriteOptions) error {
	if err := checkOp(o.Op); err != nil {
		return err
	}
	c, ref, err := a.connect(name)
	if err != nil {
		return err
	}
	in, err := openInput(cmd, file)
	if err != nil {
		return err
	}
	defer in.Close()
	body, err := io.ReadAll(io.LimitReader(in, maxWriteBytes+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	if len(body) > maxWriteBytes {
		return fmt.Errorf("%s has more than %d bytes, too many for one atomic batch: use 'trine import', which splits it", file, maxWriteBytes)
	}
	done, err := c.Write(cmd.Context(), ref, body, o)
	if err != nil {
		return err
	}
	return a.printWritten(cmd.OutOrStdout(), ref, done)
}

func checkOp(op string) error {
	if op == "" {
		return nil // the collection's own
	}
	return choice("op", op, "insert", "upsert", "delete", "patch")
}

func (a *app) printWritten(w io.Writer, ref client.Ref, done client.Written) error {
	switch {
	case a.asJSON:
		if err := json.NewEncoder(w).Encode(done); err != nil {
			return err
		}
	case done.Count == 0 && done.Replayed:
		fmt.Fprintf(w, "%s: nothing written: the producer was that far before, durable at position %s\n", ref, done.Position)
	case done.Count == 0:
		fmt.Fprintf(w, "%s: nothing written\n", ref)
	default:
		was := ""
		if done.Replayed {
			was = " written before"
		}
		fmt.Fprintf(w, "%s: %s%s from seq %d to %d, durable at position %s\n",
			ref, english.Plural(done.Count, "change", ""), was, *done.FirstSeq, *done.LastSeq, done.Position)
	}
	for _, e := range done.Skipped {
		if !a.asJSON {
			fmt.Fprintf(w, "skipped line %d: %s\n", e.Line, e)
		}
	}
	if len(done.Skipped) > 0 {
		return errors.New("some records were skipped")
	}
	return nil
}

// formatOf is the format that a flag states, or a file's name shows, or the
// default.
func formatOf(flag, file, otherwise string, allowed ...string) (string, error) {
	if flag != "" {
		return flag, choice("format", flag, allowed...)
	}
	known := map[string]string{
		".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".csv": "csv",
		".arrow": "arrow", ".arrows": "arrow", ".parquet": "parquet",
	}
	ext := strings.ToLower(filepath.Ext(file))
	name, ok := known[ext]
	if !ok {
		return otherwise, nil
	}
	for _, a := range allowed {
		if a == name {
			return name, nil
		}
	}
	return "", usage("%s: %s is not a format of this command; it takes %s", file, name, strings.Join(allowed, ", "))
}
