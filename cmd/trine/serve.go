package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/lakehouse"
)

func newServe() *cobra.Command {
	var file string
	var printConfig bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server on a data directory",
		Long: `Serve runs Trine: one process, one data directory, no other service.

Settings come from a YAML file (--config), then the environment (TRINE_LISTEN
and so on), then flags. A first interrupt ends it cleanly: requests finish,
what was acknowledged is durable anyway; a second one ends it at once.`,
		Example: `  trine serve --data /var/lib/trine --listen 127.0.0.1:7744
  trine serve --config trine.yaml --print-config`,
		Args: nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(file, os.Environ(), cmd.Flags())
			if err != nil {
				return err
			}
			if printConfig {
				text, err := c.print()
				if err != nil {
					return err
				}
				_, err = fmt.Fprint(cmd.OutOrStdout(), text)
				return err
			}
			s, err := startServer(cmd.Context(), c)
			if err != nil {
				return err
			}
			s.logger.Info("trine serves", "url", s.url(), "data", c.Data, "version", version)
			return s.waitAndStop(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&file, "config", os.Getenv("TRINE_CONFIG"), "YAML file of settings (env TRINE_CONFIG)")
	cmd.Flags().BoolVar(&printConfig, "print-config", false, "print the settings in force and end")
	addConfigFlags(cmd.Flags())
	return cmd
}

// server is a node and the HTTP surface on it.
type server struct {
	config   config
	logger   *slog.Logger
	node     *node.Node
	http     *arrowhttp.Server
	listener net.Listener
	served   chan error // the result of serving, once
}

// startServer opens the node and begins to answer.
func startServer(ctx context.Context, c config) (*server, error) {
	s := &server{config: c, logger: c.logger(), served: make(chan error, 1)}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	// The address first: a port in use should not cost a replay.
	var err error
	if s.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	o := node.Options{
		Data: c.Data, LakeStore: c.LakeStore, Linger: c.Linger, ChunkBytes: c.ChunkBytes, FlushBytes: c.FlushBytes,
		SegmentStore: c.SegmentStore, SegmentBytes: c.SegmentBytes, SegmentAge: c.SegmentAge, SegmentGrace: c.SegmentGrace, AnswersKept: c.AnswersKept,
		FlushDeadline: c.FlushDeadline, MinFreeBytes: c.MinFreeBytes, IndexSnapshots: c.indexSnapshots(),
		NoUpkeep: c.LakeUpkeep == "off", WithdrawAfter: c.LakeWithdraw, EngineDrops: c.IcebergDrop == "on",
		EngineRole: node.EngineRole{ARN: c.IcebergRole, Write: c.IcebergRoleMay == "write", Endpoint: c.IcebergSTS},
		Lake: lakehouse.Options{
			SnapshotsKept: c.LakeSnapshots, SnapshotAge: c.LakeSnapshotAge, FileGrace: c.LakeFileGrace, OrphanGrace: c.LakeOrphanGrace,
		},
		Logger: s.logger, Registerer: registry,
	}
	placeStores(&o, c.Store)
	if s.node, err = node.Open(ctx, o); err != nil {
		return nil, errors.Join(err, s.listener.Close())
	}
	s.http, err = arrowhttp.New(arrowhttp.Options{
		Backend: s.node.Backend(), Iceberg: s.node.Iceberg(), Ready: s.node.Ready,
		Tokens: c.Tokens, Version: version, SpoolDir: s.node.SpoolDir(),
		StallTimeout: c.StallTimeout, MaxScans: c.MaxScans, MaxLogReads: c.MaxLogReads,
		MaxFollows: c.MaxFollows, MaxVerifies: c.MaxVerifies,
		Logger: s.logger, Registerer: registry, Gatherer: registry,
	})
	if err != nil {
		return nil, errors.Join(err, s.node.Close(ctx), s.listener.Close())
	}
	go func() { s.served <- s.http.Serve(s.listener) }()
	return s, nil
}

func (s *server) url() string { return "http://" + s.listener.Addr().String() }

// waitAndStop serves until ctx ends or serving fails, then stops.
func (s *server) waitAndStop(ctx context.Context) error {
	select {
	case <-ctx.Done():
		s.logger.Info("trine stops; interrupt again to end at once")
		return s.stop()
	case err := <-s.served:
		return errors.Join(err, s.stopNode())
	}
}

// stop ends intake first, so that nothing is accepted that could not be
// finished; then the node, which makes durable what is queued.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.ShutdownTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	return errors.Join(err, <-s.served, s.stopNode())
}

func (s *server) stopNode() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.ShutdownTimeout)
	defer cancel()
	return s.node.Close(ctx)
}
