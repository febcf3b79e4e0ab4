package s3test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"net/http"
	"strings"
	"time"
)

// Op is a kind of request.
type Op string

// The operations that the fake knows.
const (
	Put      Op = "PutObject"
	Get      Op = "GetObject"
	Delete   Op = "DeleteObject"
	List     Op = "ListObjectsV2"
	Begin    Op = "CreateMultipartUpload"
	Part     Op = "UploadPart"
	Complete Op = "CompleteMultipartUpload"
	Abort    Op = "AbortMultipartUpload"
	Session  Op = "CreateSession"
	Other    Op = "other"
)

// Request is what a Hook sees.
type Request struct {
	Op     Op
	Key    string
	N, OpN int // which request it is, of all and of its Op; from 1

	http *http.Request
	body []byte
}

// Header gives a header of the request.
func (r *Request) Header(name string) string { return r.http.Header.Get(name) }

func opOf(r *http.Request, key string) Op {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodGet && q.Has("session"):
		return Session
	case r.Method == http.MethodGet && key == "" && q.Get("list-type") == "2":
		return List
	case key == "":
		return Other
	case r.Method == http.MethodPut && q.Has("partNumber"):
		return Part
	case r.Method == http.MethodPut:
		return Put
	case r.Method == http.MethodGet:
		return Get
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return Abort
	case r.Method == http.MethodDelete:
		return Delete
	case r.Method == http.MethodPost && q.Has("uploads"):
		return Begin
	case r.Method == http.MethodPost && q.Has("uploadId"):
		return Complete
	}
	return Other
}

func crc32c(data []byte) string {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// verify compares the body with the checksums that were sent along.
func (r *Request) verify() *result {
	if strings.Contains(r.Header("Content-Encoding"), "aws-chunked") {
		return failed(http.StatusNotImplemented, "NotImplemented")
	}
	if sum := r.Header("x-amz-checksum-crc32c"); sum != "" && r.Op != Complete && sum != crc32c(r.body) {
		return failed(http.StatusBadRequest, "BadDigest")
	}
	if want, err := hex.DecodeString(r.Header("x-amz-content-sha256")); err == nil && len(want) == sha256.Size {
		if got := sha256.Sum256(r.body); string(got[:]) != string(want) {
			return failed(http.StatusBadRequest, "XAmzContentSHA256Mismatch")
		}
	}
	return nil
}

// authorize looks at whose request it is.
func (s *Server) authorize(r *Request) *result {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, credential, ok := strings.Cut(r.Header("Authorization"), "Credential=")
	if !ok {
		return failed(http.StatusForbidden, "AccessDenied")
	}
	key, _, _ := strings.Cut(credential, "/")
	if !s.o.Express || r.Op == Session {
		if key != AccessKey {
			return failed(http.StatusForbidden, "InvalidAccessKeyId")
		}
		if s.token != "" && r.Header("X-Amz-Security-Token") != s.token {
			return failed(http.StatusBadRequest, "ExpiredToken")
		}
		return nil
	}
	token := r.Header("X-Amz-S3session-Token")
	if token == "" {
		return failed(http.StatusForbidden, "AccessDenied")
	}
	if end, ok := s.sessions[token]; !ok || !time.Now().Before(end) || key != "SESSION" {
		return failed(http.StatusBadRequest, "ExpiredToken")
	}
	return nil
}

// sessionLocked makes a session.
func (s *Server) sessionLocked() *result {
	if !s.o.Express {
		return failed(http.StatusNotImplemented, "NotImplemented")
	}
	type credentials struct {
		AccessKeyID     string `xml:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      string
	}
	type answer struct {
		XMLName     struct{} `xml:"CreateSessionResult"`
		Credentials credentials
	}
	token, end := "session-"+s.randomLocked(), time.Now().Add(s.o.SessionTime)
	s.sessions[token] = end
	return document(answer{Credentials: credentials{"SESSION", "secret", token, end.UTC().Format(time.RFC3339Nano)}})
}

func (s *Server) randomLocked() string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], s.rng.Uint64())
	binary.LittleEndian.PutUint64(b[8:], s.rng.Uint64())
	return hex.EncodeToString(b[:])
}
