package log

import "time"

// pace decides whether a chunk is worth compressing: if that takes little time
// beside the PUT, as across a network or on a disk with too much to do. On a
// disk that keeps up, a PUT takes no longer than compressing what is put, and
// the processor's time is dearer than the disk's.
//
// It is guarded by the pipeline's mutex.
type pace struct {
	put       time.Duration // that a PUT takes: moving mean
	nanosByte float64       // that compressing a byte takes: moving mean
}

const (
	paceWeight     = 8 // of the past, against one new figure
	firstNanosByte = 3 // until it was measured
	// compressShare is by how much a PUT must take longer than compressing.
	compressShare = 4
)

func (p *pace) stored(took time.Duration) { p.put += (took - p.put) / paceWeight }

func (p *pace) encoded(bytes int64, took time.Duration) {
	p.nanosByte = p.perByte() + (float64(took)/float64(max(bytes, 1))-p.perByte())/paceWeight
}

func (p *pace) perByte() float64 {
	if p.nanosByte == 0 {
		return firstNanosByte
	}
	return p.nanosByte
}

// compress decides about a chunk of so many bytes.
func (p *pace) compress(bytes int64) bool {
	return p.perByte()*float64(bytes)*compressShare <= float64(p.put)
}
