package main

import (
	"fmt"
	"log/slog"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	goyaml "github.com/goccy/go-yaml"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/internal/node"
)

// config is what a server runs with: defaults, then a YAML file, then the
// environment (TRINE_ and the key in capitals), then flags.
type config struct {
	Data            string        `koanf:"data" yaml:"data"`
	Store           []string      `koanf:"store" yaml:"store"`
	LakeStore       string        `koanf:"lake_store" yaml:"lake_store"`
	SegmentStore    string        `koanf:"segment_store" yaml:"segment_store"`
	Listen          string        `koanf:"listen" yaml:"listen"`
	Tokens          []string      `koanf:"tokens" yaml:"tokens"`
	LogLevel        slog.Level    `koanf:"log_level" yaml:"log_level"`
	LogFormat       string        `koanf:"log_format" yaml:"log_format"`
	Linger          time.Duration `koanf:"linger" yaml:"linger"`
	ChunkBytes      int           `koanf:"chunk_bytes" yaml:"chunk_bytes"`
	FlushBytes      int64         `koanf:"flush_bytes" yaml:"flush_bytes"`
	FlushDeadline   time.Duration `koanf:"flush_deadline" yaml:"flush_deadline"`
	SegmentBytes    int64         `koanf:"segment_bytes" yaml:"segment_bytes"`
	SegmentAge      time.Duration `koanf:"segment_age" yaml:"segment_age"`
	SegmentGrace    time.Duration `koanf:"segment_grace" yaml:"segment_grace"`
	AnswersKept     time.Duration `koanf:"answers_kept" yaml:"answers_kept"`
	LakeUpkeep      string        `koanf:"lake_upkeep" yaml:"lake_upkeep"`
	LakeSnapshots   int           `koanf:"lake_snapshots" yaml:"lake_snapshots"`
	LakeSnapshotAge time.Duration `koanf:"lake_snapshot_age" yaml:"lake_snapshot_age"`
	LakeFileGrace   time.Duration `koanf:"lake_file_grace" yaml:"lake_file_grace"`
	LakeOrphanGrace time.Duration `koanf:"lake_orphan_grace" yaml:"lake_orphan_grace"`
	LakeWithdraw    time.Duration `koanf:"lake_withdraw_after" yaml:"lake_withdraw_after"`
	IcebergRole     string        `koanf:"iceberg_role" yaml:"iceberg_role"`
	IcebergRoleMay  string        `koanf:"iceberg_role_may" yaml:"iceberg_role_may"`
	IcebergSTS      string        `koanf:"iceberg_sts_endpoint" yaml:"iceberg_sts_endpoint"`
	IcebergDrop     string        `koanf:"iceberg_drop" yaml:"iceberg_drop"`
	MinFreeBytes    int64         `koanf:"min_free_bytes" yaml:"min_free_bytes"`
	ShutdownTimeout time.Duration `koanf:"shutdown_timeout" yaml:"shutdown_timeout"`
	StallTimeout    time.Duration `koanf:"stall_timeout" yaml:"stall_timeout"`
	MaxScans        int           `koanf:"max_scans" yaml:"max_scans"`
	MaxLogReads     int           `koanf:"max_log_reads" yaml:"max_log_reads"`
	MaxFollows      int           `koanf:"max_follows" yaml:"max_follows"`
	MaxVerifies     int           `koanf:"max_verifies" yaml:"max_verifies"`

	IndexSnapshot         string        `koanf:"index_snapshot" yaml:"index_snapshot"`
	IndexSnapshotBytes    int64         `koanf:"index_snapshot_bytes" yaml:"index_snapshot_bytes"`
	IndexSnapshotInterval time.Duration `koanf:"index_snapshot_interval" yaml:"index_snapshot_interval"`
	IndexSnapshotRate     int64         `koanf:"index_snapshot_rate" yaml:"index_snapshot_rate"`
}

// defaultListen is loopback: a server that others can reach is somebody's
// decision.
const defaultListen = "127.0.0.1:7744"

var configDefaults = map[string]any{
	"data": "trine-data", "store": []string{}, "lake_store": "", "segment_store": "", "listen": defaultListen, "tokens": []string{},
	"log_level": "info", "log_format": "text",
	"linger": "0s", "chunk_bytes": 0,
	"flush_bytes": 32 << 20, "flush_deadline": "10s",
	"segment_bytes": 64 << 20, "segment_age": "1h", "segment_grace": "10m", "answers_kept": "24h",
	"lake_upkeep": "auto", "lake_snapshots": 10, "lake_snapshot_age": "24h", "lake_file_grace": "4h", "lake_orphan_grace": "72h",
	"lake_withdraw_after": "168h",
	"iceberg_role":        "", "iceberg_role_may": "read", "iceberg_sts_endpoint": "",
	"iceberg_drop":   "off",
	"min_free_bytes": 512 << 20, "shutdown_timeout": "30s",
	"stall_timeout": arrowhttp.DefaultStallTimeout.String(), "max_scans": arrowhttp.DefaultMaxScans,
	"max_log_reads": arrowhttp.DefaultMaxLogReads, "max_follows": arrowhttp.DefaultMaxFollows,
	"max_verifies":   arrowhttp.DefaultMaxVerifies,
	"index_snapshot": "auto", "index_snapshot_bytes": 256 << 20, "index_snapshot_interval": "15m", "index_snapshot_rate": 64 << 20,
}

// configHelp says what each key is for; it is also what flags there are.
var configHelp = []struct{ key, help string }{
	{"data", "data directory"},
	{"store", "where log and lake are kept: file:///path, s3://bucket/prefix?…, s3express://…; default the data directory; three times: the log in three zones"},
	{"lake_store", "where the lake is kept, if not in store; with three zones also the log's head"},
	{"segment_store", "where old chunks of the log are kept, as segments, if not in store"},
	{"listen", "address to listen on, HOST:PORT; port 0 takes a free one"},
	{"tokens", "bearer tokens that are let in; none: everybody"},
	{"log_level", "debug, info, warn or error"},
	{"log_format", "text or json"},
	{"linger", "longest that a batch waits to share a chunk; 0: what suits the store"},
	{"chunk_bytes", "size that closes a chunk; 0: what suits the store"},
	{"flush_bytes", "bytes of changes that make a table worth a commit at once"},
	{"flush_deadline", "longest that loading a table waits for its flush"},
	{"segment_bytes", "bytes of changes that make a segment of the log, held in memory until then"},
	{"segment_age", "longest that a change waits to be in a segment"},
	{"segment_grace", "how long a chunk or segment is kept once nobody needs it"},
	{"answers_kept", "how long a chunk is kept for its answers to idempotent writes; shorter than a client sends again, and an index that is lost lets it write twice"},
	{"lake_upkeep", "auto: small and worn files are merged and old ones removed by themselves; off: only by trine lake"},
	{"lake_snapshots", "most snapshots of a table that can be read"},
	{"lake_snapshot_age", "age past which a snapshot can no longer be read, but for the newest"},
	{"lake_file_grace", "how long files stay after the last version that names them: longer than the longest query"},
	{"lake_orphan_grace", "how long files stay that no version names: longer than the longest commit, twice"},
	{"lake_withdraw_after", "how long no engine asks for the table of a small collection before its files are removed; they are made again when one does; 0: never"},
	{"iceberg_role", "ARN of a role of which SQL engines are given credentials for a table's files in S3; none: they need their own"},
	{"iceberg_role_may", "read: engines that are given credentials only read; write: they may also put data files, as commits need"},
	{"iceberg_sts_endpoint", "endpoint of the Security Token Service that gives them; none: AWS's"},
	{"iceberg_drop", "on: DROP TABLE of an SQL engine drops the collection, its log too; off: it is refused"},
	{"min_free_bytes", "free disk space below which writes are refused; negative: never"},
	{"shutdown_timeout", "longest that a shutdown waits for requests and stores"},
	{"stall_timeout", "longest that a client may neither send nor take a byte before it is cut off"},
	{"max_scans", "most scans at a time; more are answered 503"},
	{"max_log_reads", "most reads of logs at a time, followers not counted"},
	{"max_follows", "most followers of logs at a time"},
	{"max_verifies", "most verifications at a time"},
	{"index_snapshot", "snapshots of the key index in the store: on, off, or auto for on in S3 and on a local disk when retention needs one"},
	{"index_snapshot_bytes", "bytes of the log after which the next snapshot is taken"},
	{"index_snapshot_interval", "time after which one is taken though it was less, once something is written"},
	{"index_snapshot_rate", "bytes in a second at which a snapshot is made, at most; negative: no bound"},
}

// addConfigFlags adds a flag for each key, with dashes.
func addConfigFlags(f *pflag.FlagSet) {
	for _, c := range configHelp {
		name := flagName(c.key)
		switch v := configDefaults[c.key].(type) {
		case int:
			f.Int(name, v, c.help)
		case []string:
			f.StringSlice(name, v, c.help)
		case string:
			f.String(name, v, c.help)
		}
	}
}

func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

// clientVars are variables that are not settings of a server: those of the client
// commands, of --config, and of the interop suite.
var clientVars = map[string]bool{"server": true, "token": true, "config": true, "bin": true, "flights": true}

// loadConfig joins the layers; an unknown key in any of them is an error.
func loadConfig(path string, environ []string, flags *pflag.FlagSet) (config, error) {
	k := koanf.New(".")
	if err := k.Load(confmap.Provider(configDefaults, ""), nil); err != nil {
		return config{}, fmt.Errorf("config defaults: %w", err)
	}
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			return config{}, fmt.Errorf("config file %s: %w", path, err)
		}
	}
	if err := k.Load(confmap.Provider(fromEnv(environ), ""), nil); err != nil {
		return config{}, fmt.Errorf("config environment: %w", err)
	}
	known := posflag.ProviderWithFlag(flags, ".", k, func(f *pflag.Flag) (string, any) {
		key := strings.ReplaceAll(f.Name, "-", "_")
		if _, ok := configDefaults[key]; !ok {
			return "", nil
		}
		return key, posflag.FlagVal(flags, f)
	})
	if err := k.Load(known, nil); err != nil {
		return config{}, fmt.Errorf("config flags: %w", err)
	}
	if err := checkKeys(k); err != nil {
		return config{}, err
	}
	return decodeConfig(k)
}

func fromEnv(environ []string) map[string]any {
	out := map[string]any{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		key, ok := strings.CutPrefix(name, "TRINE_")
		if key = strings.ToLower(key); ok && !clientVars[key] {
			out[key] = value
		}
	}
	return out
}

func checkKeys(k *koanf.Koanf) error {
	var unknown []string
	for _, key := range k.Keys() {
		if _, ok := configDefaults[key]; !ok {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	known := make([]string, 0, len(configHelp))
	for _, c := range configHelp {
		known = append(known, c.key)
	}
	sort.Strings(unknown)
	return usage("config: unknown key %s; the keys are %s", strings.Join(unknown, ", "), strings.Join(known, ", "))
}

func decodeConfig(k *koanf.Koanf) (config, error) {
	var c config
	err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result: &c, TagName: "koanf", WeaklyTypedInput: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(),
			mapstructure.TextUnmarshallerHookFunc(),
			mapstructure.StringToSliceHookFunc(","),
		),
	}})
	if err != nil {
		return c, usageError{fmt.Errorf("config: %w", err)}
	}
	switch {
	case c.Data == "":
		return c, usage("config: data: name a directory")
	case c.Linger < 0 || c.FlushDeadline <= 0 || c.ShutdownTimeout <= 0:
		return c, usage("config: linger, flush_deadline and shutdown_timeout are times above 0, as 10s")
	case c.ChunkBytes != 0 && (c.ChunkBytes < 4<<10 || c.ChunkBytes > 64<<20):
		return c, usage("config: chunk_bytes %d: want 4096 to 67108864, or 0 for what suits the store", c.ChunkBytes)
	case len(c.Store) > 3 || len(c.Store) == 2:
		return c, usage("config: %d stores: name one, or three in three zones, of which two are enough at any time; with two a write would need both", len(c.Store))
	case c.StallTimeout < time.Second:
		return c, usage("config: stall_timeout %s: want at least 1s", c.StallTimeout)
	case min(c.MaxScans, c.MaxLogReads, c.MaxFollows, c.MaxVerifies) < 1:
		return c, usage("config: max_scans, max_log_reads, max_follows and max_verifies are at least 1")
	case c.SegmentBytes < 4<<10 || c.SegmentBytes > 1<<30:
		return c, usage("config: segment_bytes %d: want 4096 to 1073741824", c.SegmentBytes)
	case c.SegmentAge <= 0 || c.SegmentGrace <= 0 || c.AnswersKept <= 0:
		return c, usage("config: segment_age, segment_grace and answers_kept are times above 0, as 10m")
	case c.FlushBytes < 1<<10:
		return c, usage("config: flush_bytes %d: want at least 1024", c.FlushBytes)
	case c.LakeSnapshots < 1 || c.LakeSnapshots > 1000:
		return c, usage("config: lake_snapshots %d: want 1 to 1000", c.LakeSnapshots)
	case c.LakeSnapshotAge <= 0 || c.LakeFileGrace <= 0 || c.LakeOrphanGrace <= 0:
		return c, usage("config: lake_snapshot_age, lake_file_grace and lake_orphan_grace are times above 0, as 4h")
	case c.LakeWithdraw < 0 || c.LakeWithdraw > 0 && c.LakeWithdraw < time.Minute:
		return c, usage("config: lake_withdraw_after %s: want at least 1m, or 0 for never", c.LakeWithdraw)
	}
	if err := choice("lake-upkeep", c.LakeUpkeep, "auto", "off"); err != nil {
		return c, err
	}
	if err := choice("iceberg-role-may", c.IcebergRoleMay, "read", "write"); err != nil {
		return c, err
	}
	if err := choice("iceberg-drop", c.IcebergDrop, "on", "off"); err != nil {
		return c, err
	}
	if c.IndexSnapshotBytes < 1<<20 || c.IndexSnapshotInterval <= 0 || c.IndexSnapshotRate == 0 {
		return c, usage("config: index_snapshot_bytes is at least 1048576, index_snapshot_interval a time above 0, as 15m, and index_snapshot_rate not 0")
	}
	if err := choice("index-snapshot", c.IndexSnapshot, "auto", "on", "off"); err != nil {
		return c, err
	}
	return c, choice("log-format", c.LogFormat, "text", "json")
}

// splitStores reads a list of stores as the environment has it.
func splitStores(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// placeStores tells a node its stores: one, or three zones.
func placeStores(o *node.Options, urls []string) {
	switch len(urls) {
	case 0:
	case 1:
		o.Store = urls[0]
	default:
		o.Zones = urls
	}
}

// indexSnapshots are a node's.
func (c config) indexSnapshots() node.IndexSnapshots {
	mode := node.SnapshotMode(c.IndexSnapshot)
	if c.IndexSnapshot == "auto" {
		mode = node.SnapshotAuto
	}
	return node.IndexSnapshots{
		Mode: mode, Bytes: c.IndexSnapshotBytes, Interval: c.IndexSnapshotInterval, BytesPerSecond: c.IndexSnapshotRate,
	}
}

// logger writes what happens to stderr.
func (c config) logger() *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

// print is the config in force, tokens hidden.
func (c config) print() (string, error) {
	for i := range c.Tokens {
		c.Tokens[i] = "(hidden)"
	}
	text, err := goyaml.Marshal(c)
	return string(text), err
}
