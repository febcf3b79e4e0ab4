package schema_test

import (
	"bytes"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// A row is encoded once; the key's bytes sort as its values do.
func Example() {
	airports := &schema.Schema{
		ID: 7,
		Fields: []schema.Field{
			{ID: 1, Name: "iata", Type: schema.Type{Kind: schema.KindString}, Required: true},
			{ID: 2, Name: "latitude", Type: schema.Type{Kind: schema.KindDouble}},
			{ID: 3, Name: "opened", Type: schema.Type{Kind: schema.KindDate}},
		},
		Key: []int{0},
	}
	opened, err := schema.ParseText(airports.Fields[2].Type, "1949-07-09")
	if err != nil {
		fmt.Println(err)
		return
	}
	row := []schema.Value{schema.String("SEA"), schema.Null, opened}
	if err := airports.CheckRow(row); err != nil {
		fmt.Println(err)
		return
	}
	encoded, key := airports.AppendRow(nil, row), airports.AppendKey(nil, row)
	fmt.Printf("row %x\nkey %x\n", encoded, key)

	pdx := airports.AppendKeyParts(nil, []schema.Value{schema.String("PDX")})
	fmt.Println("PDX before SEA:", bytes.Compare(pdx, key) < 0)

	// Years later the schema has lost latitude and gained city.
	later := &schema.Schema{ID: 9, Fields: []schema.Field{
		airports.Fields[0], airports.Fields[2], {ID: 4, Name: "city", Type: schema.Type{Kind: schema.KindString}},
	}}
	values, err := schema.NewRowDecoder(airports, later).Decode(encoded, nil)
	for i, v := range values {
		fmt.Printf("%s %s, null %v\n", later.Fields[i].Name, schema.AppendText(nil, later.Fields[i].Type, v), v.IsNull())
	}
	fmt.Println(err)
	// Output:
	// row 070203534541f174
	// key 5345410001
	// PDX before SEA: true
	// iata SEA, null false
	// opened 1949-07-09, null false
	// city , null true
	// <nil>
}
