package s3test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// object is never changed in place.
type object struct {
	data []byte
	etag string
	crc  string // of the whole; empty for one of parts
}

// conditionLocked decides If-Match and If-None-Match of a write.
func (s *Server) conditionLocked(r *Request) *result {
	if s.o.IgnoreConditions {
		return nil
	}
	o, exists := s.objects[r.Key]
	switch match, none := r.Header("If-Match"), r.Header("If-None-Match"); {
	case none != "" && none != "*":
		return failed(http.StatusNotImplemented, "NotImplemented")
	case none == "*" && exists:
		return failed(http.StatusPreconditionFailed, "PreconditionFailed")
	case match != "" && !exists:
		return failed(http.StatusNotFound, "NoSuchKey")
	case match != "" && match != o.etag:
		return failed(http.StatusPreconditionFailed, "PreconditionFailed")
	}
	return nil
}

func (s *Server) putLocked(r *Request) *result {
	if result := s.conditionLocked(r); result != nil {
		return result
	}
	sum := md5.Sum(r.body)
	o := object{data: r.body, etag: `"` + hex.EncodeToString(sum[:]) + `"`, crc: crc32c(r.body)}
	if s.o.Express {
		o.etag = `"` + s.randomLocked() + `"`
	}
	s.objects[r.Key] = o
	return &result{status: http.StatusOK, header: map[string]string{"ETag": o.etag}}
}

func (s *Server) getLocked(r *Request) *result {
	o, ok := s.objects[r.Key]
	if !ok {
		return failed(http.StatusNotFound, "NoSuchKey")
	}
	if match := r.Header("If-Match"); match != "" && match != o.etag {
		return failed(http.StatusPreconditionFailed, "PreconditionFailed")
	}
	header := map[string]string{"ETag": o.etag, "Content-Type": "binary/octet-stream"}
	spec := r.Header("Range")
	if spec == "" || s.o.IgnoreRanges {
		if r.Header("x-amz-checksum-mode") == "ENABLED" && o.crc != "" {
			header["x-amz-checksum-crc32c"] = o.crc
		}
		return &result{status: http.StatusOK, header: header, body: o.data}
	}
	first, last, err := parseRange(spec, len(o.data))
	if err != nil {
		return failed(http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
	}
	header["Content-Range"] = fmt.Sprintf("bytes %d-%d/%d", first, last, len(o.data))
	return &result{status: http.StatusPartialContent, header: header, body: o.data[first : last+1]}
}

func parseRange(spec string, size int) (first, last int, err error) {
	a, b, ok := strings.Cut(strings.TrimPrefix(spec, "bytes="), "-")
	if !ok || size == 0 {
		return 0, 0, fmt.Errorf("range %q of %d bytes", spec, size)
	}
	if a == "" {
		n, err := strconv.Atoi(b)
		if err != nil || n == 0 {
			return 0, 0, fmt.Errorf("range %q", spec)
		}
		return max(0, size-n), size - 1, nil
	}
	if first, err = strconv.Atoi(a); err != nil || first >= size {
		return 0, 0, fmt.Errorf("range %q of %d bytes", spec, size)
	}
	last = size - 1
	if b != "" {
		n, err := strconv.Atoi(b)
		if err != nil || n < first {
			return 0, 0, fmt.Errorf("range %q", spec)
		}
		last = min(last, n)
	}
	return first, last, nil
}
