package ingest

import (
	"bytes"
	"hash/maphash"

	"github.com/trinedb/trine/schema"
)

// keySet finds the record of a batch that has a key, in an open hash table of
// places in the batch. Hashes are seeded, so that nobody can choose keys that
// collide.
type keySet struct {
	seed  maphash.Seed
	slots []int32 // place + 1; 0 is free; a power of two, at most half full
	count int
}

// put adds the key of the record that will be at place len(records), or gives
// the place of the record that has it.
func (k *keySet) put(records []schema.Record, key []byte) (place int, found bool) {
	if k.slots == nil {
		k.seed = maphash.MakeSeed()
		k.slots = make([]int32, 64)
	}
	if 2*(k.count+1) > len(k.slots) {
		k.double(records)
	}
	at := k.find(records, key)
	if k.slots[at] != 0 {
		return int(k.slots[at] - 1), true
	}
	k.slots[at] = int32(len(records)) + 1
	k.count++
	return 0, false
}

// find is the slot that has the key, or the free one where it belongs.
func (k *keySet) find(records []schema.Record, key []byte) uint64 {
	mask := uint64(len(k.slots) - 1)
	at := maphash.Bytes(k.seed, key) & mask
	for k.slots[at] != 0 && !bytes.Equal(records[k.slots[at]-1].Key, key) {
		at = (at + 1) & mask
	}
	return at
}

func (k *keySet) double(records []schema.Record) {
	old := k.slots
	k.slots = make([]int32, 2*len(old))
	mask := uint64(len(k.slots) - 1)
	for _, place := range old {
		if place == 0 {
			continue
		}
		at := maphash.Bytes(k.seed, records[place-1].Key) & mask
		for k.slots[at] != 0 {
			at = (at + 1) & mask
		}
		k.slots[at] = place
	}
}
