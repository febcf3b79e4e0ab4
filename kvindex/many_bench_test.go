package kvindex_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// manyIndex is an index that a log of many collections, or of one, is applied to.
type manyIndex struct {
	b    *testing.B
	x    *kvindex.Index
	next map[schema.Instance]schema.Seq
	pos  schema.Position
	row  []byte
	keys uint64
}

func newManyIndex(b *testing.B, rowBytes int) *manyIndex {
	x, err := kvindex.Open(benchOptions(b.TempDir()))
	must(b, err)
	b.Cleanup(func() { closeIndex(b, x) })
	m := &manyIndex{b: b, x: x, next: map[schema.Instance]schema.Seq{}, row: make([]byte, rowBytes)}
	for i := range m.row {
		m.row[i] = byte(rand.Uint32())
	}
	return m
}

// apply applies a chunk with a new row for each of the instances, and tells how
// long that took.
func (m *manyIndex) apply(instances []schema.Instance) time.Duration {
	m.pos.Chunk++
	c := &schema.Chunk{Position: m.pos, Epoch: 1, TimeMicros: int64(m.pos.Chunk)}
	where := map[schema.Instance]int{}
	for _, inst := range instances {
		i, ok := where[inst]
		if !ok {
			i = len(c.Groups)
			where[inst] = i
			c.Groups = append(c.Groups, schema.Group{Instance: inst, FirstSeq: m.next[inst]})
		}
		m.keys++
		key := binary.BigEndian.AppendUint64(nil, m.keys*0x9e3779b97f4a7c15) // all different, in no order
		c.Groups[i].Records = append(c.Groups[i].Records, schema.Record{Op: schema.OpUpsert, Key: key, Row: m.row})
		m.next[inst]++
	}
	sort.Slice(c.Groups, func(i, j int) bool { return c.Groups[i].Instance < c.Groups[j].Instance })
	start := time.Now()
	m.x.Stage(c.Position, c.Groups)
	m.x.Publish(c)
	must(m.b, m.x.Apply(context.Background(), c))
	return time.Since(start)
}

// BenchmarkApplyMany applies chunks of 400 new rows, of collections that are
// drawn by Zipf's law with s 1, beside chunks of as many rows of one collection.
func BenchmarkApplyMany(b *testing.B) {
	const collections, perChunk = 300_000, 400
	for _, rowBytes := range []int{1000, 84} {
		b.Run(fmt.Sprintf("row=%d", rowBytes), func(b *testing.B) {
			many, one := newManyIndex(b, rowBytes), newManyIndex(b, rowBytes)
			all := make([]schema.Instance, perChunk)
			for first := 0; first < collections; first += perChunk {
				for i := range all {
					all[i] = schema.FirstUserInstance + schema.Instance(first+i)
				}
				many.apply(all)
			}
			r := rand.New(rand.NewPCG(1, 1))
			top := math.Log(collections)
			var manyTook, oneTook time.Duration
			single := make([]schema.Instance, perChunk)
			for i := range single {
				single[i] = schema.FirstUserInstance
			}
			n, groups := 0, 0
			for b.Loop() {
				distinct := map[schema.Instance]bool{}
				for i := range all { // the inverse of the harmonic sum, about
					all[i] = schema.FirstUserInstance + schema.Instance(math.Exp(r.Float64()*top)) - 1
					distinct[all[i]] = true
				}
				manyTook += many.apply(all)
				oneTook += one.apply(single)
				n, groups = n+perChunk, groups+len(distinct)
			}
			b.ReportMetric(manyTook.Seconds()*1e6/float64(n), "many-µs/row")
			b.ReportMetric(oneTook.Seconds()*1e6/float64(n), "one-µs/row")
			b.ReportMetric(oneTook.Seconds()/manyTook.Seconds(), "of-one's-speed")
			b.ReportMetric(float64(groups)*perChunk/float64(n), "groups/chunk")
			b.ReportMetric(0, "ns/op")
		})
	}
}
