package query

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// pattern is a compiled like pattern: parts between the %s, each matched at
// its leftmost place, which is enough as nothing but % varies in length.
type pattern struct {
	parts    []part
	head     bool // the first part must stand at the start: the pattern does not begin with %
	tail     bool // the last part must stand at the end
	wildcard bool // there is a %; without one the only part is the whole
}

// part is a run of characters and _s.
type part struct {
	text  []byte // characters; a _ has a zero byte
	holes []bool // where text has a _; nil when it has none
}

// compilePattern reads a like pattern; rule says what it breaks, if anything.
func compilePattern(src, escape string) (p pattern, rule string) {
	if len(src) > MaxPatternBytes {
		return pattern{}, fmt.Sprintf("a like pattern is at most %d bytes", MaxPatternBytes)
	}
	var cur part
	end := func() {
		if len(cur.text) > 0 {
			p.parts = append(p.parts, cur)
		}
		cur = part{}
	}
	p.head = true
	for rest := src; rest != ""; {
		_, n := utf8.DecodeRuneInString(rest)
		r := rest[:n]
		rest = rest[n:]
		switch {
		case r == escape:
			_, n := utf8.DecodeRuneInString(rest)
			next := rest[:n]
			if next != "%" && next != "_" && next != escape {
				return pattern{}, "the escape character stands before %, _ or itself"
			}
			cur.add(next)
			rest = rest[n:]
			p.tail = true
		case r == "%":
			if len(p.parts) == 0 && len(cur.text) == 0 {
				p.head = false
			}
			end()
			p.wildcard, p.tail = true, false
		case r == "_":
			cur.addHole()
			p.tail = true
		default:
			cur.add(r)
			p.tail = true
		}
	}
	end()
	return p, ""
}

func (p *part) add(r string) {
	p.text = append(p.text, r...)
	if p.holes != nil {
		p.holes = append(p.holes, make([]bool, len(r))...)
	}
}

func (p *part) addHole() {
	if p.holes == nil {
		p.holes = make([]bool, len(p.text))
	}
	p.text = append(p.text, 0)
	p.holes = append(p.holes, true)
}

// matchAt is the number of bytes of s that the part takes at its start, or -1.
func (p *part) matchAt(s []byte) int {
	if p.holes == nil {
		if bytes.HasPrefix(s, p.text) {
			return len(p.text)
		}
		return -1
	}
	at := 0
	for i, c := range p.text {
		switch {
		case at >= len(s):
			return -1
		case p.holes[i]:
			_, n := utf8.DecodeRune(s[at:])
			at += n
		case s[at] != c:
			return -1
		default:
			at++
		}
	}
	return at
}

// find is the leftmost place of the part in s and the bytes it takes there, or
// -1.
func (p *part) find(s []byte) (at, n int) {
	if p.holes == nil {
		return bytes.Index(s, p.text), len(p.text)
	}
	for at < len(s) {
		if n := p.matchAt(s[at:]); n >= 0 {
			return at, n
		}
		_, step := utf8.DecodeRune(s[at:])
		at += step
	}
	return -1, 0
}

// matchEnd reports whether the part takes the last bytes of s.
func (p *part) matchEnd(s []byte) bool {
	if p.holes == nil {
		return bytes.HasSuffix(s, p.text)
	}
	at := len(s)
	for i := len(p.text) - 1; i >= 0; i-- {
		switch {
		case at <= 0:
			return false
		case p.holes[i]:
			_, n := utf8.DecodeLastRune(s[:at])
			at -= n
		case s[at-1] != p.text[i]:
			return false
		default:
			at--
		}
	}
	return true
}

// match reports whether the pattern is like s.
func (p *pattern) match(s []byte) bool {
	parts := p.parts
	if !p.wildcard {
		if len(parts) == 0 {
			return len(s) == 0
		}
		return parts[0].matchAt(s) == len(s)
	}
	if p.head && len(parts) > 0 {
		n := parts[0].matchAt(s)
		if n < 0 {
			return false
		}
		s, parts = s[n:], parts[1:]
	}
	for len(parts) > 1 || len(parts) == 1 && !p.tail {
		at, n := parts[0].find(s)
		if at < 0 {
			return false
		}
		s, parts = s[at+n:], parts[1:]
	}
	return len(parts) == 0 || parts[0].matchEnd(s)
}

// prefix is what every value that is like the pattern begins with.
func (p *pattern) prefix() []byte {
	if !p.head || len(p.parts) == 0 {
		return nil
	}
	first := p.parts[0]
	for i, hole := range first.holes {
		if hole {
			return first.text[:i]
		}
	}
	return first.text
}

// exact is the only value that is like the pattern, if there is only one.
func (p *pattern) exact() (string, bool) {
	switch {
	case p.wildcard:
		return "", false
	case len(p.parts) == 0:
		return "", true
	default:
		return string(p.parts[0].text), p.parts[0].holes == nil
	}
}
