"""Tables that are partitioned and sorted, through changes of both."""

import re

import pytest

from demo import field
from layouts import DAYS, FIELDS, LAYOUTS, PEOPLE, row

TENANT = "layout"


@pytest.mark.parametrize("keyed, lake_format", [(True, 2), (True, 3), (False, 2)])
def test_all_engines(client, agree, keyed, lake_format):
    """Rows are the same to every engine, whichever spec wrote them, deleted or moved.

    Spark, which is slow, is asked at the end.
    """
    name = f"keyed_{lake_format}" if keyed else "appended"
    definition = {"fields": FIELDS, "key": ["id"]} if keyed else {"fields": FIELDS}
    for step, layout in enumerate(LAYOUTS):
        things = client.apply(TENANT, name, **definition, options={"lake_format": lake_format, **layout})
        first = 40 * step
        client.write(things, [row(i) for i in range(first, first + 60)])
        before = agree(things, without=["spark"])
        if keyed:
            # They go to other partitions: the rows before are in files of any spec.
            moved = [{**row(i), "who": "moved", "moment": "2026-11-20T00:00:00Z", "on_day": "2026-11-20"} for i in range(0, first + 60, 9)]
            client.write(things, moved)
            client.write(things, [{"id": i} for i in range(4, first + 60, 17)], op="delete")
            before = agree(things, without=["spark"])
        client.reports(things, "lake/compact")
        assert agree(things, without=["spark"]) == before
    assert agree(things) == before
    status = client.lake(things)
    assert status["old_spec_files"] == 0
    assert status["partition"] == ["hour(moment)", "on_day"]


def test_engines_prune(client, pyiceberg, duckdb, spark, pyarrow_scan):
    """A predicate has engines plan the files of some partitions only, and find all rows."""
    things = client.apply(
        TENANT, "pruned", fields=FIELDS, key=["id"], options={"lake_partition": ["day(moment)", "bucket(4, who)"]}
    )
    client.write(things, [row(i) for i in range(400)])
    client.load(things)
    table = pyiceberg.catalog.load_table((things.tenant, things.name))
    whole = len(list(table.scan().plan_files()))
    assert whole == client.lake(things)["partitions"] == client.lake(things)["files"]
    assert whole > 15
    by_person = [i for i in range(400) if i % 11 and i % PEOPLE == 3]
    # One bucket of each day, and of no day.
    plan = list(table.scan(row_filter="who = 'pérson 3'").plan_files())
    assert len(plan) <= DAYS + 1
    rows = table.scan(row_filter="who = 'pérson 3'").to_arrow()["id"].to_pylist()
    assert sorted(rows) == by_person
    day = "moment >= '1969-12-31T00:00:00+00:00' and moment < '1970-01-01T00:00:00+00:00'"
    assert len(list(table.scan(row_filter=day).plan_files())) <= 5
    by_day = [i for i in range(400) if i % 13 and i % DAYS == 1]
    assert sorted(table.scan(row_filter=day).to_arrow()["id"].to_pylist()) == by_day

    for sql, wanted in (
        ("who = 'pérson 3'", by_person),
        ("moment >= TIMESTAMPTZ '1969-12-31 00:00:00+00' and moment < TIMESTAMPTZ '1970-01-01 00:00:00+00'", by_day),
    ):
        ids = sorted(r[0] for r in duckdb.sql(f"SELECT id FROM {things.sql()} WHERE {sql}"))
        assert ids == wanted, sql
    ids = sorted(r[0] for r in spark.sql(f"SELECT id FROM {things.sql('`')} WHERE who = 'pérson 3'"))
    assert ids == by_person
    assert files_read(duckdb, things, "true") == whole
    assert files_read(duckdb, things, "who = 'pérson 3'") <= DAYS + 1
    assert files_read(duckdb, things, "moment < TIMESTAMPTZ '1969-12-31 00:00:00+00'") <= 5
    scanned = pyarrow_scan.table(things, ["id"], where="who = 'pérson 3'")["id"].to_pylist()
    assert sorted(scanned) == by_person


def files_read(duckdb, things, where):
    """How many data files DuckDB opens for a predicate, by its own account."""
    plan = duckdb.sql(f"EXPLAIN ANALYZE SELECT id FROM {things.sql()} WHERE {where}")[0][1]
    return int(re.search(r"(?:Scanning Files|Total Files Read): (\d+)", plan).group(1))


def test_spark_writes(client, agree, spark, pyarrow_scan):
    """Spark appends to a partitioned table, and rewrites the files of one."""
    logs = client.apply(TENANT, "by_spark", fields=FIELDS, options={"lake_partition": ["day(moment)", "bucket(4, who)"]})
    client.write(logs, [row(i) for i in range(20)])
    client.load(logs)
    # The table's own rows, once more.
    names = ", ".join(logs.fields())
    spark.sql(f"INSERT INTO {logs.sql('`')} SELECT {names}, null, null FROM {logs.sql('`')}")
    assert spark.sql(f"SELECT count(*) FROM {logs.sql('`')}")[0][0] == 40
    found = pyarrow_scan.table(logs, ["id"], where="who = 'pérson 3'")["id"].to_pylist()
    assert sorted(found) == sorted([i for i in range(20) if i % 11 and i % PEOPLE == 3] * 2)
    things = client.apply(TENANT, "of_spark", fields=FIELDS, key=["id"], options={"lake_partition": ["flag", "bucket(2, id)"]})
    for batch in range(3):
        client.write(things, [row(i) for i in range(batch * 10, batch * 10 + 25)])
        client.load(things)
    before = agree(things)
    table = f"{things.tenant}.{things.name}"
    spark.sql(f"CALL trine.system.rewrite_data_files(table => '{table}', options => map('rewrite-all', 'true'))")
    assert agree(things) == before
    client.write(things, [{**row(3), "flag": False}, {**row(4), "flag": None}])
    assert len(agree(things)) == len(before)


def test_spark_knows_the_partitions(client, spark):
    """Metadata tables have the partitions, also those of more than one spec."""
    things = client.apply(TENANT, "known", fields=FIELDS, key=["id"], options={"lake_partition": ["flag"]})
    client.write(things, [row(i) for i in range(30)])
    client.load(things)
    found = spark.sql(f"SELECT partition, record_count FROM {things.sql('`')}.partitions")
    assert sorted(count for _, count in found) == [10, 20]
    things = client.apply(TENANT, "known", fields=FIELDS, key=["id"], options={"lake_partition": ["bucket(2, id)"]})
    client.write(things, [row(i) for i in range(30, 60)])
    client.load(things)
    found = spark.sql(f"SELECT sum(record_count) FROM {things.sql('`')}.partitions")
    assert found[0][0] == 60


def test_renamed_partition_field(client, agree):
    """A field that the table is partitioned by takes another name, and another its name."""
    fields = [field("id", "int", required=True), field("origin", "string")]
    first = client.apply(TENANT, "renamed", fields=fields, key=["id"], options={"lake_partition": ["origin"]})
    client.write(first, [{"id": i, "origin": f"o{i % 3}"} for i in range(9)])
    agree(first)
    fields = [field("id", "int", required=True), field("start", "string", was="origin")]
    client.apply(TENANT, "renamed", fields=fields, key=["id"], options={"lake_partition": ["start"]})
    fields = [*fields[:1], field("start", "string"), field("origin", "long")]
    second = client.apply(TENANT, "renamed", fields=fields, key=["id"], options={"lake_partition": ["start"]})
    client.write(second, [{"id": 1, "start": "o9", "origin": 7}, {"id": 20, "start": None, "origin": 8}])
    rows = {i: (i, f"o{i % 3}", None) for i in range(9)} | {1: (1, "o9", 7), 20: (20, None, 8)}
    agree(second, rows.values())
    third = client.apply(TENANT, "renamed", fields=fields, key=["id"], options={"lake_partition": ["origin", "start"]})
    client.write(third, [{"id": 2, "start": "x", "origin": 1}])
    rows[2] = (2, "x", 1)
    agree(third, rows.values())
    status = client.lake(third)
    assert status["partition"] == ["origin", "start"]


def test_nested_evolution(client, agree):
    """Fields inside structs, lists and maps are added, dropped, renamed, widened and moved."""

    def struct(*fields):
        return {"type": "struct", "fields": list(fields)}

    def nested(inner):
        return [
            field("id", "int", required=True),
            field("pos", struct(*inner)),
            field("stops", {"type": "list", "element": struct(*inner)}),
            field("legs", {"type": "map", "key": "string", "value": struct(*inner)}),
        ]

    first = client.apply(
        TENANT, "nested", fields=nested([field("x", "int"), field("y", "float"), field("gone", "string"), field("d", "decimal(9,2)")]), key=["id"]
    )
    old = {"x": 1, "y": 0.5, "gone": "g", "d": "1.25"}
    client.write(first, [{"id": i, "pos": old, "stops": [old, old], "legs": {"a": old}} for i in range(4)])
    agree(first)
    second = client.apply(
        TENANT,
        "nested",
        fields=nested([field("d", "decimal(18,2)"), field("new", "date"), field("lon", "long", was="x"), field("y", "double")]),
        key=["id"],
    )
    agree(second)
    new = {"d": "9999999999999999.99", "new": "2026-11-20", "lon": 2**40, "y": 1e300}
    client.write(second, [{"id": 1, "pos": new, "stops": [new], "legs": {"a": new, "b": old_as_new()}}, {"id": 9, "pos": None, "stops": [], "legs": {}}])
    before = agree(second)
    # The name that was dropped comes back as another field.
    third = client.apply(
        TENANT,
        "nested",
        fields=nested([field("lon", "long"), field("gone", "boolean"), field("d", "decimal(18,2)"), field("new", "date"), field("y", "double")]),
        key=["id"],
    )
    client.write(third, [{"id": 2, "pos": {"lon": 3, "gone": True}, "stops": [{"gone": False}], "legs": {"c": {"gone": True}}}])
    after = agree(third)
    assert len(after) == len(before)
    client.reports(third, "lake/compact")
    assert agree(third) == after


def old_as_new():
    return {"d": "1.25", "new": None, "lon": 1, "y": 0.5}


def test_sort_field_dropped(client, agree):
    """A field that files were sorted by goes, and another becomes wider."""
    fields = [field("id", "int", required=True), field("rank", "int"), field("gone", "string")]
    order = {"lake_sort": [{"field": "gone", "desc": True}, "rank"]}
    first = client.apply(TENANT, "unsorted", fields=fields, key=["id"], options=order)
    client.write(first, [{"id": i, "rank": -i, "gone": str(i % 3)} for i in range(20)])
    agree(first)
    fields = [field("id", "long", required=True), field("rank", "long")]
    second = client.apply(TENANT, "unsorted", fields=fields, key=["id"], options={"lake_sort": ["rank"]})
    client.write(second, [{"id": 2**40, "rank": 2**50}])
    rows = [(i, -i) for i in range(20)] + [(2**40, 2**50)]
    agree(second, rows)
    third = client.apply(TENANT, "unsorted", fields=fields, key=["id"])
    client.write(third, [{"id": 3, "rank": 7}])
    rows[3] = (3, 7)
    agree(third, rows)
    client.reports(third, "lake/compact")
    agree(third, rows)
