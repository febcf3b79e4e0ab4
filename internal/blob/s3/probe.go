package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// probeFolder holds the probe's objects. It begins with a dot, so that no name
// of an object does, and List passes over it.
const probeFolder = ".trine-probe"

// maxProbes is how often a probe begins anew because an answer was lost.
const maxProbes = 3

// probe makes sure that the store does what package blob promises, on objects
// of its own that it removes:
//
//	PUT  If-None-Match: *   makes an object       the same again is refused
//	PUT  If-Match           of the ETag replaces  of another is refused
//	                                              and where there is nothing
//	GET  Range: bytes=-n    gives the end
//	GET                                           of nothing says so: without
//	                                              s3:ListBucket AWS says 403
//	multipart complete      If-None-Match: * is refused
//
// That takes 6 PUTs, 2 GETs, 4 multipart requests and 2 DELETEs. There are
// servers that ignore conditions: on those two writers would own one channel.
func (s *Store) probe(ctx context.Context) error {
	for n := 1; ; n++ {
		err := s.probeOnce(ctx, s.probeName())
		if err == nil || errors.Is(err, schema.ErrUnsupported) || blob.NoEffect(err) || n == maxProbes {
			return err
		}
		if !s.pause(ctx, n) {
			return err
		}
	}
}

func (s *Store) probeName() string { return probeFolder + "/" + rand.Text() }

func (s *Store) probeOnce(ctx context.Context, name string) (err error) {
	absent := name + "-absent"
	defer func() {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.RequestTimeout+time.Second)
		defer cancel()
		for _, name := range []string{name, absent} {
			if derr := s.remove(cleanup, s.c.key(name)); derr != nil && err == nil {
				err = fmt.Errorf("remove the probe's object: %w: %w", schema.ErrUnavailable, derr)
			}
		}
	}()
	v1, err := s.put(ctx, name, blob.Absent, []byte("first"), blob.ErrExists)
	if err != nil {
		return fmt.Errorf("make an object: %w", err)
	}
	_, err = s.put(ctx, name, blob.Absent, []byte("again"), blob.ErrExists)
	if err := refused(err, blob.ErrExists, "If-None-Match: * on an object that exists"); err != nil {
		return err
	}
	v2, err := s.put(ctx, name, v1, []byte("second"), blob.ErrChanged)
	if err != nil {
		return fmt.Errorf("replace an object by If-Match: %w", err)
	}
	if v1 == blob.Absent || v2 == blob.Absent || v1 == v2 {
		return fmt.Errorf("an object had ETag %q and, once it was changed, %q: %w", v1, v2, schema.ErrUnsupported)
	}
	for _, old := range []blob.Version{v1, `"00000000000000000000000000000000"`} {
		_, err = s.put(ctx, name, old, []byte("third"), blob.ErrChanged)
		if err := refused(err, blob.ErrChanged, "If-Match of another ETag"); err != nil {
			return err
		}
	}
	_, err = s.put(ctx, absent, v2, []byte("none"), blob.ErrChanged)
	if err := refused(err, blob.ErrChanged, "If-Match where there is no object"); err != nil {
		return err
	}
	if _, err = s.get(ctx, absent, span{whole: true}); !errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("a GET where there is no object must be told NoSuchKey, which takes the permission s3:ListBucket: got %w", orUnsupported(err))
	}
	p, err := s.get(ctx, name, span{off: -3, n: 3})
	if err != nil {
		return fmt.Errorf("read the end of an object: %w", err)
	}
	if string(p.data) != "ond" || p.size != 6 {
		return fmt.Errorf("the last 3 bytes of \"second\" were read as %q of %d: %w", p.data, p.size, schema.ErrUnsupported)
	}
	return s.probeMultipart(ctx, name)
}

// probeMultipart completes an upload onto an object that exists.
func (s *Store) probeMultipart(ctx context.Context, name string) error {
	w := &writer{s: s, name: name, slots: make(chan struct{}, 1), buf: []byte("parts")}
	w.ctx, w.cancel = context.WithCancel(ctx)
	defer w.cancel()
	if err := w.begin(); err != nil {
		return fmt.Errorf("begin a multipart upload: %w", err)
	}
	err := w.Commit()
	if err := refused(err, blob.ErrExists, "If-None-Match: * of a multipart upload"); err != nil {
		return fmt.Errorf("upload %s: %w", aws.ToString(w.upload), err)
	}
	return nil
}

// refused makes sure that a condition that does not hold was refused.
func refused(err, kind error, what string) error {
	switch {
	case err == nil:
		return fmt.Errorf("the store ignores %s, so two writers could own one channel: %w", what, schema.ErrUnsupported)
	case errors.Is(err, kind):
		return nil
	default:
		return fmt.Errorf("probe of %s: %w", what, err)
	}
}

// orUnsupported is err, or what a store is that does what it must refuse.
func orUnsupported(err error) error {
	if err == nil {
		return fmt.Errorf("an object: %w", schema.ErrUnsupported)
	}
	return err
}
