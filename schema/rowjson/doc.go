// Package rowjson turns JSON records into rows and rows into JSON.
//
// Decoding is directed by the schema and strict: one object per record, every
// name known and given once, every value of its field's type and in range,
// UTF-8 that is valid, at most MaxDepth levels, and nothing after the object.
// What is wrong is told by field, value, rule and way out, as many errors of a
// record as can be told apart.
//
// The forms, by type:
//
//	boolean                 true, false
//	int, long               a number without fraction, in range
//	float, double           a number, or "NaN", "Infinity", "-Infinity"
//	decimal(p,s)            out: a string; in: a string or a number
//	date                    "2006-01-02"
//	time                    "15:04:05.999999"
//	timestamp               "2006-01-02T15:04:05.999999"
//	timestamptz             RFC 3339; out: in UTC, with Z
//	string                  a string
//	uuid                    its text form
//	fixed(n), binary        base64, standard alphabet, padded
//	json                    any JSON, embedded as it is
//	struct                  an object
//	list                    an array
//	map with string keys    an object
//	other maps              an array of {"key": …, "value": …}
//
// Caveat: a decoded Value may alias the input and the Decoder's own memory;
// see Decoder for how long it stays good.
package rowjson
