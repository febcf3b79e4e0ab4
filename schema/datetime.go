package schema

import (
	"strconv"
)

// Dates and times are computed here rather than with package time: it has no
// dates before year 0 in text, takes any number of fraction digits and rounds.

const (
	wantDate        = "want a date such as 2024-02-29"
	wantTime        = "want a time of day such as 23:59:59.999999"
	wantTimestamp   = "want a timestamp such as 2024-02-29T23:59:59.999999"
	wantTimestamptz = "want a timestamp with its offset from UTC, such as 2024-02-29T23:59:59.999999Z or …+02:00"
	tooFine         = "has more than 6 digits of a second: microseconds are kept, round it"
	outOfRange      = "is outside of the type's range"
)

// parseDate reads [±]YYYY-MM-DD and returns what follows it. A year of more
// than four digits needs its sign, as ISO 8601 has it.
func parseDate(s string) (days int64, rest string, ok bool) {
	digits := s
	signed := s != "" && (s[0] == '+' || s[0] == '-')
	if signed {
		digits = s[1:]
	}
	n := 0
	for n < len(digits) && digits[n] >= '0' && digits[n] <= '9' {
		n++
	}
	if n < 4 || n > 7 || n > 4 && !signed {
		return 0, s, false
	}
	year, _ := strconv.Atoi(digits[:n])
	if signed && s[0] == '-' {
		year = -year
	}
	rest = digits[n:]
	if len(rest) < 6 || rest[0] != '-' || rest[3] != '-' {
		return 0, s, false
	}
	month, ok1 := twoDigits(rest[1:])
	day, ok2 := twoDigits(rest[4:])
	if !ok1 || !ok2 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, s, false
	}
	return daysFromCivil(int64(year), month, day), rest[6:], true
}

// parseClock reads HH:MM:SS[.fraction] and returns what follows it. rule is
// want if it is not of that form.
func parseClock(s, want string) (micros int64, rest, rule string) {
	if len(s) < 8 || s[2] != ':' || s[5] != ':' {
		return 0, s, want
	}
	h, ok1 := twoDigits(s)
	m, ok2 := twoDigits(s[3:])
	sec, ok3 := twoDigits(s[6:])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || sec > 59 {
		return 0, s, want
	}
	micros = int64(h*3600+m*60+sec) * 1_000_000
	rest = s[8:]
	if rest == "" || rest[0] != '.' {
		return micros, rest, ""
	}
	rest = rest[1:]
	unit := int64(100_000)
	n := 0
	for ; n < len(rest) && rest[n] >= '0' && rest[n] <= '9'; n++ {
		if unit == 0 && rest[n] != '0' {
			return 0, s, tooFine
		}
		micros += unit * int64(rest[n]-'0')
		unit /= 10
	}
	if n == 0 {
		return 0, s, want
	}
	return micros, rest[n:], ""
}

// parseTimestamp reads a date, T or a blank, and a time of day; with zone also
// an offset from UTC, which it takes into account.
func parseTimestamp(s string, zone bool) (micros int64, rule string) {
	want := wantTimestamp
	if zone {
		want = wantTimestamptz
	}
	days, rest, ok := parseDate(s)
	if !ok || rest == "" || rest[0] != 'T' && rest[0] != 't' && rest[0] != ' ' {
		return 0, want
	}
	clock, rest, rule := parseClock(rest[1:], want)
	if rule != "" {
		return 0, rule
	}
	offset := int64(0)
	switch {
	case zone:
		if offset, ok = parseOffset(rest); !ok {
			return 0, want
		}
	case rest != "":
		if _, ok := parseOffset(rest); ok {
			return 0, "has an offset from UTC, and a timestamp has none: leave it out, or make the field a timestamptz"
		}
		return 0, want
	}
	micros, ok = timestampOf(days, clock-offset)
	if !ok {
		return 0, outOfRange
	}
	return micros, ""
}

// parseOffset reads Z or ±HH[[:]MM], whole.
func parseOffset(s string) (micros int64, ok bool) {
	if s == "Z" || s == "z" {
		return 0, true
	}
	if len(s) < 3 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	h, ok := twoDigits(s[1:])
	m, ok2 := 0, true
	switch rest := s[3:]; {
	case len(rest) == 3 && rest[0] == ':':
		m, ok2 = twoDigits(rest[1:])
	case len(rest) == 2:
		m, ok2 = twoDigits(rest)
	case len(rest) != 0:
		return 0, false
	}
	if !ok || !ok2 || h > 18 || m > 59 {
		return 0, false
	}
	micros = int64(h*60+m) * 60_000_000
	if s[0] == '-' {
		micros = -micros
	}
	return micros, true
}

// timestampOf adds up days and microseconds, the latter within two days of 0.
func timestampOf(days, micros int64) (int64, bool) {
	const inner = (1<<63-1)/microsPerDay - 3
	whole := min(max(days, -inner), inner)
	beyond := days - whole
	if beyond < -8 || beyond > 8 {
		return 0, false
	}
	base, add := whole*microsPerDay, beyond*microsPerDay+micros
	sum := base + add
	return sum, sum >= base == (add >= 0)
}

func twoDigits(s string) (int, bool) {
	if len(s) < 2 || s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
		return 0, false
	}
	return int(s[0]-'0')*10 + int(s[1]-'0'), true
}

// appendDate appends days since 1970 as YYYY-MM-DD.
func appendDate(dst []byte, days int64) []byte {
	year, month, day := civilFromDays(days)
	switch {
	case year < 0:
		dst = append(dst, '-')
		year = -year
	case year > 9999:
		dst = append(dst, '+')
	}
	for limit := int64(1000); limit > year && limit > 1; limit /= 10 {
		dst = append(dst, '0')
	}
	dst = strconv.AppendInt(dst, year, 10)
	dst = append(dst, '-', byte('0'+month/10), byte('0'+month%10))
	return append(dst, '-', byte('0'+day/10), byte('0'+day%10))
}

// appendClock appends microseconds since midnight as HH:MM:SS[.ffffff], the
// fraction without zeros at its end.
func appendClock(dst []byte, micros int64) []byte {
	s := micros / 1_000_000
	for i, part := range [...]int64{s / 3600, s / 60 % 60, s % 60} {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, byte('0'+part/10), byte('0'+part%10))
	}
	fraction := micros % 1_000_000
	if fraction == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := int64(100_000); fraction > 0; unit /= 10 {
		dst = append(dst, byte('0'+fraction/unit))
		fraction %= unit
	}
	return dst
}

// appendTimestamp appends microseconds since 1970 as date T time.
func appendTimestamp(dst []byte, micros int64) []byte {
	days, clock := micros/microsPerDay, micros%microsPerDay
	if clock < 0 {
		days, clock = days-1, clock+microsPerDay
	}
	dst = appendDate(dst, days)
	dst = append(dst, 'T')
	return appendClock(dst, clock)
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	default:
		return 31
	}
}

// daysFromCivil and civilFromDays convert between days since 1970-01-01 and
// the proleptic Gregorian calendar, by eras of 400 years that begin in March
// (H. Hinnant, "chrono-compatible low-level date algorithms").
func daysFromCivil(year int64, month, day int) int64 {
	if month <= 2 {
		year--
	}
	era := floorDiv(year, 400)
	yearOfEra := year - era*400
	dayOfYear := int64((153*((month+9)%12)+2)/5 + day - 1)
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return era*146097 + dayOfEra - 719468
}

func civilFromDays(days int64) (year, month, day int64) {
	days += 719468
	era := floorDiv(days, 146097)
	dayOfEra := days - era*146097
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*dayOfYear + 2) / 153
	day = dayOfYear - (153*shifted+2)/5 + 1
	month = (shifted+2)%12 + 1
	year = yearOfEra + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
