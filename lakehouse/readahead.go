package lakehouse

import "github.com/apache/iceberg-go"

// Limits of the vectors that are read at once, beside the one that is wanted.
const (
	aheadFiles = 256
	aheadRows  = 1 << 20 // 4 MiB of places
)

// vectorsAhead are the vectors that are not in memory and share the Puffin file of the
// first of some data files, so that they are read with it: what one commit deleted in
// a thousand files then takes a few requests. Of the files after the first, only those
// that are wanted count. It is empty when there is nothing to read for the first.
func vectorsAhead(files []*tableFile, wanted func(*tableFile) bool) (shared []*entry) {
	first := files[0].deletes
	if first == nil || first.rows.Load() != nil || first.file.FileFormat() != iceberg.PuffinFile {
		return nil
	}
	rows := int64(0)
	for _, f := range files[:min(len(files), aheadFiles)] {
		e := f.deletes
		if e == nil || e.rows.Load() != nil || e.file.FilePath() != first.file.FilePath() {
			continue
		}
		if e != first && !wanted(f) {
			continue
		}
		if rows += e.file.Count(); rows > aheadRows && e != first {
			break
		}
		shared = append(shared, e)
	}
	return shared
}
