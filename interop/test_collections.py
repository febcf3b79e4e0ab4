"""Rows written over HTTP are the same rows in every engine, whatever happens
between the write and the read."""

import random

import pytest

import demo

TENANT = "interop"
SEED = 20011


def test_answers(client, pyarrow_scan):
    """A batch gets its seqs in the order of its lines, and is there by key at once."""
    weather = client.apply(TENANT, "weather", **demo.WEATHER)
    rows = demo.csv_rows("weather", demo.WEATHER)
    answer = client.write_body(weather, demo.csv_bytes("weather"), "text/csv")
    assert (answer["first_seq"], answer["last_seq"], answer["count"]) == (0, len(rows) - 1, len(rows))
    assert client.record(weather, "New York", "2012-01-01")["location"] == "New York"
    in_order = pyarrow_scan.rows(weather, ["_seq", *weather.fields()])
    assert sorted(in_order) == [(i, *row) for i, row in enumerate(rows)]


def test_changes(client, agree):
    """Updates, deletes and new inserts, read by all engines after each round."""
    airports = client.apply(TENANT, "changes", **demo.AIRPORTS)
    random_ = random.Random(SEED)
    model = {row[0]: row for row in demo.csv_rows("airports", demo.AIRPORTS)}
    client.write(airports, demo.records(model.values(), demo.AIRPORTS))

    for round_ in range(3):
        _change(client, airports, model, random_, round_)
        agree(airports, model.values())
        for key in random_.sample(sorted(model), 5):
            record = client.record(airports, key)
            assert tuple(record[f] for f in airports.fields()) == model[key]


def _change(client, airports, model, random_, round_):
    updated = [
        (key, f"{round_} {model[key][1]}", *model[key][2:6], None) for key in random_.sample(sorted(model), 300)
    ]
    client.write(airports, demo.records(updated, demo.AIRPORTS))
    model.update((row[0], row) for row in updated)

    patched = random_.sample(sorted(model), 50)
    client.write(airports, [{"iata": key, "city": f"city {round_}"} for key in patched], op="patch")
    for key in patched:
        model[key] = (*model[key][:2], f"city {round_}", *model[key][3:])

    gone = random_.sample(sorted(model), 100)
    client.write(airports, [{"iata": key} for key in gone], op="delete")
    removed = [model.pop(key) for key in gone]

    back = [*removed[:30], (f"new{round_}", "Neu-Ötting", None, None, None, 48.2, 12.7)]
    client.write(airports, demo.records(back, demo.AIRPORTS), op="insert")
    model.update((row[0], row) for row in back)


def test_one_key_again_and_again(client, agree, pyiceberg):
    """Few keys, many changes, and reads that put the table anywhere among them."""
    counters = client.apply(
        TENANT, "counters", fields=[demo.field("id", "int", required=True), demo.field("n", "long")], key=["id"]
    )
    random_ = random.Random(SEED)
    model = {}
    for step in range(60):
        key = random_.randrange(8)
        if random_.random() < 0.3:
            client.write(counters, [{"id": key}], op="delete")
            model.pop(key, None)
        else:
            for i in range(random_.randint(1, 3)):  # a batch has each key once
                client.write(counters, [{"id": key, "n": step * 10 + i}])
                model[key] = step * 10 + i
        if random_.random() < 0.3:
            assert pyiceberg.rows(counters, ["id", "n"]) == sorted(model.items(), key=repr), f"step {step}, seed {SEED}"
    agree(counters, model.items())


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_restart(server, client, agree, how):
    airports = client.apply(TENANT, f"restart_{how}", **demo.AIRPORTS)
    rows = demo.csv_rows("airports", demo.AIRPORTS)
    model = {row[0]: row for row in rows}
    client.write(airports, demo.records(rows[:2000], demo.AIRPORTS))
    agree(airports, rows[:2000])
    # These are in the log, and in no table yet.
    client.write(airports, demo.records(rows[2000:], demo.AIRPORTS))
    client.write(airports, [{"iata": row[0]} for row in rows[:100]], op="delete")
    for row in rows[:100]:
        del model[row[0]]

    getattr(server, how)()
    server.start()

    agree(airports, model.values())
    client.write(airports, [{"iata": "ZZZ", "name": "after"}])
    model["ZZZ"] = ("ZZZ", "after", None, None, None, None, None)
    agree(airports, model.values())


def test_dropped_and_made_again(client, agree):
    first = client.apply(TENANT, "phoenix", **demo.AIRPORTS)
    client.write(first, [{"iata": "SEA", "name": "old"}])
    agree(first)
    client.drop(first)
    second = client.apply(TENANT, "phoenix", fields=[demo.field("n", "long")])
    agree(second, [])
    client.write(second, [{"n": 1}])
    agree(second, [(1,)])


# SQL's three-valued logic is where dialects of it part.
PREDICATES = [
    "latitude > 60",
    "state = 'WA' and latitude >= 47.5",
    "not (state = 'WA')",
    "state in ('WA', 'OR') or latitude < 20",
    "state not in ('WA', 'OR')",
    "name like 'Sea%'",
    "name like '%''%'",
    "name not like '%Int_l%'",
    "city is null",
    "city is not null and longitude between -120 and -119.5",
    "not (city like 'S%') and iata <> 'SEA'",
    "longitude not between -180 and -70",
    "_seq < 100",
    "_seq >= 3000 and state = 'TX'",
]


@pytest.fixture(scope="module")
def holes(client):
    """Airports with every seventh city and each eleventh latitude absent."""
    airports = client.apply(TENANT, "holes", **demo.AIRPORTS)
    rows = demo.records(demo.csv_rows("airports", demo.AIRPORTS), demo.AIRPORTS)
    for i, row in enumerate(rows):
        row["city"] = None if i % 7 == 0 else row["city"]
        row["latitude"] = None if i % 11 == 0 else row["latitude"]
    client.write(airports, rows[:2500])
    client.describe(airports)
    client.write(airports, rows[2500:])
    return airports


@pytest.mark.parametrize("where", PREDICATES)
def test_where_is_sql(pyarrow_scan, duckdb, holes, where):
    """A predicate of ours finds what the same text finds in a SQL engine."""
    columns = ["iata", "_seq"]
    want = duckdb.table(holes, columns, where).sort_by("iata").to_pylist()
    assert want, "this predicate finds nothing and proves nothing"
    got = pyarrow_scan.table(holes, columns, where=where).sort_by("iata").to_pylist()
    assert got == want
