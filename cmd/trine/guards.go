package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/trinedb/trine/client"
)

// guardFlags are the flags of the conditions that a write may be held to.
type guardFlags struct {
	ifSeq       uint64
	fence       string
	producer    string
	producerSeq uint64
}

func (g *guardFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Uint64Var(&g.ifSeq, "if-seq", 0, "seq that the first change must get")
	f.StringVar(&g.fence, "fence", "", "the collection's fencing token")
	f.StringVar(&g.producer, "producer", "", "who writes; needs --producer-seq")
	f.Uint64Var(&g.producerSeq, "producer-seq", 0, "how far the producer is with this batch")
	cmd.MarkFlagsRequiredTogether("producer", "producer-seq")
	cmd.MarkFlagsMutuallyExclusive("producer", "if-seq")
}

// apply puts what was given into o.
func (g *guardFlags) apply(cmd *cobra.Command, o *client.WriteOptions) error {
	f := cmd.Flags()
	if f.Changed("fence") && g.fence == "" {
		return usage("--fence: want a token; leave it out if the collection has none")
	}
	if f.Changed("producer") && g.producer == "" {
		return usage("--producer: want an id")
	}
	if f.Changed("if-seq") {
		o.IfSeq = &g.ifSeq
	}
	o.Fence, o.Producer, o.ProducerSeq = g.fence, g.producer, g.producerSeq
	return nil
}

func newFence(a *app) *cobra.Command {
	var token, ifToken string
	cmd := &cobra.Command{
		Use:   "fence TENANT/COLLECTION --token TOKEN",
		Short: "Set the token that writers have to show",
		Long: `Fence sets a collection's fencing token, in order with the writes to it: from
then on a write with '--fence' and another token is refused. A new leader sets a
token of its own and so stops the one before, wherever its writes are.

With --if-token it is set only if that was the token until now, "" for none. An
empty --token takes it away. Writes that show no token are not compared.`,
		Example: "  trine fence acme/orders --token leader-8 --if-token leader-7\n  trine fence acme/orders --token ''",
		Args:    nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("token") {
				return usage("fence: give the new token with --token ('' for none)")
			}
			var was *string
			if cmd.Flags().Changed("if-token") {
				was = &ifToken
			}
			c, ref, err := a.connect(args[0])
			if err != nil {
				return err
			}
			position, err := c.Fence(cmd.Context(), ref, token, was)
			if err != nil {
				return err
			}
			if a.asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"token": token, "position": position})
			}
			if token == "" {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: has no fencing token, durable at position %s\n", ref, position)
			} else {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: fencing token is %s, durable at position %s\n", ref, token, position)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&token, "token", "", "the new token, '' for none")
	cmd.Flags().StringVar(&ifToken, "if-token", "", "the token until now, '' for none")
	return cmd
}
