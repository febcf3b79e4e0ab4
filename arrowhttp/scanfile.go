package arrowhttp

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/trinedb/trine/schema"
)

// scanFile answers GET C/scan.arrow: the Arrow file form, with Content-Length,
// ETag and ranges. A request without Range reads the state of now; one with
// Range reads from the file that If-Range names, or else its client was last given,
// while it is kept.
func scanFile(q *request) error {
	c, err := q.collection()
	if err != nil {
		return err
	}
	if _, err := q.scanRequest(c); err != nil {
		return err
	}
	file, err := q.spooled(c)
	if err != nil {
		return err
	}
	defer file.release()
	h := q.w.Header()
	h.Set("Content-Type", typeArrowFile)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", file.etag)
	if q.r.Header.Get("Range") == "" && q.r.Method == http.MethodGet {
		q.w.rows = file.rows
	}
	http.ServeContent(q.w, q.r, "", time.Time{}, file.reader())
	return nil
}

// spooled finds the file for a request, or builds it.
func (q *request) spooled(c *schema.Collection) (*spoolFile, error) {
	query := fmt.Sprintf("%d/%d?%s", c.Instance, c.Schema.ID, q.query.Encode())
	client := clientID(q.r)
	if q.r.Header.Get("Range") != "" {
		least, _ := schema.ParsePosition(q.r.Header.Get(HeaderAtLeast)) // none: before everything
		tag := q.r.Header.Get("If-Range")
		file := q.s.spool.find(query, client, func(f *spoolFile) bool {
			return (tag == f.etag || tag == "" && f.servedLocked(client)) && f.position.Compare(least) >= 0
		})
		if file != nil {
			q.setPosition(file.position)
			return file, nil
		}
	}
	// A file that was built when the collection was at the same seq holds the
	// same rows: what is in it is at least that, and nothing was added since.
	next, err := q.s.backend.Changes.NextSeq(q.ctx(), c)
	if err != nil {
		return nil, err
	}
	file := q.s.spool.find(query, client, func(f *spoolFile) bool { return f.nextSeq == next })
	if file != nil {
		return file, nil // Trine-Position stays that of now, which it is good for
	}
	if file, err = q.buildFile(c); err != nil {
		return nil, err
	}
	file.query, file.nextSeq = query, next
	q.s.spool.add(file, client)
	q.setPosition(file.position)
	return file, nil
}

// buildFile scans into a new file of the spool.
func (q *request) buildFile(c *schema.Collection) (*spoolFile, error) {
	_, sc, err := q.openScan()
	if err != nil {
		return nil, err
	}
	defer q.closeScan(sc)
	file, err := q.s.spool.create()
	if err != nil {
		return nil, err
	}
	file.position, file.snapshot = sc.Position, sc.SnapshotID
	if err := q.fillFile(c, sc, file); err != nil {
		file.discard()
		return nil, err
	}
	return file, nil
}

func (q *request) fillFile(c *schema.Collection, sc *ScanStream, file *spoolFile) error {
	buf := file.writer()
	shape := withMetadata(sc.Schema, c, sc.Position, sc.SnapshotID)
	w, err := ipc.NewFileWriter(buf, ipc.WithSchema(shape))
	if err != nil {
		return fmt.Errorf("spool scan: %w", err)
	}
	err = q.eachBatch(sc, func(batch arrow.RecordBatch) error {
		for from := int64(0); from < batch.NumRows(); {
			rows := fitRows(batch, from, min(batch.NumRows()-from, maxBatchRows))
			slice := batch.NewSlice(from, from+rows)
			piece := array.NewRecordBatch(shape, slice.Columns(), rows)
			err := w.Write(piece)
			piece.Release()
			slice.Release()
			if err != nil {
				return fmt.Errorf("spool scan: %w", err)
			}
			from += rows
			file.rows += rows
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("spool scan: %w", err)
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("spool scan: %w", err)
	}
	return nil
}

// clientID tells clients apart well enough to keep one on the same file.
func clientID(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	sum := sha256.Sum256([]byte(host + "\x00" + r.UserAgent() + "\x00" + r.Header.Get("Authorization")))
	return hex.EncodeToString(sum[:16])
}
