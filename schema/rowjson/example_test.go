package rowjson_test

import (
	"fmt"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/rowjson"
)

func ExampleDecoder() {
	s := &schema.Schema{Fields: []schema.Field{
		{ID: 1, Name: "iata", Type: schema.Type{Kind: schema.KindString}, Required: true},
		{ID: 2, Name: "elevation", Type: schema.Type{Kind: schema.KindInt}},
	}}
	d := rowjson.NewDecoder(s)
	var row []schema.Value
	var errs schema.FieldErrors
	for i, line := range []string{`{"iata":"SEA","elevation":132}`, `{"elevaton":132.5}`} {
		var ok bool
		if row, ok = d.Decode([]byte(line), row, &errs, i+1); ok {
			fmt.Printf("%s\n", rowjson.AppendRow(nil, s, row))
		}
	}
	for _, e := range errs {
		fmt.Println(e.Line, e)
	}
	// Output:
	// {"iata":"SEA","elevation":132}
	// 2 field elevaton: 132.5: is not a field: did you mean elevation?
	// 2 field iata: is required: give it a value
}
