"""A schema evolves, and every engine reads what was written before and after."""

import datetime
import decimal

import demo
from demo import field

TENANT = "interop"


def test_evolution(server, client, agree):
    before = client.apply(
        TENANT,
        "evolving",
        fields=[
            field("id", "int", required=True),
            field("small", "int"),
            field("ratio", "float"),
            field("price", "decimal(9,2)"),
            field("old_name", "string"),
            field("dropped", "string"),
            field("must", "string", required=True),
            field("pos", {"type": "struct", "fields": [field("x", "int")]}),
        ],
        key=["id"],
    )
    old = {"small": 1, "ratio": 0.5, "price": "1.25", "old_name": "was", "dropped": "gone", "must": "m", "pos": {"x": 1}}
    client.write(before, [{"id": 1, **old}, {"id": 2, **old}])
    agree(before)  # puts these rows in a file of the old shape
    client.write(before, [{"id": 3, **old}, {"id": 4, **old}])  # and leaves these to the log

    after = client.apply(
        TENANT,
        "evolving",
        fields=[
            field("id", "int", required=True),
            field("added", "date"),
            field("new_name", "string", was="old_name"),
            field("small", "long"),
            field("ratio", "double"),
            field("price", "decimal(18,2)"),
            field("must", "string"),
            field("pos", {"type": "struct", "fields": [field("x", "long"), field("y", "string")]}),
        ],
        key=["id"],
    )
    price = decimal.Decimal("1.25")
    kept = (None, "was", 1, 0.5, price, "m", (1, None))
    rows = {i: (i, *kept) for i in (1, 2, 3, 4)}
    agree(after, rows.values())

    # An update and a delete of rows in the old file, and an insert.
    new = {"added": "2026-11-20", "small": 2**40, "price": "9999999999999999.99", "pos": {"x": 2**40, "y": "y"}}
    client.write(after, [{"id": 1, **new}, {"id": 5, **new}])
    client.write(after, [{"id": 2}], op="delete")
    changed = (datetime.date(2026, 11, 20), None, 2**40, None, decimal.Decimal("9999999999999999.99"), None, (2**40, "y"))
    rows |= {1: (1, *changed), 5: (5, *changed)}
    del rows[2]
    agree(after, rows.values())

    server.stop()
    server.start()
    agree(after, rows.values())


def test_evolution_without_writes(client, agree):
    """The table of an idle collection follows its schema as well."""
    first = client.apply(TENANT, "idle", **demo.AIRPORTS)
    client.write(first, [{"iata": "SEA", "name": "Seattle"}])
    agree(first)
    wider = {**demo.AIRPORTS, "fields": [*demo.AIRPORTS["fields"], field("runways", "int")]}
    agree(client.apply(TENANT, "idle", **wider), [("SEA", "Seattle", None, None, None, None, None, None)])
