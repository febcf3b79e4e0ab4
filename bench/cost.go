package bench

import (
	"time"

	"github.com/trinedb/trine/internal/blob/count"
	"github.com/trinedb/trine/schema"
)

// Store is what a workload asked of one object store.
type Store struct {
	Name  string `json:"store"`
	Verbs []Verb `json:"verbs"`
}

// Verb is a kind of request, and how S3 would bill it.
type Verb struct {
	Verb     string `json:"verb"`
	BilledAs string `json:"billed_as"`
	Requests uint64 `json:"requests"`
	Refused  uint64 `json:"refused"`
	Failed   uint64 `json:"failed"`
	Bytes    uint64 `json:"bytes"`
}

func newStore(name string, u count.Usage) Store {
	s := Store{Name: name}
	for v := range u {
		if n := u[v]; n.Requests > 0 {
			s.Verbs = append(s.Verbs, Verb{count.Verb(v).String(), billedAs(count.Verb(v)), n.Requests, n.Refused, n.Failed, n.Bytes})
		}
	}
	return s
}

func billedAs(v count.Verb) string {
	switch {
	case v.Writes():
		return "PUT"
	case v == count.List:
		return "LIST"
	case v == count.Delete:
		return "free"
	default:
		return "GET"
	}
}

// Cost is what the log's requests would cost on S3, and the lake's.
type Cost struct {
	Date     string      `json:"date"`
	Region   string      `json:"region"`
	Source   string      `json:"source"`
	Verified bool        `json:"verified"`
	Stores   []StoreCost `json:"stores"`
	Lake     LakeCost    `json:"lake"`
}

// StoreCost is the log on one kind of store, in dollars: with the chunks that
// this run made, and with those that the log would make of the same load there.
type StoreCost struct {
	Name             string  `json:"store"`
	RunPerMillion    float64 `json:"as_run_per_million_records"`
	RunPerMonth      float64 `json:"as_run_per_month"`
	ChunkBytes       float64 `json:"chunk_bytes"`
	LingerMS         float64 `json:"linger_ms"`
	ChunksPerSecond  float64 `json:"chunks_per_second"`
	PerMillion       float64 `json:"per_million_records"`
	PerMonth         float64 `json:"per_month"`
	KeepWeekPerMonth float64 `json:"keeping_7_days_per_month"`
}

// LakeCost is what keeping tables fresh would cost on S3 Standard if every
// collection that changed had one: the commits are measured, their number is
// computed from the distribution.
type LakeCost struct {
	FreshnessSeconds float64 `json:"freshness_seconds"`
	Active           float64 `json:"collections_changed_within"`
	PutsPerCommit    float64 `json:"puts_per_commit"`
	GetsPerCommit    float64 `json:"gets_per_commit"`
	CommitsPerMonth  float64 `json:"commits_per_month"`
	PerMonth         float64 `json:"per_month"`
}

// load is what a run did.
type load struct {
	records, batches, seconds float64
	raw, stored               float64 // bytes as sent, and as chunks
	used                      count.Usage
	collections               zipf
	commit                    commits
}

const (
	monthSeconds  = 730 * 3600
	lakeCostStore = "S3 Standard"
	daysKept      = 7.0
)

func newCost(t priceTable, l load) *Cost {
	c := &Cost{Date: t.Date, Region: t.Region, Source: t.Source, Verified: t.Verified}
	for _, p := range t.Stores {
		c.Stores = append(c.Stores, p.cost(l))
		if p.Name == lakeCostStore {
			c.Lake = p.lakeCost(l)
		}
	}
	return c
}

func (p storePrice) cost(l load) StoreCost {
	rawRate, storedRate := quotient(l.raw, l.seconds), quotient(l.stored, l.seconds)
	chunks := p.chunks(rawRate, quotient(l.batches, l.seconds))
	run, perSecond := p.dollars(chargeOf(l.used)), p.dollars(charge{puts: chunks, sent: storedRate})
	return StoreCost{
		Name:          p.Name,
		RunPerMillion: quotient(run*1e6, l.records), RunPerMonth: quotient(run*monthSeconds, l.seconds),
		ChunkBytes: p.ChunkBytes, LingerMS: float64(p.Linger) / float64(time.Millisecond), ChunksPerSecond: chunks,
		PerMillion:       quotient(perSecond*1e6, quotient(l.records, l.seconds)),
		PerMonth:         perSecond * monthSeconds,
		KeepWeekPerMonth: p.Copies * storedRate * daysKept * 86400 / gb * p.StorageMonth,
	}
}

func (p storePrice) lakeCost(l load) LakeCost {
	fresh := schema.DefaultOptions().LakeFreshness.Seconds()
	one := l.commit.mean()
	c := LakeCost{
		FreshnessSeconds: fresh, PutsPerCommit: one.puts, GetsPerCommit: one.gets,
		Active: l.collections.distinct(quotient(l.batches, l.seconds) * fresh),
	}
	c.CommitsPerMonth = c.Active * monthSeconds / fresh
	c.PerMonth = c.CommitsPerMonth * p.dollars(charge{puts: one.puts, gets: one.gets, lists: one.lists})
	return c
}
