package bench

import (
	_ "embed"
	"fmt"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/trinedb/trine/internal/blob/count"
)

//go:embed prices.yaml
var pricesYAML []byte

// priceTable is what object stores charge, as of a date.
type priceTable struct {
	Date     string       `yaml:"date"`
	Region   string       `yaml:"region"`
	Source   string       `yaml:"source"`
	Verified bool         `yaml:"verified"`
	Stores   []storePrice `yaml:"stores"`
}

// storePrice is one kind of store, and how the log would use it.
type storePrice struct {
	Name         string        `yaml:"name"`
	Copies       float64       `yaml:"copies"`
	ChunkBytes   float64       `yaml:"chunk_bytes"`
	Linger       time.Duration `yaml:"linger"`
	Put          float64       `yaml:"put_per_1000"`
	Get          float64       `yaml:"get_per_1000"`
	List         float64       `yaml:"list_per_1000"`
	UploadGB     float64       `yaml:"upload_per_gb"`
	RetrievalGB  float64       `yaml:"retrieval_per_gb"`
	StorageMonth float64       `yaml:"storage_per_gb_month"`
}

func prices() (priceTable, error) {
	var t priceTable
	if err := yaml.UnmarshalWithOptions(pricesYAML, &t, yaml.Strict()); err != nil {
		return t, fmt.Errorf("read price table: %w", err)
	}
	return t, nil
}

// gb is what AWS bills as one GB.
const gb = 1 << 30

// charge is what a bill adds up: requests by class and bytes by direction, of
// one copy.
type charge struct{ puts, gets, lists, sent, received float64 }

// chargeOf is how a store's calls would be billed; count/verb.go has the cases
// where a call is not one request.
func chargeOf(u count.Usage) (c charge) {
	for v := range u {
		verb, n := count.Verb(v), u[v]
		switch verb {
		case count.Put, count.Swap, count.Create:
			c.puts += float64(n.Requests)
		case count.Get, count.GetRange, count.Read, count.Open, count.ReadAt:
			c.gets += float64(n.Requests)
		case count.List:
			c.lists += float64(n.Requests)
		}
		switch {
		case verb.Writes():
			c.sent += float64(n.Bytes)
		case verb != count.List:
			c.received += float64(n.Bytes)
		}
	}
	return c
}

// dollars is the price of a charge: what is written goes to every copy, what is
// read comes from one.
func (p storePrice) dollars(c charge) float64 {
	written := (c.puts*p.Put+c.lists*p.List)/1000 + c.sent/gb*p.UploadGB
	return p.Copies*written + c.gets*p.Get/1000 + c.received/gb*p.RetrievalGB
}

// chunks is how many chunks a second the log would make there, of so many raw
// bytes and batches a second: those that are full, or one each linger.
func (p storePrice) chunks(rawPerSecond, batchesPerSecond float64) float64 {
	return max(rawPerSecond/p.ChunkBytes, min(1/p.Linger.Seconds(), batchesPerSecond))
}
