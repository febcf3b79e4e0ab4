package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// PutIfAbsent makes a whole object by one conditional request.
// blob.ErrExists: the name is taken, and this call changed nothing.
func (s *Store) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	if err := s.ready(ctx, name); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	if _, err := s.put(ctx, name, blob.Absent, data, blob.ErrExists); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return nil
}

// Swap makes the object hold data if it still is what old says, by one
// conditional request. The Version is the ETag.
func (s *Store) Swap(ctx context.Context, name string, old blob.Version, data []byte) (blob.Version, error) {
	if err := s.ready(ctx, name); err != nil {
		return blob.Absent, fmt.Errorf("swap %s: %w", name, err)
	}
	v, err := s.put(ctx, name, old, data, blob.ErrChanged)
	if err != nil {
		return blob.Absent, fmt.Errorf("swap %s: %w", name, err)
	}
	return v, nil
}

// put sends an object on the condition that it is what old says.
func (s *Store) put(ctx context.Context, name string, old blob.Version, data []byte, refusal error) (blob.Version, error) {
	if int64(len(data)) > MaxPutBytes {
		return blob.Absent, fmt.Errorf("object of %d bytes: at most %d by one request: %w", len(data), int64(MaxPutBytes), schema.ErrInvalid)
	}
	var etag string
	sum := checksum(data)
	f := s.do(ctx, request{
		verb: VerbPut, size: int64(len(data)), refusal: refusal, missing: refusal,
		send: func(ctx context.Context, _ *try) error {
			in := &awss3.PutObjectInput{
				// The SDK takes the reader back from net/http before it
				// returns, so that data is the caller's again.
				Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
				ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c, ChecksumCRC32C: sum,
			}
			in.Bucket, in.Key = s.ref(name)
			if old == blob.Absent {
				in.IfNoneMatch = aws.String("*")
			} else {
				in.IfMatch = aws.String(string(old))
			}
			out, err := s.client.PutObject(ctx, in)
			if err == nil {
				etag = aws.ToString(out.ETag)
			}
			return err
		},
	})
	if f != nil {
		return blob.Absent, f.result()
	}
	return blob.Version(etag), nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the CRC-32C of data as S3 writes it. The store compares it with
// what it received, so that bytes that changed on the way are refused.
func checksum(data []byte) *string {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.Checksum(data, castagnoli))
	return aws.String(base64.StdEncoding.EncodeToString(sum[:]))
}

// Delete removes an object; one that is not there is fine.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := s.ready(ctx, name); err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	if err := s.remove(ctx, s.c.key(name)); err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	return nil
}

func (s *Store) remove(ctx context.Context, key string) error {
	f := s.do(ctx, request{
		verb: VerbDelete, idempotent: true,
		send: func(ctx context.Context, _ *try) error {
			_, err := s.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String(s.c.Bucket), Key: aws.String(key)})
			return err
		},
	})
	if f != nil && !errors.Is(f.kind, blob.ErrNotFound) {
		return f.result()
	}
	return nil
}
