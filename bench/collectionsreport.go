package bench

import (
	"errors"
	"time"
)

// bareBadger is a Badger with as many rows as there are collections, each of a
// tiny record, opened anew: the floor of what it takes to have them.
func (b *collectionsBench) bareBadger() (s state, err error) {
	dir := b.place.path("badger")
	raw, err := openRawBadger(dir)
	if err != nil {
		return s, err
	}
	if err := raw.close(); err != nil {
		return s, err
	}
	empty, err := diskBytes(dir)
	if err != nil {
		return s, err
	}
	if raw, err = openRawBadger(dir); err != nil {
		return s, err
	}
	i := 0
	err = raw.fill(func() ([]byte, []byte, bool) {
		i++
		return []byte(collectionName(i)), []byte(tinyRecord), i <= b.made
	})
	if err = errors.Join(err, raw.close()); err != nil {
		return s, err
	}
	start := time.Now()
	if raw, err = openRawBadger(dir); err != nil {
		return s, err
	}
	s.opened = time.Since(start)
	if err := raw.close(); err != nil {
		return s, err
	}
	full, err := diskBytes(dir)
	s.index = max(full-empty, 0)
	return s, err
}

func (b *collectionsBench) report(pairs rounds, empty, full, bare state) *Report {
	r := newReport("collections", b.o.Options)
	r.Seconds = pairs.took().Seconds()
	r.Settings.add("collections", float64(b.o.Collections))
	r.Settings.add("workers", float64(b.o.Workers))
	each := func(bytes int64) float64 { return float64(bytes) / float64(b.made) }
	beside := func(name, unit, floor string, a, f float64) Figure {
		return Figure{Name: name, Unit: unit, Ours: a, Floor: f, FloorName: floor, Ratio: quotient(a, f)}
	}
	const one = "a Badger with one such row for each"
	r.Figures = append(r.Figures,
		pairs.rate("create and write", "collections/s", fsyncLoopName, 1),
		beside("index on disk, of an idle one", "B", one, each(full.index-empty.index), each(bare.index)),
		Figure{Name: "log on disk, of an idle one", Unit: "B", Ours: each(full.log - empty.log)},
		beside("restart", "ms", one, micros(full.opened)/1e3, micros(bare.opened)/1e3),
		Figure{Name: "heap of an idle one", Unit: "B", Ours: each(full.rest.heap - empty.rest.heap)},
	)
	if full.rest.resident > 0 {
		r.Figures = append(r.Figures,
			Figure{Name: "RSS of an idle one", Unit: "B", Ours: each(full.rest.resident - empty.rest.resident)},
			Figure{Name: "RSS, files apart, of an idle one", Unit: "B", Ours: each(full.rest.anonymous - empty.rest.anonymous)})
	}
	r.Counts.add("collections", float64(b.made))
	r.Counts.add("restart_ms_before", micros(empty.opened)/1e3)
	r.Counts.add("settled_ms_after", micros(full.settled)/1e3)
	r.Counts.add("goroutines_before", float64(empty.rest.goroutines))
	r.Counts.add("goroutines_after", float64(full.rest.goroutines))
	r.Counts.add("rss_before", float64(empty.rest.resident))
	r.Counts.add("rss_after", float64(full.rest.resident))
	r.Counts.add("index_before", float64(empty.index))
	r.Counts.add("index_after", float64(full.index))
	r.Counts.add("log_before", float64(empty.log))
	r.Counts.add("log_after", float64(full.log))
	r.note("the log is kept whole, and each of its chunks takes at least a block of the file system")
	return r
}
