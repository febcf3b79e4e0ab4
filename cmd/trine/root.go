package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/trinedb/trine/client"
)

// app is what the commands that talk to a server share.
type app struct {
	server string
	token  string
	asJSON bool
}

func newRoot() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:   "trine",
		Short: "One write, three stores: a log, a key index and Iceberg tables that cannot disagree",
		Long: `Trine keeps records of schema-defined collections. A write is durable in a
log when it is acknowledged, readable by key at once, and readable by every
SQL engine as an Iceberg table.

  trine quickstart            see the whole of it on real data, in a minute
  trine serve --data DIR      run a server
  trine apply -f FILE         create or evolve collections
  trine write | import        write records
  trine get | range | log | scan`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmd.ValidateFlagGroups(); err != nil {
				return usageError{err}
			}
			return nil
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%s: %w; see 'trine %s --help'", cmd.Name(), err, cmd.Name())
	})
	f := root.PersistentFlags()
	f.StringVar(&a.server, "server", envOr("TRINE_SERVER", client.DefaultServer), "server to talk to (env TRINE_SERVER)")
	f.StringVar(&a.token, "token", os.Getenv("TRINE_TOKEN"), "bearer token (env TRINE_TOKEN)")
	f.Lookup("token").DefValue = ""
	f.BoolVar(&a.asJSON, "json", false, "answer in JSON, for machines")
	root.AddCommand(
		newQuickstart(), newServe(), newApply(a), newLs(a), newDescribe(a), newDrop(a), newSchemas(a),
		newWrite(a), newImport(a), newFence(a), newGet(a), newRange(a), newLog(a), newTrim(a), newScan(a),
		newVerify(a), newIndex(a), newLake(a), newBench(a), newVersion(a),
	)
	return root
}

func unknownCommand(root *cobra.Command, name string) error {
	near := root.SuggestionsFor(name)
	if len(near) == 0 {
		return usage("there is no command %q; see 'trine --help'", name)
	}
	return usage("there is no command %q; is it %s?", name, strings.Join(near, " or "))
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func (a *app) client() (*client.Client, error) {
	c, err := client.New(client.Options{Server: a.server, Token: a.token})
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// connect is the client and the collection that the first argument names.
func (a *app) connect(arg string) (*client.Client, client.Ref, error) {
	ref, err := client.ParseRef(arg)
	if err != nil {
		return nil, ref, usageError{err}
	}
	c, err := a.client()
	return c, ref, err
}

// nArgs wants between least and most arguments.
func nArgs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usage("%d arguments; want: %s", len(args), cmd.UseLine())
		}
		return nil
	}
}

// choice is usage unless v is one of allowed.
func choice(flag, v string, allowed ...string) error {
	for _, ok := range allowed {
		if v == ok {
			return nil
		}
	}
	return usage("--%s %q: want one of %s", flag, v, strings.Join(allowed, ", "))
}

// isTerminal reports whether w is a terminal that a person looks at.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// openInput opens a file, or standard input for "-" or no name.
func openInput(cmd *cobra.Command, name string) (io.ReadCloser, error) {
	if name == "" || name == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open input: %w", err)
	}
	return f, nil
}
