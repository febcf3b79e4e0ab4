package lakehouse

import "github.com/apache/iceberg-go"

// EncodeVector and DecodeVector are the codec of deletion vectors.
var (
	EncodeVector = encodeVector
	DecodeVector = decodeVector
)

// EncodePuffin is the Puffin file of the deletes of some data files, given by URI.
func EncodePuffin(uris []string, rows [][]uint32) ([]byte, error) {
	files := make([]fileDeletes, len(uris))
	for i, uri := range uris {
		b, err := iceberg.NewDataFileBuilder(*iceberg.UnpartitionedSpec, iceberg.EntryContentData, uri, iceberg.ParquetFile, nil, nil, nil, 1, 1)
		if err != nil {
			return nil, err
		}
		files[i] = fileDeletes{&entry{file: b.Build()}, rows[i]}
	}
	raw, _, err := encodePuffin(files)
	return raw, err
}

// RecodeFloor decodes a floor and encodes it.
func RecodeFloor(data []byte) ([]byte, error) {
	f, err := parseFloor(data)
	return f.encode(), err
}
