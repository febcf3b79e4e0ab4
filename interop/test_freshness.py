"""A SQL engine reads what was acknowledged before it asked.

Each engine is the first to ask here, so that its own request is what flushes
the tail. DuckDB reads a table as of the moment that its statement began: a
snapshot that is stamped with the time of that flush is too late for it, and it
would read the one before without a word.
"""

import threading

import pytest

import demo

TENANT = "fresh"
ENGINES = ["pyiceberg", "duckdb", "spark"]
COUNTERS = {"fields": [demo.field("id", "int", required=True), demo.field("n", "long")], "key": ["id"]}


@pytest.fixture
def engine(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_first_to_ask(client, engine):
    """The load makes the table, and every later one adds to it."""
    counters = client.apply(TENANT, f"first_{engine.name}", **COUNTERS)
    model = {}
    for step in range(6):
        client.write(counters, [{"id": step, "n": step}, {"id": 100, "n": step}])
        model |= {step: step, 100: step}
        if step == 3:
            client.write(counters, [{"id": 1}], op="delete")
            del model[1]
        assert engine.rows(counters, ["id", "n"]) == sorted(model.items(), key=repr), f"step {step}"


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_delete_alone(client, engine):
    """A flush of nothing but deletes is seen as well."""
    counters = client.apply(TENANT, f"delete_{engine.name}", **COUNTERS)
    client.write(counters, [{"id": 1, "n": 1}, {"id": 2, "n": 2}])
    assert engine.rows(counters, ["id"]) == [(1,), (2,)]
    client.write(counters, [{"id": 1}], op="delete")
    assert engine.rows(counters, ["id"]) == [(2,)]


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_schema_alone(client, engine):
    """So is an evolution that no write followed."""
    name = f"schema_{engine.name}"
    client.write(client.apply(TENANT, name, fields=[demo.field("a", "int")]), [{"a": 1}])
    wider = client.apply(TENANT, name, fields=[demo.field("a", "int"), demo.field("b", "int")])
    assert engine.rows(wider, ["a", "b"]) == [(1, None)]
    wider = client.apply(TENANT, name, fields=[demo.field("c", "long", was="a"), demo.field("b", "int")])
    assert engine.rows(wider, ["c", "b"]) == [(1, None)]


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_while_others_write(client, engine):
    """Writes that never pause do not make a reader miss what was acknowledged."""
    log = client.apply(TENANT, f"stream_{engine.name}", fields=[demo.field("n", "long")])
    acknowledged = 0
    stop = threading.Event()
    failure = []

    def write():
        nonlocal acknowledged
        try:
            while not stop.is_set():
                client.write(log, [{"n": acknowledged}])
                acknowledged += 1
        except Exception as err:  # the main thread tells it
            failure.append(err)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(8):
            least = acknowledged
            got = sorted(n for (n,) in engine.rows(log, ["n"]))
            most = acknowledged + 1  # its answer may still be on the way
            assert got == list(range(len(got))), "not a prefix of the log"
            assert least <= len(got) <= most
    finally:
        stop.set()
        writer.join()
    assert not failure
