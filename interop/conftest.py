"""One server and one of each engine for the whole suite."""

import os
import time
from collections import Counter

# Spark hands over a timestamptz as local time.
os.environ["TZ"] = "UTC"
time.tzset()

import pytest

import engines as readers
import scans
import trine


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = trine.Server(trine.binary(), str(tmp_path_factory.mktemp("trine")))
    server.start()
    yield server
    if server.running():
        server.stop()


@pytest.fixture(scope="session")
def client(server):
    return trine.Client(server.base)


@pytest.fixture(scope="session")
def pyarrow_scan(client):
    return scans.PyArrow(client)


@pytest.fixture(scope="session")
def parquet_scan(client):
    return scans.ParquetScan(client)


@pytest.fixture(scope="session")
def polars_scan(client):
    return scans.Polars(client)


@pytest.fixture(scope="session")
def pyiceberg(server):
    return readers.PyIceberg(server.base)


@pytest.fixture(scope="session")
def duckdb(server):
    engine = readers.DuckDB(server.base)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def spark(server):
    engine = readers.Spark(server.base)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def engines(pyarrow_scan, parquet_scan, polars_scan, pyiceberg, duckdb, spark):
    """All readers; the first is what the others are compared with."""
    return [pyarrow_scan, parquet_scan, polars_scan, pyiceberg, duckdb, spark]


@pytest.fixture(scope="session")
def agree(engines):
    """Reads a collection by every engine and demands the same rows of each."""

    def agree(collection, expected=None, without=()):
        columns = [*collection.fields(), "_seq", "_time"]
        chosen = [e for e in engines if e.name not in without]
        rows = chosen[0].rows(collection, columns)
        for engine in chosen[1:]:
            assert_same(engine.name, engine.rows(collection, columns), rows)
        seqs = [row[-2] for row in rows]
        assert len(set(seqs)) == len(seqs), "a seq has more than one row"
        if expected is not None:
            # repr is the order that canonical rows have.
            assert_same("scan", sorted((row[:-2] for row in rows), key=repr), sorted(expected, key=repr))
        return rows

    return agree


def assert_same(name, got, want):
    """Compares rows, and shows the first that differ rather than all of them."""
    if got == want:
        return
    missing = list((Counter(want) - Counter(got)).elements())
    extra = list((Counter(got) - Counter(want)).elements())
    pytest.fail(
        f"{name} has {len(got)} rows, wanted {len(want)}: "
        f"{len(missing)} are missing, such as {missing[:3]}; {len(extra)} are unexpected, such as {extra[:3]}"
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Shows the end of the server's log beside a failed test."""
    outcome = yield
    report = outcome.get_result()
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and server is not None:
        report.sections.append(("server log", server.log_tail()))
