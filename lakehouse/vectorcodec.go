package lakehouse

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/RoaringBitmap/roaring/v2"
)

// A deletion vector, Iceberg's blob type deletion-vector-v1:
//
//	length  u32 big-endian     of magic, bitmaps and all between
//	magic   D1 D3 39 64
//	bitmaps u64 little-endian  how many follow: one for each 2^32 rows
//	key     u32 little-endian  which 2^32 rows
//	bitmap                     32-bit Roaring, the portable format
//	crc     u32 big-endian     CRC-32 of magic to bitmap
//
// Rows of a data file are numbered with 32 bits here, so there is one bitmap, with
// key 0.
const (
	vectorHead = 4 + 4 + 8 // length, magic, bitmaps
	vectorMin  = vectorHead + 4
)

var vectorMagic = [4]byte{0xd1, 0xd3, 0x39, 0x64}

// Limits of a vector that is read. A bitmap of all 2^32 rows that does not run-length
// encode takes 512 MiB, and no data file comes near that; the rows are held as four
// bytes each, and a few bytes of a forged bitmap can stand for all 2^32.
const (
	maxVectorBytes = 64 << 20
	maxVectorRows  = 1 << 28
)

// encodeVector is the deletion vector of some rows, ascending and distinct.
func encodeVector(rows []uint32) ([]byte, error) {
	bitmap := roaring.New()
	bitmap.AddMany(rows)
	bitmap.RunOptimize()
	var buf bytes.Buffer
	buf.Grow(vectorMin + 4 + int(bitmap.GetSerializedSizeInBytes()))
	head := append(make([]byte, 4), vectorMagic[:]...)
	head = binary.LittleEndian.AppendUint64(head, 1)
	buf.Write(binary.LittleEndian.AppendUint32(head, 0))
	if _, err := bitmap.WriteTo(&buf); err != nil {
		return nil, fmt.Errorf("encode deletion vector: %w", err)
	}
	sum := crc32.ChecksumIEEE(buf.Bytes()[4:])
	binary.BigEndian.PutUint32(buf.Bytes(), uint32(buf.Len()-4))
	return binary.BigEndian.AppendUint32(buf.Bytes(), sum), nil
}

// decodeVector gives the rows of a deletion vector that is said to hold n of them,
// ascending and distinct. Nothing in raw is trusted: what it costs is bounded by its
// length and by n.
func decodeVector(raw []byte, n int64) (rows []uint32, err error) {
	defer damage(&err)
	bitmap, err := vectorBitmap(raw)
	if err != nil {
		return nil, err
	}
	if n < 0 || n > maxVectorRows {
		return nil, fmt.Errorf("%d rows, at most %d can be read", n, maxVectorRows)
	}
	if bitmap != nil {
		rows, err = bitmapRows(bitmap, n)
	}
	if err == nil && int64(len(rows)) != n {
		err = fmt.Errorf("%d rows, the manifest says %d", len(rows), n)
	}
	return rows, err
}

// bitmapRows are the rows of a bitmap, at most n.
func bitmapRows(bitmap []byte, n int64) (rows []uint32, err error) {
	b := roaring.New()
	used, err := b.FromBuffer(bitmap)
	if err != nil {
		return nil, err
	}
	if used != int64(len(bitmap)) {
		return nil, fmt.Errorf("bitmap of %d bytes ends after %d", len(bitmap), used)
	}
	// The counts in a bitmap may be forged, and its containers out of order: rows are
	// taken as they come, and looked at.
	it, some := b.ManyIterator(), make([]uint32, 256)
	for {
		got := it.NextMany(some)
		if got == 0 {
			return rows, nil
		}
		if int64(len(rows)+got) > n {
			return nil, fmt.Errorf("more than the %d rows that the manifest says", n)
		}
		for _, row := range some[:got] {
			if len(rows) > 0 && row <= rows[len(rows)-1] {
				return nil, fmt.Errorf("row %d after row %d", row, rows[len(rows)-1])
			}
			rows = append(rows, row)
		}
	}
}

// vectorBitmap checks the frame of a deletion vector and gives its only bitmap, nil
// if it has none.
func vectorBitmap(raw []byte) ([]byte, error) {
	if len(raw) < vectorMin || len(raw) > maxVectorBytes {
		return nil, fmt.Errorf("deletion vector of %d bytes, want %d to %d", len(raw), vectorMin, maxVectorBytes)
	}
	body, sum := raw[4:len(raw)-4], binary.BigEndian.Uint32(raw[len(raw)-4:])
	if length := binary.BigEndian.Uint32(raw); int64(length) != int64(len(body)) {
		return nil, fmt.Errorf("deletion vector of %d bytes says it has %d", len(body), length)
	}
	if [4]byte(body) != vectorMagic {
		return nil, fmt.Errorf("deletion vector begins with % x", body[:4])
	}
	if got := crc32.ChecksumIEEE(body); got != sum {
		return nil, fmt.Errorf("checksum %08x, want %08x", got, sum)
	}
	count, body := binary.LittleEndian.Uint64(body[4:]), body[12:]
	switch {
	case count == 0 && len(body) == 0:
		return nil, nil
	case count != 1 || len(body) < 4:
		return nil, fmt.Errorf("%d bitmaps in %d bytes: rows of a data file have one", count, len(body))
	}
	if key := binary.LittleEndian.Uint32(body); key != 0 {
		return nil, fmt.Errorf("rows from %d on: a data file has at most 2^32", uint64(key)<<32)
	}
	return body[4:], nil
}
