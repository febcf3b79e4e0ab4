package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// lineReader reads lines of bounded length. What it gives is good until the
// next call.
type lineReader struct {
	r    *bufio.Reader
	max  int
	line int // number of the last line, from 1
	buf  []byte

	ended bool // nothing is left of the line that was too long
}

func newLineReader(r io.Reader, most int) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10), max: most}
}

// next is the next line without its end, or io.EOF. tooLong tells of a line
// over the bound: nothing of it is given, and rest reads on to its end.
func (l *lineReader) next() (line []byte, tooLong bool, err error) {
	l.line++
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		switch {
		case err == nil && len(l.buf) == 0 && len(part) <= l.max:
			return l.clean(part), false, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF):
			return nil, false, err
		case len(l.buf)+len(part) > l.max:
			l.ended = !errors.Is(err, bufio.ErrBufferFull)
			return nil, true, nil
		}
		l.buf = append(l.buf, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case len(l.buf) == 0:
			return nil, false, io.EOF
		default:
			return l.clean(l.buf), false, nil
		}
	}
}

// rest skips what is left of a line that was too long.
func (l *lineReader) rest() error {
	for !l.ended {
		_, err := l.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
			return err
		}
		l.ended = !errors.Is(err, bufio.ErrBufferFull)
	}
	return nil
}

// clean drops the line's end, and the byte order mark of the first line.
func (l *lineReader) clean(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if l.line == 1 {
		line = bytes.TrimPrefix(line, byteOrderMark)
	}
	return line
}
