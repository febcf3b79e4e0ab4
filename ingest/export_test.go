package ingest

// RecodeGuard decodes a guard and encodes it again.
func RecodeGuard(row []byte) ([]byte, error) {
	g, err := decodeGuard(row)
	return g.append(nil), err
}
