package query_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

func field(id int, name string, t schema.Type) schema.Field {
	return schema.Field{ID: id, Name: name, Type: t}
}

func kind(k schema.Kind) schema.Type { return schema.Type{Kind: k} }

// all has a field of each kind, in an order that the tests below rely on.
var all = &schema.Schema{
	ID: 1,
	Fields: []schema.Field{
		field(1, "active", kind(schema.KindBoolean)),
		field(2, "small", kind(schema.KindInt)),
		field(3, "delay", kind(schema.KindLong)),
		field(4, "single", kind(schema.KindFloat)),
		field(5, "ratio", kind(schema.KindDouble)),
		field(6, "price", schema.Type{Kind: schema.KindDecimal, Precision: 9, Scale: 2}),
		field(7, "date", kind(schema.KindDate)),
		field(8, "clock", kind(schema.KindTime)),
		field(9, "at", kind(schema.KindTimestamp)),
		field(10, "seen", kind(schema.KindTimestamptz)),
		field(11, "origin", kind(schema.KindString)),
		field(12, "id", kind(schema.KindUUID)),
		field(13, "mac", schema.Type{Kind: schema.KindFixed, Length: 3}),
		field(14, "blob", kind(schema.KindBinary)),
		field(15, "doc", kind(schema.KindJSON)),
		field(16, "pos", schema.Type{Kind: schema.KindStruct, Fields: []schema.Field{
			field(17, "x", kind(schema.KindInt)),
			field(18, "label", kind(schema.KindString)),
			field(19, "deep", schema.Type{Kind: schema.KindStruct, Fields: []schema.Field{field(20, "y", kind(schema.KindDouble))}}),
		}}),
		field(21, "tags", schema.Type{Kind: schema.KindList, Fields: []schema.Field{field(22, "element", kind(schema.KindString))}}),
		field(23, "odd \"name\"", kind(schema.KindLong)),
		field(24, "distance", kind(schema.KindLong)),
	},
}

// row is a row of all with every field set; with replaces some by name.
func row(t testing.TB, with map[string]schema.Value) []schema.Value {
	t.Helper()
	text := map[string]string{
		"active": "true", "small": "7", "delay": "31", "single": "0.1", "ratio": "2.5", "price": "12.34",
		"date": "2001-01-14", "clock": "08:30:00", "at": "2001-01-14T08:30:00", "seen": "2001-01-14T08:30:00Z",
		"origin": "SEA", "id": "123e4567-e89b-12d3-a456-426614174000", "mac": "AQID", "blob": "AQIDBA==",
		"doc": `{"a":1}`, `odd "name"`: "5", "distance": "240",
	}
	out := make([]schema.Value, len(all.Fields))
	for i, f := range all.Fields {
		if v, ok := with[f.Name]; ok {
			out[i] = v
		} else if s, ok := text[f.Name]; ok {
			v, err := schema.ParseText(f.Type, s)
			if err != nil {
				t.Fatalf("value of %s: %v", f.Name, err)
			}
			out[i] = v
		}
	}
	if _, ok := with["pos"]; !ok {
		out[all.Index("pos")] = schema.Elems([]schema.Value{
			schema.Int(3), schema.String("north"), schema.Elems([]schema.Value{schema.Float(1.5)})})
	}
	if _, ok := with["tags"]; !ok {
		out[all.Index("tags")] = schema.Elems([]schema.Value{schema.String("a")})
	}
	return out
}

func TestMatch(t *testing.T) {
	const seq, micros = 42, 979_461_000_000_000 // 2001-01-14T08:30:00Z
	nothing := map[string]schema.Value{}
	for _, f := range all.Fields {
		nothing[f.Name] = schema.Null
	}
	full, empty := row(t, nil), row(t, nothing)
	tests := []struct {
		where       string
		full, empty bool
	}{
		{"", true, true},
		{"  ", true, true},
		{"delay > 30", true, false},
		{"30 < delay", true, false},
		{"delay > 30.5", true, false},
		{"delay > 31", false, false},
		{"delay >= 31 AND Delay_is_not_here is null or true", false, false}, // refused below
		{"delay <> 31", false, false},
		{"delay != 30.5", true, false},
		{"delay = 30.5", false, false},
		{"delay = 3.1e1", true, false},
		{"delay = 310E-1", true, false},
		{"delay < 1e40", true, false},
		{"delay > -1e40", true, false},
		{"delay > 1e40", false, false},
		{"not delay > 1e40", true, false},
		{"delay <= -1e999999999", false, false},
		{"delay > 1e-999999999", true, false},
		{"small < 3000000000", true, false},
		{"small in (1, 7.5, 7, 99999999999)", true, false},
		{"small in (7.5)", false, false},
		{"small not in (7.5)", true, false},
		{"small not in (1, 2)", true, false},
		{"not small in (1, 2)", true, false},
		{"delay between 30 and 31", true, false},
		{"delay not between 30 and 31", false, false},
		{"not (delay not between 30 and 31)", true, false},
		{"30 between small and delay", true, false},
		{"delay < distance", true, false},
		{"distance <= small", false, false},
		{"single = 0.1", true, false},
		{"single in (0.1)", true, false},
		{"ratio = 2.5 and ratio != 'NaN'", true, false},
		{"ratio < 'NaN'", true, false},
		{"price = 12.34", true, false},
		{"price = '12.34'", true, false},
		{"price > 12.339", true, false},
		{"price < 12.341 and price > -99999999999999999999999999999999999999999", true, false},
		{"price in (12.34, 5)", true, false},
		{"date = '2001-01-14'", true, false},
		{"date = date '2001-01-14' and DATE>=DATE'2001-01-14'", false, false}, // refused below
		{"date = date '2001-01-14'", true, false},
		{"date < timestamp '2001-01-14 00:00:01'", true, false},
		{"date = timestamp '2001-01-14 00:00:01'", false, false},
		{"date < '+262143-01-01'", true, false},
		{"at = timestamp '2001-01-14 08:30:00'", true, false},
		{"at >= '2001-01-14'", true, false},
		{"at >= date '2001-01-14' and at < date '2001-01-15'", true, false},
		{"seen = '2001-01-14T09:30:00+01:00'", true, false},
		{"seen = '2001-01-14 08:30:00'", true, false},
		{"seen = at", true, false},
		{"clock > '08:29:59.999999' and clock = time '08:30:00'", true, false},
		{"origin = 'SEA'", true, false},
		{"origin in ('SEA','PDX')", true, false},
		{"origin not in ('PDX')", true, false},
		{"origin > 'SE' and origin < 'SEB'", true, false},
		{"origin like 'S%'", true, false},
		{"origin like 'S_A'", true, false},
		{"origin like 'SEA'", true, false},
		{"origin like '%E%'", true, false},
		{"origin not like '%X%'", true, false},
		{"origin like ''", false, false},
		{"origin = 'it''s'", false, false},
		{"id = '123e4567-e89b-12d3-a456-426614174000'", true, false},
		{"mac = 'AQID'", true, false},
		{"blob = 'AQIDBA=='", true, false},
		{"doc like '%\"a\"%'", true, false},
		{"active", true, false},
		{"not active", false, false},
		{"not not active", true, false},
		{"active = true and active <> FALSE", true, false},
		{"true", true, true},
		{"false or not true", false, false},
		{"origin is null", false, true},
		{"origin is not null", true, false},
		{"not origin is null", true, false},
		{"pos is null", false, true},
		{"pos.x is null", false, true},
		{"pos.x = 3 and pos.label = 'north' and pos.deep.y < 2", true, false},
		{"pos.\"x\" = 3", true, false},
		{"tags is not null", true, false},
		{`"odd ""name""" = 5`, true, false},
		{`"date" > '2000-12-31'`, true, false},
		{"_seq = 42", true, true},
		{"_seq < 43 and _seq >= 42", true, true},
		{"_time = '2001-01-14T08:30:00Z'", true, true},
		{"_time > _time", false, false},
		{"delay > 30 and origin in ('SEA','PDX') and origin like 'SE%' and price is not null", true, false},
		{"delay > 99 or origin = 'SEA' and not (active = false)", true, false},
		{"delay > 99 or delay is null", false, true},
		{"not (delay > 99 and origin = 'x')", true, false},
	}
	for _, tt := range tests {
		p, err := query.ParseWhere(tt.where, all)
		if strings.Contains(tt.where, "not_here") || strings.Contains(tt.where, "DATE>=") {
			if err == nil {
				t.Errorf("%s: want an error", tt.where)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.where, err)
			continue
		}
		if got := p.Match(full, seq, micros); got != tt.full {
			t.Errorf("%s: full row: %v", tt.where, got)
		}
		if got := p.Match(empty, seq, micros); got != tt.empty {
			t.Errorf("%s: empty row: %v", tt.where, got)
		}
	}
}

func TestLike(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"%", "", true}, {"%", "x", true}, {"%%", "x", true}, {"", "", true}, {"", "x", false},
		{"_", "é", true}, {"__", "é", false}, {"_%", "", false}, {"%_", "é", true}, {"%_%_%", "é", false},
		{"a%a", "a", false}, {"a%a", "aa", true}, {"a%b%c", "axbxc", true}, {"a%b%c", "axcxb", false},
		{"%ab", "aab", true}, {"%a_c%", "xxabc", true}, {"%_é_%", "aéb", true}, {"%é", "aé", true},
		{"a!%b", "a%b", true}, {"a!%b", "axb", false}, {"!_%", "_x", true}, {"!_%", "ax", false}, {"!!", "!", true},
		{"%aab", "aaab", true}, {"a_%_b", "axxb", true}, {"a_%_b", "axb", false}, {"S__%", "SEATTLE", true},
		{"%b_", "abc", true}, {"%b_", "ab", false}, {"_b%", "ab", true}, {"%a%b%", "ba", false},
	}
	s := &schema.Schema{Fields: []schema.Field{field(1, "v", kind(schema.KindString))}}
	for _, tt := range tests {
		p, err := query.ParseWhere("v like '"+tt.pattern+"' escape '!'", s)
		if err != nil {
			t.Fatalf("%s: %v", tt.pattern, err)
		}
		if got := p.Match([]schema.Value{schema.String(tt.text)}, 0, 0); got != tt.want {
			t.Errorf("%q like %q: %v", tt.text, tt.pattern, got)
		}
	}
}

func TestRefused(t *testing.T) {
	tests := []struct{ where, want string }{
		{"dealy > 30", "did you mean delay?"},
		{"Delay > 30", "did you mean delay?"},
		{"origin = SEA", "'SEA'"},
		{"pos.z = 1", "pos has no such field"},
		{"pos.lable = 'x'", "did you mean label?"},
		{"origin.x = 1", "only structs"},
		{"tags.element = 'a'", "only structs"},
		{"tags = 'a'", "is null"},
		{"pos = 1", "is null"},
		{"tags", "does not stand alone"},
		{"delay > '30'", "without quotes"},
		{"ratio > '30'", "without quotes"},
		{"origin = 30", "'30'"},
		{"origin = true", "not a string"},
		{"active = 1", "true or false"},
		{"delay = true", "not a long"},
		{"delay = null", "is null"},
		{"delay in (1, null)", "is null"},
		{"delay in (distance)", "literals"},
		{"delay in ()", "offset 10"},
		{"date = '2001-13-14'", "date such as"},
		{"at = 'yesterday'", "timestamp such as"},
		{"date = time '08:30:00'", "cannot be compared"},
		{"delay = date '2001-01-01'", "cannot be compared"},
		{"delay = interval '1'", "no type of literal"},
		{"id = 'x'", "uuid"},
		{"mac = 'AQIDBA=='", "bytes"},
		{"ratio < 1e400", "range"},
		{"1 = 1", "must be a column"},
		{"'x'", "compare the literal"},
		{"3 like 'x'", "left side"},
		{"delay like '3%'", "works on strings"},
		{"origin like 3", "string literal"},
		{"origin like 'a!' escape '!'", "escape character"},
		{"origin like 'a!b' escape '!'", "escape character"},
		{"origin like 'a' escape '!!'", "one character"},
		{"origin like '" + strings.Repeat("x", 1025) + "'", "1024 bytes"},
		{"delay = origin", "cannot be compared"},
		{"delay = single", "cannot be compared"},
		{"delay", "does not stand alone"},
		{"delay >", "unexpected"},
		{"delay > 30 and", "unexpected"},
		{"delay > 30 30", "unexpected"},
		{"(delay > 30", "unexpected"},
		{"delay > 30)", "unexpected"},
		{"delay == 30", "unexpected"},
		{"delay ; drop table", "invalid input"},
		{"origin = 'x", "invalid input"},
		{"\x00", "invalid input"},
		{"origin = '\xff'", "UTF-8"},
		{strings.Repeat("(", 65) + "active" + strings.Repeat(")", 65), "64 deep"},
		{strings.Repeat("not ", 65) + "active", "64 deep"},
		{strings.Repeat("(not ", 65) + "active" + strings.Repeat(")", 65), "64 deep"},
		{"active or " + strings.Repeat("x", 16<<10), "16384 bytes"},
	}
	for _, tt := range tests {
		p, err := query.ParseWhere(tt.where, all)
		var ferr *schema.FieldError
		if !errors.As(err, &ferr) || !errors.Is(err, schema.ErrInvalid) || p != nil {
			t.Errorf("%.60s: %v, want a FieldError", tt.where, err)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "at offset") {
			t.Errorf("%.60s: %v, want %q", tt.where, err, tt.want)
		}
	}
}

func TestTooManyLiterals(t *testing.T) {
	// 16 KiB of text cannot hold 10,000 literals in a list: commas and digits
	// make two bytes each. It is the text's limit that speaks first.
	where := "delay in (1" + strings.Repeat(",1", 10_000) + ")"
	if _, err := query.ParseWhere(where, all); !errors.Is(err, schema.ErrInvalid) {
		t.Errorf("%v, want ErrInvalid", err)
	}
}

func TestColumns(t *testing.T) {
	p, err := query.ParseWhere("pos.x = 1 and origin = 'a' or delay > 3 and pos.label = 'b' and _seq > 4", all)
	if err != nil {
		t.Fatal(err)
	}
	got := p.Columns()
	if len(got) != 3 || got[0] != 2 || got[1] != 10 || got[2] != 15 || !p.UsesSystem() {
		t.Errorf("columns %v, system %v", got, p.UsesSystem())
	}
	var none *query.Predicate
	if none.Columns() != nil || none.UsesSystem() || !none.Match(nil, 0, 0) || !none.MayMatch(nil) {
		t.Error("the nil predicate matches everything and reads nothing")
	}
}

func FuzzParseWhere(f *testing.F) {
	for _, s := range []string{
		"delay > 30 and origin in ('SEA','PDX') and origin like 'Sea%' and date is not null",
		"not (date between date '2001-01-01' and '2001-02-01') or price = 1.5e3",
		`"odd ""name""" <> -3 and pos.deep.y <= .5`, "origin like '%a!%' escape '!'",
	} {
		f.Add(s)
	}
	full := row(f, nil)
	f.Fuzz(func(t *testing.T, src string) {
		p, err := query.ParseWhere(src, all)
		if err != nil {
			if !errors.Is(err, schema.ErrInvalid) {
				t.Fatalf("%q: %v is no ErrInvalid", src, err)
			}
			return
		}
		p.Match(full, 1, 1)
	})
}
