package arrowhttp

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/url"
	"strconv"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// A token of a batch says where a scan goes on after it: what the scan reads, and
// how far the batch went.
//
//	version(1) query(8) then uvarints: instance, schema, snapshot, lake to + 1, from, to,
//	generation, chunk, file, tail (0 or 1), rows of the part, rows of the scan   in base64url
//
// query is of a hash of the parameters: a scan goes on as it began. A token is not a
// secret, and is believed nothing but which rows to leave out.
const resumeVersion = 1

// resumePoint is a token, read.
type resumePoint struct {
	query    uint64
	instance schema.Instance
	schema   schema.SchemaID
	at       query.ScanPoint
	sent     int64 // rows until there, in all
}

// String is the token.
func (p *resumePoint) String() string {
	s, at := &p.at.State, &p.at.Place
	tail := uint64(0)
	if at.Tail {
		tail = 1
	}
	b := binary.BigEndian.AppendUint64([]byte{resumeVersion}, p.query)
	for _, n := range []uint64{
		uint64(p.instance), uint64(p.schema), uint64(s.Snapshot), uint64(s.LakeTo) + 1, uint64(s.From), uint64(s.To),
		uint64(s.Position.Generation), s.Position.Chunk, uint64(at.File), tail, uint64(at.Rows), uint64(p.sent),
	} {
		b = binary.AppendUvarint(b, n)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseResume(text string) (*resumePoint, error) {
	bad := invalid("parameter resume: not a token that a batch of a scan gave")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < 9 || b[0] != resumeVersion {
		return nil, bad
	}
	p := &resumePoint{query: binary.BigEndian.Uint64(b[1:])}
	var n [12]uint64
	b = b[9:]
	for i := range n {
		var size int
		if n[i], size = binary.Uvarint(b); size <= 0 {
			return nil, bad
		}
		b = b[size:]
	}
	const most32, most63 = 1<<32 - 1, 1<<63 - 1
	for i, limit := range [12]uint64{1: most32, 2: most63, 4: most63, 5: most63, 6: most32, 8: most32, 9: 1, 10: most63, 11: most63} {
		if limit > 0 && n[i] > limit {
			return nil, bad
		}
	}
	if len(b) > 0 || n[10] > n[11] {
		return nil, bad
	}
	p.instance, p.schema = schema.Instance(n[0]), schema.SchemaID(n[1])
	p.at.State = query.ScanState{
		Snapshot: int64(n[2]), LakeTo: schema.Seq(n[3] - 1), From: schema.Seq(n[4]), To: schema.Seq(n[5]),
		Position: schema.Position{Generation: uint32(n[6]), Chunk: n[7]},
	}
	p.at.Place = query.ScanPlace{File: uint32(n[8]), Tail: n[9] == 1, Rows: int64(n[10])}
	p.sent = int64(n[11])
	return p, nil
}

// resumeScan reads the parameter resume into req.
func (q *request) resumeScan(c *schema.Collection, req *query.Scan) error {
	text := q.query.Get("resume")
	if text == "" {
		return nil
	}
	p, err := parseResume(text)
	if err != nil {
		return err
	}
	switch {
	case p.query != scanQueryHash(q.query):
		return invalid("parameter resume: a token of a scan with other parameters; keep them as they were")
	case p.instance != c.Instance:
		return fmt.Errorf("parameter resume: a token of another collection, or of this one before it was dropped: %w", schema.ErrTrimmed)
	case p.schema != c.Schema.ID:
		return fmt.Errorf("parameter resume: the schema of %s has changed since: %w", c, schema.ErrTrimmed)
	}
	req.Resume, q.resumed = &p.at, p
	if req.Limit > 0 {
		if req.Limit -= p.sent; req.Limit <= 0 {
			req.Limit, q.exhausted = 0, true
		}
	}
	return nil
}

// resumeToken is the token of a batch that ends so many rows after the place where
// the scan's own batch begins; "" if the scan cannot go on.
func (q *request) resumeToken(c *schema.Collection, sc *ScanStream, rows, sent int64) string {
	if sc.State == nil {
		return ""
	}
	p := resumePoint{
		query: scanQueryHash(q.query), instance: c.Instance, schema: c.Schema.ID,
		at: query.ScanPoint{State: *sc.State, Place: sc.Place()}, sent: sent,
	}
	p.at.Place.Rows += rows
	if q.resumed != nil {
		p.sent += q.resumed.sent
	}
	return p.String()
}

// scanQueryHash is of the parameters that say which rows a scan gives, and in which
// columns.
func scanQueryHash(values url.Values) uint64 {
	h := sha256.New()
	for _, name := range []string{"columns", "where", "limit", "at_seq", "snapshot"} {
		fmt.Fprintf(h, "%s=%s\n", name, strconv.Quote(values.Get(name)))
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}
