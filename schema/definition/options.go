package definition

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/trinedb/trine/schema"
)

// OptionsDef are a collection's options as a file states them; what is zero
// has its default.
type OptionsDef struct {
	LogRetention      string          `json:"log_retention,omitempty"`       // a duration, or "forever"; default 7d
	LogRetentionBytes string          `json:"log_retention_bytes,omitempty"` // a size such as 10GiB; default none
	Lake              schema.LakeMode `json:"lake,omitempty"`                // auto, pinned, off; default auto
	LakeFreshness     string          `json:"lake_freshness,omitempty"`      // a duration; default 5m
	LakeFormat        int             `json:"lake_format,omitempty"`         // 2, 3; default 2
	BeforeImages      bool            `json:"before_images"`                 // default false
	LakePartition     []PartitionDef  `json:"lake_partition,omitempty"`      // default none
	LakeSort          []SortDef       `json:"lake_sort,omitempty"`           // default by key, or seq
}

// forever is the log_retention that keeps everything.
const forever = "forever"

// The bounds of the durations.
const (
	minRetention = time.Minute
	maxRetention = 36_500 * day
	minFreshness = time.Second
	maxFreshness = 30 * day

	day  = 24 * time.Hour
	week = 7 * day
)

// options checks the options stated and fills in the rest.
func (c *checker) options(def OptionsDef) schema.Options {
	o := schema.DefaultOptions()
	at, path := c.at.options, "options."
	if def.LogRetention == forever {
		o.LogRetention = 0
	} else if def.LogRetention != "" {
		d, rule := parseDuration(def.LogRetention, minRetention, maxRetention)
		if rule != "" {
			c.add(at+"/log_retention", path+"log_retention", quote(def.LogRetention), rule+", or forever")
		}
		o.LogRetention = d
	}
	if def.LogRetentionBytes != "" {
		n, rule := parseBytes(def.LogRetentionBytes)
		if rule != "" {
			c.add(at+"/log_retention_bytes", path+"log_retention_bytes", quote(def.LogRetentionBytes), rule)
		}
		o.LogRetentionBytes = n
	}
	if def.LakeFreshness != "" {
		d, rule := parseDuration(def.LakeFreshness, minFreshness, maxFreshness)
		if rule != "" {
			c.add(at+"/lake_freshness", path+"lake_freshness", quote(def.LakeFreshness), rule)
		}
		o.LakeFreshness = d
	}
	switch def.Lake {
	case "":
	case schema.LakeAuto, schema.LakePinned, schema.LakeOff:
		o.Lake = def.Lake
	default:
		c.add(at+"/lake", path+"lake", quote(string(def.Lake)),
			"must be auto (a table once it holds enough, or when an engine asks), pinned (always) or off (never)")
	}
	switch def.LakeFormat {
	case 0:
	case 2, 3:
		o.LakeFormat = def.LakeFormat
	default:
		c.add(at+"/lake_format", path+"lake_format", strconv.Itoa(def.LakeFormat),
			"must be 2 or 3, a version of the Iceberg format")
	}
	o.BeforeImages = def.BeforeImages
	return o
}

// optionsDefOf writes out all of o, the options of a collection with schema s.
func optionsDefOf(o schema.Options, s *schema.Schema) OptionsDef {
	def := OptionsDef{
		LogRetention:  forever,
		Lake:          o.Lake,
		LakeFreshness: formatDuration(o.LakeFreshness),
		LakeFormat:    o.LakeFormat,
		BeforeImages:  o.BeforeImages,
		LakePartition: partitionDefsOf(o.LakePartition, s),
		LakeSort:      sortDefsOf(o.LakeSort, s),
	}
	if o.LogRetentionBytes > 0 {
		def.LogRetentionBytes = formatBytes(o.LogRetentionBytes)
	}
	if o.LogRetention > 0 {
		def.LogRetention = formatDuration(o.LogRetention)
	}
	return def
}

// durationUnits are the units of durations, longest first.
var durationUnits = []struct {
	name string
	size time.Duration
}{
	{"w", week}, {"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond},
}

// parseDuration reads a duration such as 7d, 5m or 1d12h. The rule says what
// is wrong with it, if anything.
func parseDuration(s string, lo, hi time.Duration) (d time.Duration, rule string) {
	const want = "must be a duration such as 90s, 5m, 36h, 7d or 1d12h"
	rest := s
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 32)
		rest = rest[digits:]
		letters := len(rest) - len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz"))
		unit := unitSize(rest[:letters])
		rest = rest[letters:]
		if err != nil || unit == 0 {
			return 0, want
		}
		// Both factors are checked to keep the sum from overflowing.
		if n > int64(hi/unit) || d+time.Duration(n)*unit > hi {
			return 0, "must be at most " + formatDuration(hi)
		}
		d += time.Duration(n) * unit
	}
	if d < lo {
		return 0, "must be at least " + formatDuration(lo)
	}
	return d, ""
}

func unitSize(name string) time.Duration {
	for _, u := range durationUnits {
		if u.name == name {
			return u.size
		}
	}
	return 0
}

// formatDuration is d as parseDuration reads it, in days and smaller.
func formatDuration(d time.Duration) string {
	var b strings.Builder
	for _, u := range durationUnits[1:] {
		if n := d / u.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d -= n * u.size
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}
