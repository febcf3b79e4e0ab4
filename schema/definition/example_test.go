package definition_test

import (
	"fmt"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

func ExampleEvolve() {
	first, _ := definition.ParseFile([]byte(`
tenant: acme
collection: airports
fields:
  - {name: iata, type: string, required: true}
  - {name: elevation, type: int}
key: [iata]
`))
	plan, _ := definition.Evolve(nil, first.Collections[0])
	fmt.Print(plan)

	airports := &schema.Collection{Tenant: "acme", Name: "airports", Schema: plan.Schema, Options: plan.Options}
	second, _ := definition.ParseOne([]byte(`
fields:
  - {name: iata, type: string, required: true}
  - {name: height, type: long, was: elevation}
  - {name: city, type: string, required: true}
key: [iata]
`))
	_, err := definition.Evolve(airports, second)
	fmt.Println(err)
	second.Fields[2].Required = false
	plan, _ = definition.Evolve(airports, second)
	fmt.Print(plan)
	// Output:
	// create acme/airports: 2 fields, key iata, 0 indexes
	// field city: new and required: Iceberg adds fields as optional, since rows that exist have no value: remove required: true
	// rename elevation: to height
	// widen height: int to long
	// add city: optional string
}
