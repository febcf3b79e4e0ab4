package lakehouse

import (
	"fmt"

	"github.com/parquet-go/parquet-go"
)

// columnEncoder encodes batches of shredded rows into the columns of a data file,
// and ends its row groups. Encoding takes about as long as it takes to find and shred
// the rows, so that a file of more than a few batches has a goroutine for it, until it
// is closed or stopped. The file's bytes do not depend on that.
type columnEncoder struct {
	out        *parquet.GenericWriter[any]
	columns    []*parquet.ColumnWriter
	groupBytes int64
	groupRows  int64

	// Of the goroutine, while there is one.
	rows  int64 // of the open row group
	start int64 // size of the file where it began

	batches int // written or under way
	size    int64
	work    chan *shredBatch // nil: there is no goroutine
	done    chan encoded
}

// encoded is a batch that was written, or was not.
type encoded struct {
	batch *shredBatch
	size  int64 // of the file then
	err   error
}

const (
	// encodeAlone is how many batches are written before a goroutine is worth it.
	encodeAlone = 4
	// encodeAhead is how many batches may wait: some milliseconds' worth, which is what
	// a page takes to compress, as one batch in some ends pages. A file may become so
	// much larger than it should.
	encodeAhead = 8
)

func newColumnEncoder(out *parquet.GenericWriter[any], groupBytes, groupRows int64) *columnEncoder {
	return &columnEncoder{out: out, columns: out.ColumnWriters(), groupBytes: groupBytes, groupRows: groupRows}
}

// write takes the shredder's batch and gives it another. It answers the size of the
// file when the batch encodeAhead before was written, or this one, if all are: so
// where files end is no matter of chance.
func (e *columnEncoder) write(s *shredder) (size int64, err error) {
	e.batches++
	if e.batches <= encodeAlone {
		e.size, err = e.encode(s.batch)
		s.batch.clear()
		return e.size, err
	}
	if e.work == nil {
		e.work, e.done = make(chan *shredBatch, encodeAhead), make(chan encoded, encodeAhead)
		go e.run(e.work, e.done)
	}
	e.work <- s.batch
	if e.batches-encodeAlone < encodeAhead {
		s.batch = s.newBatch()
		return e.size, nil
	}
	d := <-e.done
	s.batch, e.size = d.batch, d.size
	s.batch.clear()
	return d.size, d.err
}

// run encodes what comes until there is no more. After an error it encodes nothing.
func (e *columnEncoder) run(work <-chan *shredBatch, done chan<- encoded) {
	defer close(done)
	var size int64
	var err error
	for b := range work {
		if err == nil {
			size, err = e.encode(b)
		}
		done <- encoded{b, size, err}
	}
}

// encode writes a batch, and ends the row group if it is large enough.
func (e *columnEncoder) encode(b *shredBatch) (size int64, err error) {
	if b.rows == 0 {
		return e.out.Size(), nil
	}
	for i, values := range b.columns {
		if _, err := e.columns[i].WriteRowValues(values); err != nil {
			return 0, fmt.Errorf("column %d: %w", i, err)
		}
	}
	e.rows += int64(b.rows)
	size = e.out.Size()
	if size-e.start < e.groupBytes && e.rows < e.groupRows {
		return size, nil
	}
	if err := e.out.Flush(); err != nil {
		return 0, err
	}
	size = e.out.Size()
	e.rows, e.start = 0, size
	return size, nil
}

// close writes what is left, and the footer.
func (e *columnEncoder) close(last *shredBatch) (parquet.FileView, error) {
	if err := e.stop(); err != nil {
		return nil, err
	}
	if _, err := e.encode(last); err != nil {
		return nil, err
	}
	if err := e.out.Close(); err != nil {
		return nil, err
	}
	return e.out.File(), nil
}

// stop waits for the batches that are under way. Nothing can be written after it but
// by close.
func (e *columnEncoder) stop() (err error) {
	if e.work == nil {
		return nil
	}
	close(e.work)
	for d := range e.done {
		err = d.err // the last one's: all after a failure have it
	}
	e.work = nil
	return err
}
