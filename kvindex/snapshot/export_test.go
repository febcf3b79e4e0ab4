package snapshot

import (
	"crypto/sha256"

	"github.com/trinedb/trine/schema"
)

// Named are the names of the tables that a manifest's bytes name.
func Named(channel uint32, number uint64, data []byte) ([]string, error) {
	m, err := decodeManifest(channel, number, data)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range m.tables {
		names = append(names, tableName(channel, t.tableID))
	}
	return names, nil
}

// Reencode decodes a manifest and encodes what it got.
func Reencode(channel uint32, number uint64, data []byte) ([]byte, error) {
	m, err := decodeManifest(channel, number, data)
	if err != nil {
		return nil, err
	}
	return m.encode(), nil
}

// ParseNames reports whether a name is one of a manifest, or of a table.
func ParseNames(channel uint32, name string) (manifest, table bool) {
	_, manifest = parseManifestName(channel, name)
	_, table = parseTableName(channel, name)
	return manifest, table
}

// Golden is a manifest with the names of its tables, for comparison with the bytes
// of version 1.
func Golden() map[string][]byte {
	m := manifest{
		channel: 3, epoch: 7, number: 300, position: schema.Position{Generation: 1, Chunk: 70_000},
		createdMicros: 1_700_000_000_000_000,
		tables: []tableEntry{
			{level: 0, bytes: 16 << 20, tableID: tableID{epoch: 7, number: 300, hash: sha256.Sum256([]byte("new"))}},
			{level: 6, bytes: 300, tableID: tableID{epoch: 2, number: 9, hash: sha256.Sum256([]byte("old"))}},
		},
	}
	empty := manifest{epoch: 1, number: 1}
	return map[string][]byte{
		"manifest":       m.encode(),
		"empty manifest": empty.encode(),
		"manifest name":  []byte(manifestName(3, 300)),
		"table name":     []byte(tableName(3, m.tables[1].tableID)),
	}
}

// Bad is every way in which a manifest with a right checksum breaks a rule.
func Bad() map[string][]byte {
	good := tableEntry{level: 1, bytes: 10, tableID: tableID{epoch: 1, number: 1}}
	with := func(change func(m *manifest)) []byte {
		m := manifest{channel: 3, epoch: 7, number: 300, tables: []tableEntry{good}}
		change(&m)
		return m.encode()
	}
	return map[string][]byte{
		"epoch":         with(func(m *manifest) { m.epoch = 0 }),
		"channel":       with(func(m *manifest) { m.channel = 4 }),
		"number":        with(func(m *manifest) { m.number = 301 }),
		"level":         with(func(m *manifest) { m.tables[0].level = 7 }),
		"order":         with(func(m *manifest) { m.tables = append(m.tables, tableEntry{bytes: 1, tableID: good.tableID}) }),
		"no bytes":      with(func(m *manifest) { m.tables[0].bytes = 0 }),
		"too many":      with(func(m *manifest) { m.tables[0].bytes = -1 }),
		"sum of bytes":  with(func(m *manifest) { m.tables[0].bytes = 1<<63 - 1; m.tables = append(m.tables, good) }),
		"table epoch":   with(func(m *manifest) { m.tables[0].epoch = 8 }),
		"table number":  with(func(m *manifest) { m.tables[0].number = 301 }),
		"epoch of none": with(func(m *manifest) { m.tables[0].epoch = 0 }),
	}
}

// WithTablesOf is a manifest with the tables of another.
func WithTablesOf(t interface{ Fatal(...any) }, channel uint32, number uint64, data []byte, otherNumber uint64, other []byte) []byte {
	m, err := decodeManifest(channel, number, data)
	if err != nil {
		t.Fatal(err)
	}
	o, err := decodeManifest(channel, otherNumber, other)
	if err != nil {
		t.Fatal(err)
	}
	m.tables = o.tables
	return m.encode()
}
