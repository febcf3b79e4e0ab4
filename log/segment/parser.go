package segment

import "github.com/trinedb/trine/log/record"

// parser reads a part of the object that begins at byte at.
type parser struct {
	record.Parser
	name string
	at   int64
}

func newParser(name string, at int64, buf []byte) parser {
	return parser{Parser: record.Parser{Buf: buf}, name: name, at: at}
}

// fail is the error for what was read last; bytes of a compressed block are
// counted as they are decompressed.
func (p *parser) fail(format string, args ...any) error {
	return corrupt(p.name, p.at+int64(p.Off), format, args...)
}
