package registry

// Encode and Decode are the codec of entries.
var (
	Encode = encode
	Decode = decode
)
