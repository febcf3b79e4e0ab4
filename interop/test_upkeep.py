"""Tables are compacted and expired between the reads of engines, and under them."""

import random

import pytest

import demo
import engines as readers
import trine

TENANT = "upkeep"
COUNTERS = {"fields": [demo.field("id", "int", required=True), demo.field("n", "long")], "key": ["id"]}


@pytest.fixture(scope="module")
def brief(tmp_path_factory):
    """A server that removes what no version names any more at once, when told to."""
    settings = {"TRINE_LAKE_UPKEEP": "off", "TRINE_LAKE_SNAPSHOTS": "2", "TRINE_LAKE_FILE_GRACE": "1ms"}
    server = trine.Server(trine.binary(), str(tmp_path_factory.mktemp("brief")), settings=settings)
    server.start()
    yield server
    server.stop()


def churn(client, collection, model, seed):
    """Writes a batch of updates, inserts and deletes."""
    rng = random.Random(seed)
    rows = {rng.randrange(400): rng.randrange(10**9) for _ in range(120)}
    client.write(collection, [{"id": k, "n": n} for k, n in rows.items()])
    gone = rng.sample(sorted(rows), 10)
    client.write(collection, [{"id": k} for k in gone], op="delete")
    model |= rows
    for k in gone:
        del model[k]


def upkeep(client, collection, what):
    return client.reports(collection, f"lake/{what}")


def test_all_engines(client, agree):
    """Every engine reads the same rows, with their seqs, before and after."""
    counters = client.apply(TENANT, "all", **COUNTERS)
    model = {}
    merged = 0
    for step in range(3):
        for batch in range(4):
            churn(client, counters, model, 10 * step + batch)
            client.load(counters)
        before = agree(counters, model.items())
        merged += sum(done["files_before"] for done in upkeep(client, counters, "compact"))
        assert agree(counters, model.items()) == before
        upkeep(client, counters, "expire")
    # The server may have been quicker: it does the same by itself.
    status = client.lake(counters)
    assert merged or status["files"] < 12
    assert status["rows"] == len(model)


def test_files_go_between_reads(brief):
    """Engines that hold on to the catalogue follow the table when its old files are gone."""
    client = trine.Client(brief.base)
    counters = client.apply(TENANT, "brief", **COUNTERS)
    engines = [readers.PyIceberg(brief.base), readers.DuckDB(brief.base)]
    model = {}
    removed = 0
    for step in range(6):
        for batch in range(4):
            churn(client, counters, model, 100 * step + batch)
            for engine in engines:
                assert engine.rows(counters, ["id", "n"]) == sorted(model.items(), key=repr), (engine.name, step, batch)
        assert sum(done["files_before"] for done in upkeep(client, counters, "compact")) >= 4
        removed += sum(done["files"] for done in upkeep(client, counters, "expire"))
        for engine in engines:
            assert engine.rows(counters, ["id", "n"]) == sorted(model.items(), key=repr), (engine.name, step)
    assert removed > 20
    assert client.lake(counters)["files"] <= 3
    engines[1].close()


def test_old_version_within_the_grace(client):
    """A table that was loaded before a compaction is read to its end after it."""
    counters = client.apply(TENANT, "held", **COUNTERS)
    model = {}
    for batch in range(5):
        churn(client, counters, model, batch)
        client.load(counters)
    catalog = readers.PyIceberg(client._base).catalog
    held = catalog.load_table((counters.tenant, counters.name))
    upkeep(client, counters, "compact")
    churn(client, counters, dict(model), 99)
    client.load(counters)
    upkeep(client, counters, "expire")
    rows = held.scan(selected_fields=("id", "n")).to_arrow().to_pylist()
    assert {row["id"]: row["n"] for row in rows} == model
