package kvindex

// keyFilter is a set of hashes that may tell of one that it has it though it has
// not, one time in some hundreds, and never the other way round. It is a Bloom
// filter whose bits of a hash lie in one line of the processor's cache, and grows by
// a layer when it is full.
type keyFilter struct {
	layers []filterLayer
	room   int // for how many more hashes the last layer is made
}

// filterLayer is a power of two of blocks.
type filterLayer [][8]uint64

// A layer has 16 bits for each hash that it is made for: 32 of them share a block.
// Each is four times the one before, up to 8 MiB.
const (
	blockHashes    = 32
	blockBytes     = 64
	firstBlocks    = 4
	maxLayerBlocks = 8 << 20 / blockBytes
)

// grown is how many bytes more the filter has once another hash is in it.
func (f *keyFilter) grown() int {
	if f.room > 0 {
		return 0
	}
	return f.nextBlocks() * blockBytes
}

func (f *keyFilter) nextBlocks() int {
	if len(f.layers) == 0 {
		return firstBlocks
	}
	return min(4*len(f.layers[len(f.layers)-1]), maxLayerBlocks)
}

// bytes is how much memory the filter takes.
func (f *keyFilter) bytes() (total int) {
	for _, l := range f.layers {
		total += len(l) * blockBytes
	}
	return total
}

func (f *keyFilter) add(hash uint64) {
	if f.room == 0 {
		blocks := f.nextBlocks()
		f.layers = append(f.layers, make(filterLayer, blocks))
		f.room = blocks * blockHashes
	}
	f.room--
	last := f.layers[len(f.layers)-1]
	block := last.block(hash)
	for word, bit := range bitsOf(hash) {
		block[word] |= bit
	}
}

// mayHave reports whether a hash may have been added.
func (f *keyFilter) mayHave(hash uint64) bool {
	bits := bitsOf(hash)
	for i := len(f.layers) - 1; i >= 0; i-- {
		if f.layers[i].has(hash, &bits) {
			return true
		}
	}
	return false
}

// block is the hash's, by its upper half.
func (l filterLayer) block(hash uint64) *[8]uint64 {
	return &l[(hash>>32)&uint64(len(l)-1)]
}

func (l filterLayer) has(hash uint64, bits *[8]uint64) bool {
	block := l.block(hash)
	for word := range bits {
		if block[word]&bits[word] == 0 {
			return false
		}
	}
	return true
}

// bitsOf are a hash's bits in a block, one in each word, by its lower half: each
// multiplier takes other bits of it, as in Parquet's filters.
func bitsOf(hash uint64) (bits [8]uint64) {
	salts := [8]uint32{0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31}
	for i, salt := range salts {
		bits[i] = 1 << (uint32(hash) * salt >> 26)
	}
	return bits
}
