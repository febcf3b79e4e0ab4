package registry

// The codecs of entries and of named schemas.
var (
	Encode      = encode
	Decode      = decode
	EncodeNamed = encodeNamed
	DecodeNamed = decodeNamed
)
