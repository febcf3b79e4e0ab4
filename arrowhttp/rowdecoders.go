package arrowhttp

import (
	"context"
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/trinedb/trine/schema"
)

// rowDecoders are the decoders that were used last: to make one costs more than
// to read a row with it.
type rowDecoders struct {
	schemas Schemas
	kept    *lru.Cache[decoderKey, *schema.RowDecoder]
}

// decoderKey names a decoder: what has a schema's number never changes.
type decoderKey struct{ from, to schema.SchemaID }

// keptDecoders is how many there are, of some KB each.
const keptDecoders = 1024

func newRowDecoders(schemas Schemas) (*rowDecoders, error) {
	kept, err := lru.New[decoderKey, *schema.RowDecoder](keptDecoders)
	if err != nil {
		return nil, fmt.Errorf("keep %d decoders: %w", keptDecoders, err)
	}
	return &rowDecoders{schemas, kept}, nil
}

// get is the decoder of rows of one schema as rows of another.
func (d *rowDecoders) get(ctx context.Context, id schema.SchemaID, to *schema.Schema) (*schema.RowDecoder, error) {
	key := decoderKey{id, to.ID}
	if kept, ok := d.kept.Get(key); ok {
		return kept, nil
	}
	from := to
	if id != to.ID {
		var err error
		if from, err = d.schemas.Schema(ctx, id); err != nil {
			return nil, err
		}
	}
	made := schema.NewRowDecoder(from, to)
	d.kept.Add(key, made)
	return made, nil
}
