package kvindex

import (
	"encoding/binary"

	"github.com/trinedb/trine/schema"
)

// space is the first byte of every key; docs/format/index.md draws them all.
type space byte

const (
	spaceMeta        space = 0x01
	spaceStats       space = 0x02
	spaceDirty       space = 0x03
	spaceAnswer      space = 0x04
	spaceDropped     space = 0x05
	spaceReclaim     space = 0x06
	spaceSecondaries space = 0x07
	spaceBuild       space = 0x08
	spaceSweep       space = 0x09
	spaceUpkeep      space = 0x0a
	spaceUse         space = 0x0b
	spaceRow         space = 0x10
	spacePart        space = 0x11
	spaceLocation    space = 0x12
	spaceGroup       space = 0x13
	spaceEntry       space = 0x20
)

// reclaimed are the spaces in which a dropped collection can have many keys.
var reclaimed = [...]space{spaceRow, spacePart, spaceLocation, spaceGroup, spaceEntry, spaceBuild, spaceSweep, spaceSecondaries}

var (
	positionKey  = []byte{byte(spaceMeta), 'p'}
	ungroupedKey = []byte{byte(spaceMeta), 'g'}
)

// prefixLen is the length of space and instance.
const prefixLen = 9

func appendPrefix(dst []byte, s space, inst schema.Instance) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(s)), uint64(inst))
}

func instanceKey(s space, inst schema.Instance) []byte {
	return appendPrefix(make([]byte, 0, prefixLen), s, inst)
}

// instanceOf reads the instance of a key with a prefix.
func instanceOf(key []byte) schema.Instance {
	return schema.Instance(binary.BigEndian.Uint64(key[1:prefixLen]))
}

// appendKey is a key in spaceRow or spaceLocation.
func appendKey(dst []byte, s space, inst schema.Instance, key []byte) []byte {
	return append(appendPrefix(dst, s, inst), key...)
}

func appendGroupKey(dst []byte, inst schema.Instance, first schema.Seq) []byte {
	return binary.BigEndian.AppendUint64(appendPrefix(dst, spaceGroup, inst), uint64(first))
}

const groupKeyLen = prefixLen + 8

func appendPartKey(dst []byte, inst schema.Instance, seq schema.Seq, part int) []byte {
	dst = binary.BigEndian.AppendUint64(appendPrefix(dst, spacePart, inst), uint64(seq))
	return binary.BigEndian.AppendUint16(dst, uint16(part))
}

const partKeyLen = prefixLen + 8 + 2

// secondaryKey is a key in spaceBuild or spaceSweep, or the prefix of an
// index's entries.
func secondaryKey(s space, inst schema.Instance, id schema.IndexID) []byte {
	return appendSecondaryKey(make([]byte, 0, entryPrefixLen), s, inst, id)
}

func appendSecondaryKey(dst []byte, s space, inst schema.Instance, id schema.IndexID) []byte {
	return binary.BigEndian.AppendUint32(appendPrefix(dst, s, inst), uint32(id))
}

// appendEntryKey is the key of an entry: fields and primary key.
func appendEntryKey(dst []byte, inst schema.Instance, id schema.IndexID, entry []byte) []byte {
	return append(appendSecondaryKey(dst, spaceEntry, inst, id), entry...)
}

const entryPrefixLen = prefixLen + 4

// secondaryOf reads the index number of such a key.
func secondaryOf(key []byte) schema.IndexID {
	return schema.IndexID(binary.BigEndian.Uint32(key[prefixLen:entryPrefixLen]))
}

func answerKey(k schema.DedupKey) []byte {
	return append([]byte{byte(spaceAnswer)}, k[:]...)
}
