package definition

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"github.com/trinedb/trine/schema"
)

// problem is an error of a file as a whole.
func problem(line int, value, rule string) error {
	return &Error{Problems: schema.FieldErrors{{Line: line, Value: value, Rule: rule}}}
}

// documents reads the documents of a file as trees with lines. JSON is read
// as JSON, strictly, and only what is not JSON as YAML: a YAML parser would
// let pass what JSON forbids, and the other way round.
func documents(data []byte) ([]*yaml.Node, error) {
	if len(data) > MaxFileBytes {
		return nil, fmt.Errorf("%w: a collection file has at most 4 MiB, and this has %d bytes: split it", schema.ErrTooLarge, len(data))
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if i := invalidUTF8(data); i >= 0 {
		return nil, problem(1+bytes.Count(data[:i], []byte("\n")), "", "the file is not UTF-8: save it as UTF-8")
	}
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		tree, jsonErr := readJSON(data)
		if jsonErr == nil {
			return []*yaml.Node{tree}, nil
		}
		// A flow mapping in YAML begins alike; the first key tells them apart.
		if bytes.HasPrefix(bytes.TrimSpace(trimmed[1:]), []byte{'"'}) {
			return nil, jsonErr
		}
	}
	return readYAML(data)
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// yamlLine finds the line in the messages of the YAML parser.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// readYAML reads all documents; empty ones are left out.
func readYAML(data []byte) ([]*yaml.Node, error) {
	var docs []*yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			text := strings.SplitN(err.Error(), "\n", 2)[0]
			line := 0
			if m := yamlLine.FindStringSubmatch(text); m != nil {
				line, _ = strconv.Atoi(m[1])
				text = text[len(m[0]):]
				if strings.HasPrefix(text, "did not find expected") {
					line++ // the parser counts from 0, its scanner from 1
				}
			}
			return nil, problem(line, "", "this is not YAML: "+text)
		}
		if len(doc.Content) == 1 && !isNull(doc.Content[0]) {
			docs = append(docs, doc.Content[0])
		}
		if len(docs) > MaxCollections {
			return nil, problem(doc.Line, "", fmt.Sprintf("a file has at most %d collections: split it", MaxCollections))
		}
	}
}

// isNull reports whether n is a null or empty value.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// jsonTree builds the tree that YAML of the same content has.
type jsonTree struct {
	dec  *jsontext.Decoder
	data []byte
	line int   // of offset seen
	seen int64 // bytes of data whose newlines are counted
}

// readJSON reads one JSON value and nothing after it.
func readJSON(data []byte) (*yaml.Node, error) {
	t := &jsonTree{dec: jsontext.NewDecoder(bytes.NewBuffer(data)), data: data, line: 1}
	n, err := t.value(0)
	if err == nil {
		if _, err = t.dec.ReadToken(); errors.Is(err, io.EOF) {
			return n, nil
		}
		err = orElse(err, "there is something after the JSON value: remove it")
	}
	return nil, t.fail(err)
}

func orElse(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}

// fail tells where and why the JSON could not be read.
func (t *jsonTree) fail(err error) error {
	if e := new(Error); errors.As(err, &e) {
		return e
	}
	text := err.Error()
	if se := new(jsontext.SyntacticError); errors.As(err, &se) {
		text = se.Err.Error()
		if errors.Is(err, jsontext.ErrDuplicateName) {
			text = "the member " + quote(se.JSONPointer.LastToken()) + " is given twice"
		}
		t.advance(se.ByteOffset)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		text = "it ends too early: a bracket or quote is not closed"
		t.advance(int64(len(t.data)))
	}
	return problem(t.line, "", "this is not JSON: "+strings.TrimPrefix(text, "jsontext: "))
}

func (t *jsonTree) advance(offset int64) {
	if offset = min(offset, int64(len(t.data))); offset > t.seen {
		t.line += bytes.Count(t.data[t.seen:offset], []byte("\n"))
		t.seen = offset
	}
}

func (t *jsonTree) value(depth int) (*yaml.Node, error) {
	tok, err := t.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	t.advance(t.dec.InputOffset())
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: t.line}
	switch tok.Kind() {
	case 'n':
		n.Tag, n.Value = "!!null", "null"
	case 't', 'f':
		n.Tag, n.Value = "!!bool", tok.String()
	case '"':
		n.Tag, n.Value, n.Style = "!!str", tok.String(), yaml.DoubleQuotedStyle
	case '0':
		n.Tag, n.Value = "!!int", tok.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	default:
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
		if tok.Kind() == '[' {
			n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		}
		if depth > maxTreeDepth {
			return nil, problem(t.line, "", treeDepthRule)
		}
		for k := t.dec.PeekKind(); k != '}' && k != ']'; k = t.dec.PeekKind() {
			child, err := t.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		_, err = t.dec.ReadToken()
	}
	return n, err
}
