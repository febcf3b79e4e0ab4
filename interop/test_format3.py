"""Tables of Iceberg format version 3: deletion vectors, row lineage, conversion from 2.

Every engine of the suite is asked; what one of them cannot is in a test of its own,
with the words that it says so in.
"""

import random

import pytest

import demo
import engines as readers

TENANT = "format3"
COUNTERS = {"fields": [demo.field("id", "int", required=True), demo.field("n", "long")], "key": ["id"]}


def counters(client, name, lake_format):
    return client.apply(TENANT, name, **COUNTERS, options={"lake_format": lake_format})


def churn(client, collection, model, seed):
    """Writes a batch of updates, inserts and deletes, and has it flushed."""
    rng = random.Random(seed)
    rows = {rng.randrange(400): rng.randrange(10**9) for _ in range(120)}
    client.write(collection, [{"id": k, "n": n} for k, n in rows.items()])
    gone = rng.sample(sorted(rows), 10)
    client.write(collection, [{"id": k} for k in gone], op="delete")
    model |= rows
    for k in gone:
        del model[k]
    return client.load(collection)["metadata"]


def summary(metadata):
    (current,) = [s for s in metadata["snapshots"] if s["snapshot-id"] == metadata["current-snapshot-id"]]
    return current["summary"]


def test_upserts_deletes_compaction(server, client, agree):
    """Engines read a table that had deletion vectors from the first, before and after."""
    table, model = counters(client, "fresh", 3), {}
    for batch in range(6):
        metadata = churn(client, table, model, batch)
    assert metadata["format-version"] == 3
    assert int(summary(metadata)["total-position-deletes"]) > 0
    assert client.lake(table)["format_version"] == 3
    before = agree(table, model.items())
    client.reports(table, "lake/compact")
    assert agree(table, model.items()) == before
    churn(client, table, model, 99)
    agree(table, model.items())
    server.stop()
    server.start()
    agree(table, model.items())


def test_conversion(client, agree):
    """A table of version 2 is converted by an apply: old position deletes stay, new ones are vectors."""
    table, model = counters(client, "converted", 2), {}
    for batch in range(3):  # of four, upkeep would merge the files
        metadata = churn(client, table, model, batch)
    assert int(summary(metadata)["total-delete-files"]) > 0
    assert metadata["format-version"] == 2 and "next-row-id" not in metadata
    agree(table, model.items())
    table = counters(client, "converted", 3)
    metadata = client.load(table)["metadata"]  # nothing new was written
    assert metadata["format-version"] == 3 and metadata["next-row-id"] > len(model)
    agree(table, model.items())
    metadata = churn(client, table, model, 4)
    assert int(summary(metadata)["added-dvs"]) > 0
    assert int(summary(metadata)["removed-position-delete-files"]) > 0
    agree(table, model.items())
    client.reports(table, "lake/compact")
    agree(table, model.items())
    churn(client, table, model, 5)
    agree(table, model.items())


def test_snapshots_of_before(client, duckdb, spark):
    """Snapshots from before the conversion stay what they were."""
    table, model = counters(client, "past", 2), {}
    for batch in range(2):
        metadata = churn(client, table, model, batch)
    past, was = metadata["current-snapshot-id"], sorted(model.items())
    table = counters(client, "past", 3)
    churn(client, table, model, 2)
    name = table.sql()
    assert sorted(spark.sql(f"SELECT id, n FROM {table.sql('`')} VERSION AS OF {past}")) == was
    assert sorted(duckdb.sql(f"SELECT id, n FROM {name} AT (VERSION => {past})")) == was
    pyiceberg = readers.PyIceberg(client._base).catalog.load_table((table.tenant, table.name))
    rows = pyiceberg.scan(selected_fields=("id", "n"), snapshot_id=past).to_arrow().to_pylist()
    assert sorted((row["id"], row["n"]) for row in rows) == was


def test_lineage(client, duckdb, spark):
    """Spark and DuckDB agree on row ids, which compaction leaves as they are."""
    table, model = counters(client, "lineage", 2), {}
    for batch in range(3):
        churn(client, table, model, batch)
    table = counters(client, "lineage", 3)
    columns = "_seq, _row_id, _last_updated_sequence_number"

    def lineage():
        client.load(table)
        rows = sorted(spark.sql(f"SELECT {columns} FROM {table.sql('`')}"))
        assert rows == sorted(duckdb.sql(f"SELECT {columns} FROM {table.sql()}"))
        assert len(rows) == len(model) == len({row[1] for row in rows}), "ids are not one row's each"
        return rows

    churn(client, table, model, 3)
    before = lineage()
    client.reports(table, "lake/compact")
    assert client.lake(table)["files"] == 1
    assert lineage() == before
    churn(client, table, model, 4)
    kept = {row[0]: row for row in before}
    after = lineage()
    assert all(kept.get(row[0], row) == row for row in after)
    new = [row for row in after if row[0] not in kept]
    assert new and min(row[1] for row in new) > max(row[1] for row in before)


def test_spark_keeps_lineage(client, duckdb, spark):
    """A rewrite by Spark leaves row ids as they are, as the catalog demands."""
    table, model = counters(client, "rewritten", 3), {}
    for batch in range(3):
        churn(client, table, model, batch)

    def lineage():
        client.load(table)
        return sorted(spark.sql(f"SELECT _seq, _row_id, _last_updated_sequence_number FROM {table.sql('`')}"))

    before = lineage()
    for _ in range(3):  # Trine's own compaction may be first
        (done,) = spark.sql(
            f"CALL trine.system.rewrite_data_files(table => '{table.tenant}.{table.name}', options => map('rewrite-all', 'true'))"
        )
        assert done[0] >= 1 and done[1] == 1
    assert lineage() == before
    columns = f"_seq, _row_id, _last_updated_sequence_number FROM {table.sql()}"
    assert sorted(duckdb.sql(f"SELECT {columns}")) == before
    assert client.verified(table)


def test_pyiceberg_has_no_row_ids(client, pyiceberg):
    """PyIceberg 0.12 reads format version 3, but does not offer the columns of row lineage."""
    table, model = counters(client, "pyiceberg", 3), {}
    churn(client, table, model, 0)
    assert pyiceberg.rows(table, ["id", "n"]) == sorted(model.items(), key=repr)
    with pytest.raises(ValueError, match="Could not find column: '_row_id'"):
        pyiceberg.table(table, ["id", "_row_id"])


def test_no_way_back(client):
    """A table's format version never falls, and the refusal says what to do."""
    counters(client, "risen", 3)
    with pytest.raises(Exception) as refused:
        counters(client, "risen", 2)
    assert "state lake_format: 3" in "".join(refused.value.__notes__)


def test_spark_sees_one_vector_a_file(client, spark):
    """Spark's own view: one vector a data file, in Puffin, and none of position-delete files."""
    table, model = counters(client, "inside", 3), {}
    for batch in range(3):
        churn(client, table, model, batch)
    files = spark.sql(f"SELECT file_format, referenced_data_file, record_count FROM {table.sql('`')}.delete_files")
    assert files and {f[0] for f in files} == {"PUFFIN"}
    assert len({f[1] for f in files}) == len(files)
    (live,), = spark.sql(f"SELECT sum(record_count) FROM {table.sql('`')}.data_files")
    assert live - sum(f[2] for f in files) == len(model)
