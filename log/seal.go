package log

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// maxSealTries bounds how often a zone is tried anew at one number, because the
// outcome of a try is not known or because something else came there meanwhile.
const maxSealTries = 4

// sealer is a take-over of a channel in three zones, after it raised the epoch.
type sealer struct {
	z      *zones
	own    ownership
	epoch  schema.Epoch // ours
	before schema.Epoch // that of the owner before: a zone may still be at it when own has changed
	micros int64        // of the last chunk seen

	mu  sync.Mutex // for enc
	enc *chunk.Encoder
}

// seal is what a zone has at a number once an earlier owner cannot put there any
// more.
type seal struct {
	zone    int
	seen    bool         // a chunk of the owner before, which may have been acknowledged
	hdr     chunk.Header // its header
	version blob.Version // of our marker; empty: something void is there
}

// secure decides, number by number, what counts of what the owner before may have
// acknowledged, and records that in the head.
func (z *zones) secure(ctx context.Context, own ownership, known uint64, made bool) (ownership, schema.Epoch, error) {
	enc, err := chunk.NewEncoder()
	if err != nil {
		return own, 0, err
	}
	s := &sealer{z: z, own: own, epoch: own.head.Epoch, before: own.head.Serves, enc: enc}
	h := &s.own.head
	h.cover(known) // our own, durable in two zones: it is ours that serves
	n := h.Sealed + 1
	for ; ; n++ {
		counts, err := s.decide(ctx, n)
		if err != nil {
			return own, 0, err
		}
		if !counts {
			break
		}
	}
	wide := uint64(h.InFlight)
	if made && n == 1 {
		wide = uint64(z.c.o.InFlight) // a new channel: nobody had it before
	}
	if err := s.sealAll(ctx, n+1, n+wide-1); err != nil {
		return own, 0, err
	}
	h.cover(n - 1)
	if err := s.last(ctx); err != nil {
		return own, 0, err
	}
	h.Sealed, h.Serves, h.InFlight = n+wide-1, h.Epoch, z.c.o.InFlight
	s.own.fence, s.own.last = n, h.Sealed
	s.own.timeMicros = max(s.micros, z.c.o.Now().UnixMicro())
	if err := s.record(ctx); err != nil {
		return own, 0, err
	}
	return s.own, 0, nil
}

// last reads the last chunk that counts whole, to find damage now rather than in
// a week, and notes its time.
func (s *sealer) last(ctx context.Context) error {
	h := &s.own.head
	k := len(h.Owners)
	if k == 0 || h.Owners[k-1].to <= h.Floor {
		return nil
	}
	last := h.Owners[k-1]
	r, err := s.z.readFrom(ctx, s.z.order(-1), last.to, last.epoch, s.z.c.readWhole)
	if err != nil {
		return s.z.c.missing(ctx, err, s.z.c.at(last.to))
	}
	s.micros = max(s.micros, r.header.TimeMicros)
	return nil
}

// decide seals one number, and sees to it that two zones have what one has there.
// It reports whether something is there.
func (s *sealer) decide(ctx context.Context, n uint64) (bool, error) {
	found, err := s.seal(ctx, n)
	if err != nil {
		return false, err
	}
	for _, f := range found {
		if f.seen {
			s.micros = max(s.micros, f.hdr.TimeMicros)
			return true, s.adopt(ctx, n, found)
		}
	}
	return false, nil
}

// sealAll seals numbers whose content does not matter: they come after one that
// is empty.
func (s *sealer) sealAll(ctx context.Context, from, to uint64) error {
	var wg sync.WaitGroup
	errs := make([]error, to+1-from)
	for n := from; n <= to; n++ {
		wg.Go(func() { _, errs[n-from] = s.seal(ctx, n) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// seal seals a number in two zones at least, and tells what they have.
func (s *sealer) seal(ctx context.Context, n uint64) ([]seal, error) {
	marker, err := s.marker(n)
	if err != nil {
		return nil, err
	}
	type result struct {
		seal
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a marker that lands late is as good as one that does not
	results := make(chan result, zoneCount)
	for i := range s.z.zones {
		go func() {
			got, err := s.sealIn(ctx, i, n, marker)
			results <- result{got, s.z.zones[i].wrap(err)}
		}()
	}
	var found []seal
	var errs []error
	for range zoneCount {
		r := <-results
		switch {
		case errors.Is(r.err, schema.ErrFenced), errors.Is(r.err, schema.ErrCorrupt), errors.Is(r.err, schema.ErrUnsupported):
			return nil, fmt.Errorf("seal number %d: %w", n, r.err)
		case r.err != nil:
			errs = append(errs, r.err)
			continue
		}
		if found = append(found, r.seal); len(found) == quorum {
			return found, nil
		}
	}
	return nil, fmt.Errorf("seal number %d: %w", n, unavailable(errs))
}

// marker is the object that a number is sealed with.
func (s *sealer) marker(n uint64) ([]byte, error) {
	c := s.z.c
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enc.Append(nil, chunk.Header{
		Kind: chunk.Marker, Channel: c.o.Channel, Position: c.at(n), Epoch: s.epoch,
		TimeMicros: c.o.Now().UnixMicro(), PutID: c.newPutID(), WriterID: c.o.WriterID,
	}, nil, nil)
}

// sealIn seals a number in one zone.
func (s *sealer) sealIn(ctx context.Context, i int, n uint64, marker []byte) (seal, error) {
	var failed error
	for try := range maxSealTries {
		if try > 0 {
			if err := sleep(ctx, time.Duration(try)*10*time.Millisecond); err != nil {
				return seal{}, errors.Join(failed, err)
			}
		}
		got, done, err := s.trySeal(ctx, i, n, marker)
		if done {
			return got, err
		}
		failed = err
	}
	return seal{}, failed
}

// trySeal looks what a zone has at a number and puts our marker there, if it is
// nothing or a marker of before. It is to be tried again if it is not done.
func (s *sealer) trySeal(ctx context.Context, i int, n uint64, marker []byte) (got seal, done bool, err error) {
	c, store, name := s.z.c, s.z.zones[i].Store, s.z.c.name(n)
	got.zone = i
	r, err := c.readHeader(ctx, store, n)
	over := blob.Absent
	switch {
	case errors.Is(err, blob.ErrNotFound):
	case err != nil:
		return got, errors.Is(err, schema.ErrCorrupt) || errors.Is(err, schema.ErrUnsupported), err
	case r.header.Kind == chunk.Marker:
		var data []byte
		if data, over, err = store.Read(ctx, name); err != nil {
			return got, false, err
		}
		if r.header, err = chunk.DecodeHeader(name, c.o.Channel, c.at(n), data); err != nil {
			return got, true, err
		}
		fallthrough
	default:
		got.version = over
		if done, err := s.judge(&got, r.header); done || err != nil {
			return got, true, err
		}
	}
	got.version, err = store.Swap(ctx, name, over, marker)
	return got, err == nil, err
}

// judge tells what it means to meet a header at a number that is being sealed, and
// whether that seals it.
func (s *sealer) judge(got *seal, hdr chunk.Header) (done bool, err error) {
	switch {
	case hdr.Epoch > s.epoch:
		return true, fmt.Errorf("%v at %v is of epoch %d, writer %q, above our %d: %w",
			hdr.Kind, hdr.Position, hdr.Epoch, hdr.WriterID, s.epoch, schema.ErrFenced)
	case hdr.Kind == chunk.Marker:
		return hdr.Epoch == s.epoch, nil
	case hdr.Kind != chunk.Data:
		return true, fmt.Errorf("%v at %v: this is a log in one store: %w", hdr.Kind, hdr.Position, schema.ErrCorrupt)
	}
	got.version, got.hdr = blob.Absent, hdr
	got.seen = hdr.Epoch == s.before
	return true, nil
}

// recordTries bounds how often the swap that records a decision is repeated when
// its outcome is not known.
const recordTries = 4

// record writes into the head what was decided. Whoever took the channel over
// since has changed the head, and so decides anew.
func (s *sealer) record(ctx context.Context) error {
	c := s.z.c
	for try := 1; ; try++ {
		v, err := s.own.head.swap(ctx, c.heads, s.own.version)
		if err == nil {
			s.own.version = v
			return nil
		}
		h, v, rerr := readHead(ctx, c.heads, c.o.Channel)
		switch {
		case rerr != nil:
			err = errors.Join(err, rerr)
		case h.Epoch != s.own.head.Epoch || h.Claim != s.own.head.Claim:
			return fmt.Errorf("epoch %d is %q's: %w", h.Epoch, h.Owner, schema.ErrFenced)
		case h.Serves == h.Epoch: // it landed without our knowing
			s.own.version = v
			return nil
		}
		if try == recordTries || sleep(ctx, time.Duration(try)*10*time.Millisecond) != nil {
			return err
		}
	}
}
