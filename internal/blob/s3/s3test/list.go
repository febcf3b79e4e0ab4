package s3test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// listLocked lists keys: of Standard in order, of Express by a hash, so that
// pages fit together and the order means nothing.
func (s *Server) listLocked(r *Request) *result {
	q := r.http.URL.Query()
	prefix, after, token := q.Get("prefix"), q.Get("start-after"), q.Get("continuation-token")
	if d := q.Get("delimiter"); d != "" {
		return failed(http.StatusNotImplemented, "NotImplemented") // no one uses it
	}
	if s.o.Express && (after != "" || prefix != "" && !strings.HasSuffix(prefix, "/")) {
		return failed(http.StatusBadRequest, "InvalidRequest")
	}
	rank := func(key string) string { return key }
	if s.o.Express {
		rank = func(key string) string { return shuffled(s.o.Seed, key) }
	}
	var keys []string
	for key := range s.objects {
		if strings.HasPrefix(key, prefix) && key > after && rank(key) > token {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
	type content struct{ Key string }
	type answer struct {
		XMLName               struct{} `xml:"ListBucketResult"`
		Name, Prefix          string
		EncodingType          string `xml:",omitempty"`
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []content
	}
	a := answer{Name: s.o.Bucket, Prefix: prefix, EncodingType: q.Get("encoding-type")}
	if len(keys) > s.o.PageKeys {
		keys, a.IsTruncated = keys[:s.o.PageKeys], true
		a.NextContinuationToken = rank(keys[len(keys)-1])
	}
	for _, key := range keys {
		if a.EncodingType == "url" {
			key = url.QueryEscape(key)
		}
		a.Contents = append(a.Contents, content{key})
	}
	return document(a)
}

// shuffled is where a key comes in a listing without order.
func shuffled(seed uint64, key string) string {
	sum := sha256.Sum256(append(binary.LittleEndian.AppendUint64(nil, seed), key...))
	return hex.EncodeToString(sum[:])
}
