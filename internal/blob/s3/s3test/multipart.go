package s3test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
)

type upload struct {
	key   string
	parts map[int]object
}

// minPart is the size below which only the last part may be.
const minPart = 5 << 20

func (s *Server) beginLocked(r *Request) *result {
	type answer struct {
		XMLName     struct{} `xml:"InitiateMultipartUploadResult"`
		Bucket, Key string
		UploadID    string `xml:"UploadId"`
	}
	id := s.randomLocked()
	s.uploads[id] = &upload{key: r.Key, parts: map[int]object{}}
	return document(answer{Bucket: s.o.Bucket, Key: r.Key, UploadID: id})
}

func (s *Server) uploadLocked(r *Request) (*upload, string) {
	id := r.http.URL.Query().Get("uploadId")
	if u := s.uploads[id]; u != nil && u.key == r.Key {
		return u, id
	}
	return nil, id
}

func (s *Server) partLocked(r *Request) *result {
	u, _ := s.uploadLocked(r)
	if u == nil {
		return failed(http.StatusNotFound, "NoSuchUpload")
	}
	n, err := strconv.Atoi(r.http.URL.Query().Get("partNumber"))
	if err != nil || n < 1 || n > 10_000 {
		return failed(http.StatusBadRequest, "InvalidArgument")
	}
	sum := md5.Sum(r.body)
	o := object{data: r.body, etag: `"` + hex.EncodeToString(sum[:]) + `"`, crc: crc32c(r.body)}
	u.parts[n] = o
	return &result{status: http.StatusOK, header: map[string]string{"ETag": o.etag, "x-amz-checksum-crc32c": o.crc}}
}

func (s *Server) abortLocked(r *Request) *result {
	u, id := s.uploadLocked(r)
	if u == nil {
		return failed(http.StatusNotFound, "NoSuchUpload")
	}
	delete(s.uploads, id)
	return &result{status: http.StatusNoContent}
}

// completeLocked makes an object of the parts, in the order that is told.
func (s *Server) completeLocked(r *Request) *result {
	u, id := s.uploadLocked(r)
	if u == nil {
		return failed(http.StatusNotFound, "NoSuchUpload")
	}
	var order struct {
		Part []struct {
			PartNumber     int
			ETag           string
			ChecksumCRC32C string
		}
	}
	if err := xml.Unmarshal(r.body, &order); err != nil || len(order.Part) == 0 {
		return failed(http.StatusBadRequest, "MalformedXML")
	}
	if result := s.conditionLocked(r); result != nil {
		return result
	}
	var data []byte
	for i, p := range order.Part {
		part, ok := u.parts[p.PartNumber]
		if !ok || p.ETag != part.etag || p.ChecksumCRC32C != "" && p.ChecksumCRC32C != part.crc {
			return failed(http.StatusBadRequest, "InvalidPart")
		}
		if i > 0 && p.PartNumber <= order.Part[i-1].PartNumber {
			return failed(http.StatusBadRequest, "InvalidPartOrder")
		}
		if i < len(order.Part)-1 && len(part.data) < minPart {
			return failed(http.StatusBadRequest, "EntityTooSmall")
		}
		data = append(data, part.data...)
	}
	delete(s.uploads, id)
	sum := md5.Sum(data)
	o := object{data: data, etag: fmt.Sprintf(`"%x-%d"`, sum, len(order.Part))}
	if s.o.Express {
		o.etag = `"` + s.randomLocked() + `"`
	}
	s.objects[r.Key] = o
	type answer struct {
		XMLName     struct{} `xml:"CompleteMultipartUploadResult"`
		Bucket, Key string
		ETag        string
	}
	return document(answer{Bucket: s.o.Bucket, Key: r.Key, ETag: o.etag})
}
