"""Engines write: they fill and tidy tables through the catalogue, and are told what
is not theirs to do."""

import pyarrow
import pytest

import demo
import engines as readers
import scans
import trine

TENANT = "writes"
EVENTS = {"fields": [demo.field("id", "long", required=True), demo.field("name", "string")]}
COUNTERS = {"fields": [demo.field("id", "long", required=True), demo.field("n", "long")], "key": ["id"]}


@pytest.fixture(scope="module")
def writing_duckdb(server):
    engine = readers.DuckDB(server.base, writes=True)
    yield engine
    engine.close()


def fill(client, collection, batches=4, rows=50):
    """Writes batches, each in a snapshot of its own, and tells the rows by id."""
    model = {}
    for batch in range(batches):
        part = {id: batch for id in range(batch * rows // 2, batch * rows // 2 + rows)}
        client.write(collection, [{"id": id, "n": n} for id, n in part.items()])
        client.load(collection)
        model |= part
    return model


def test_append(client, pyiceberg, writing_duckdb, spark, engines):
    """What engines append is read by all of them and by Trine, and has no seq."""
    events = client.apply(TENANT, "events", **EVENTS)
    client.write(events, [{"id": id, "name": f"n{id}"} for id in range(100)])
    table = pyiceberg.catalog.load_table((TENANT, "events"))
    required = pyarrow.schema([pyarrow.field("id", "int64", nullable=False), pyarrow.field("name", "string")])
    table.append(pyarrow.table({"id": [1000, 1001], "name": ["py", None]}, schema=required))
    writing_duckdb.sql(f"INSERT INTO {events.sql()} (id, name) VALUES (2000, 'duck')")
    spark.sql(f"INSERT INTO {events.sql('`')} VALUES (3000, 'spark', null, null)")
    client.write(events, [{"id": 100, "name": "after"}])
    expected = {(id, f"n{id}") for id in range(100)} | {(100, "after")}
    appended = {(1000, "py"), (1001, None), (2000, "duck"), (3000, "spark")}
    for engine in engines:
        rows = engine.rows(events, ["id", "name", "_seq"])
        assert {row[:2] for row in rows} == expected | appended, engine.name
        assert {row[:2] for row in rows if row[2] is None} == appended, engine.name
        assert sorted(row[2] for row in rows if row[2] is not None) == list(range(101)), engine.name
    # As of a change, a scan has what the log has.
    assert engines[0].table(events, ["id"], at_seq=100).num_rows == 101
    assert client.verified(events)


def test_append_refused(client, pyiceberg, spark):
    events = client.apply(TENANT, "refused", **EVENTS)
    client.write(events, [{"id": 1, "name": "a"}])
    with pytest.raises(Exception, match="are Trine's to give"):
        spark.sql(f"INSERT INTO {events.sql('`')} SELECT * FROM {events.sql('`')}")
    with pytest.raises(Exception, match="come from its log"):
        pyiceberg.catalog.load_table((TENANT, "refused")).delete("id = 1")
    with pytest.raises(Exception, match="trine apply"):
        spark.sql(f"ALTER TABLE {events.sql('`')} ADD COLUMN more int")
    counters = client.apply(TENANT, "keyed", **COUNTERS)
    fill(client, counters, 1)
    with pytest.raises(Exception, match="/v1/tenants/writes/collections/keyed/records"):
        spark.sql(f"INSERT INTO {counters.sql('`')} VALUES (9999, 1, 1, now())")
    with pytest.raises(Exception, match="through Trine's own API"):
        spark.sql(f"DELETE FROM {counters.sql('`')} WHERE id = 1")
    assert client.verified(counters) and client.verified(events)


def test_rewrite(client, spark, agree):
    """Spark compacts a keyed table with deletes, and Trine goes on with it."""
    counters = client.apply(TENANT, "counters", **COUNTERS)
    model = fill(client, counters)
    client.write(counters, [{"id": 3}, {"id": 4}], op="delete")
    client.load(counters)
    del model[3], model[4]
    before = agree(counters, model.items())
    for _ in range(3):  # Trine's own compaction may be first
        (done,) = spark.sql(
            f"CALL trine.system.rewrite_data_files(table => '{TENANT}.counters', options => map('rewrite-all', 'true'))"
        )
        assert done[0] >= 1 and done[1] == 1
    assert agree(counters, model.items()) == before
    spark.sql(f"CALL trine.system.rewrite_manifests('{TENANT}.counters')")
    client.write(counters, [{"id": 5, "n": 500}, {"id": 6, "n": 600}])
    client.write(counters, [{"id": 7}], op="delete")
    model |= {5: 500, 6: 600}
    del model[7]
    agree(counters, model.items())
    assert client.verified(counters)
    with pytest.raises(Exception, match="GC is disabled"):
        spark.sql(f"CALL trine.system.expire_snapshots('{TENANT}.counters')")


def test_tags(server, client, pyiceberg, writing_duckdb, spark):
    """A tag, whoever sets it, names a state that engines and scans read."""
    counters = client.apply(TENANT, "tagged", **COUNTERS)
    model = fill(client, counters, 2)
    server.command("lake", "tag", f"{TENANT}/tagged", "before")
    snapshot = pyiceberg.catalog.load_table((TENANT, "tagged")).snapshot_by_name("before").snapshot_id
    client.write(counters, [{"id": id, "n": -1} for id in range(20)])
    client.load(counters)
    spark.sql(f"ALTER TABLE {counters.sql('`')} CREATE TAG by_spark RETAIN 30 DAYS")
    pyiceberg.catalog.load_table((TENANT, "tagged")).manage_snapshots().create_tag(snapshot, "by_pyiceberg").commit()
    want = sorted(model.items())
    columns = "id, n"
    for tag in ("before", "by_pyiceberg"):
        assert sorted(spark.sql(f"SELECT {columns} FROM {counters.sql('`')} VERSION AS OF '{tag}'")) == want
        found = pyiceberg.catalog.load_table((TENANT, "tagged"))
        rows = found.scan(snapshot_id=found.snapshot_by_name(tag).snapshot_id, selected_fields=("id", "n")).to_arrow()
        assert sorted((row["id"], row["n"]) for row in rows.to_pylist()) == want
        scan = scans.PyArrow(client).table(counters, ["id", "n"], snapshot=tag)
        assert sorted((row["id"], row["n"]) for row in scan.to_pylist()) == want
    assert sorted(writing_duckdb.sql(f"SELECT {columns} FROM {counters.sql()} AT (VERSION => {snapshot})")) == want
    assert '"by_spark"' in server.command("lake", "tags", f"{TENANT}/tagged", "--json")
    now = sorted((model | {id: -1 for id in range(20)}).items())
    assert sorted(spark.sql(f"SELECT {columns} FROM {counters.sql('`')} VERSION AS OF 'by_spark'")) == now
    spark.sql(f"ALTER TABLE {counters.sql('`')} DROP TAG by_spark")
    with pytest.raises(Exception, match="(?i)cannot find|not found|by_spark"):
        spark.sql(f"SELECT * FROM {counters.sql('`')} VERSION AS OF 'by_spark'")


def test_create(client, pyiceberg, spark):
    """CREATE TABLE makes a collection, and DROP TABLE is refused unless it is allowed."""
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS trine.{TENANT}")
    spark.sql(f"CREATE TABLE trine.{TENANT}.made (id bigint NOT NULL, tags array<string>, at timestamp) TBLPROPERTIES ('team' = 'x')")
    described = client.describe(trine.Collection(TENANT, "made", {}))
    definition = described["definition"]
    assert [f["name"] for f in definition["fields"]] == ["id", "tags", "at"] and not definition.get("key")
    spark.sql(f"INSERT INTO trine.{TENANT}.made VALUES (1, array('a'), null, null, null)")
    assert spark.sql(f"SELECT id, tags FROM trine.{TENANT}.made") == [(1, ["a"])]
    assert pyiceberg.catalog.load_table((TENANT, "made")).properties["team"] == "x"
    with pytest.raises(Exception, match="iceberg_drop"):
        spark.sql(f"DROP TABLE trine.{TENANT}.made")
    with pytest.raises(Exception, match="stage-create"):
        spark.sql(f"CREATE TABLE trine.{TENANT}.copied AS SELECT 1 AS id")
