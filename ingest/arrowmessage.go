package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/schema"
)

// maxArrowMetadataBytes bounds the metadata of one message, which is as large
// as a schema's columns are many.
const maxArrowMetadataBytes = 1 << 20

// arrowMessages reads the messages of an Arrow IPC stream for ipc.Reader, in
// place of Arrow's own reader: it believes no length before it is checked, and
// it decompresses bodies itself, within the batch's limits.
//
//	+-------------+-----------------+----------+------+
//	| FF FF FF FF | metadata length | metadata | body |   a message
//	+-------------+-----------------+----------+------+
//	| FF FF FF FF | 00 00 00 00     |   the end of the stream
//	+-------------+-----------------+
type arrowMessages struct {
	in    *body
	check arrowCheck
	ended bool // the end of the stream was met
}

func newArrowMessages(in *body, o *Options) *arrowMessages {
	return &arrowMessages{in: in, check: arrowCheck{in: in, maxRows: int64(o.MaxBatchRecords)}}
}

// Retain and Release are of ipc.MessageReader; memory is the collector's.
func (m *arrowMessages) Retain()  {}
func (m *arrowMessages) Release() {}

// errCut is a stream that stops before its end.
var errCut = errors.New("it is cut off: there is no end-of-stream marker")

// Message reads the next message, or io.EOF at the end of the stream.
func (m *arrowMessages) Message() (msg *ipc.Message, err error) {
	defer func() {
		if p := recover(); p != nil { // flatbuffers rely on the runtime's bounds
			msg, err = nil, fmt.Errorf("message metadata: %v", p)
		}
	}()
	if m.ended {
		return nil, io.EOF
	}
	size, err := m.metadataLength()
	if err != nil {
		return nil, err
	}
	if size == 0 {
		m.ended = true
		return nil, io.EOF
	}
	meta, err := m.read(size)
	if err != nil {
		return nil, err
	}
	bodyLen, err := bodyLength(meta)
	if err != nil {
		return nil, err
	}
	if bodyLen > m.in.maxBytes {
		return nil, fmt.Errorf("a message of %d bytes is over the batch's limit of %d: %w", bodyLen, m.in.maxBytes, schema.ErrTooLarge)
	}
	data, err := m.read(bodyLen)
	if err != nil {
		return nil, err
	}
	if data, err = m.check.message(meta, data); err != nil {
		return nil, err
	}
	return ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes(data)), nil
}

// metadataLength reads up to a message's metadata; 0 is the stream's end.
func (m *arrowMessages) metadataLength() (int64, error) {
	const continuation = 0xFFFFFFFF // streams from before Arrow 0.15 lack it
	word, err := m.word()
	if err == nil && word == continuation {
		word, err = m.word()
	}
	switch {
	case err != nil:
		return 0, err
	case word == 0:
		return 0, nil
	case word < 8 || word > maxArrowMetadataBytes:
		return 0, fmt.Errorf("message metadata of %d bytes: at most %d are read", word, maxArrowMetadataBytes)
	}
	return int64(word), nil
}

func (m *arrowMessages) word() (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(m.in, b[:]); err != nil {
		return 0, cutOff(err)
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}

// read reads n bytes, without believing beforehand that there are so many.
func (m *arrowMessages) read(n int64) ([]byte, error) {
	const believed = 64 << 10
	var buf bytes.Buffer
	buf.Grow(int(min(n, believed)))
	if _, err := io.CopyN(&buf, m.in, n); err != nil {
		return nil, cutOff(err)
	}
	return buf.Bytes(), nil
}

// cutOff makes of the body's end an error, as ipc.Reader takes an EOF for the
// stream's.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	return err
}

// end demands that nothing follows the end of the stream.
func (m *arrowMessages) end() error {
	var b [1]byte
	switch n, err := m.in.Read(b[:]); {
	case n > 0:
		return schema.FieldErrors{{Rule: "there is more after the Arrow stream's end: send one stream"}}
	case err == io.EOF || err == nil:
		return nil
	default:
		return err
	}
}
