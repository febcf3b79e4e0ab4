"""The quickstart's files by the command line, and three million flights.

The flights are those of $TRINE_FLIGHTS, a Parquet file; else of the shared
folder beside the repository; else the sample that the repository carries.
"""

import os

import polars
import pyarrow.csv
import pyarrow.parquet
import pytest

import demo
from conftest import assert_same
from trine import QUICKSTART, REPO, Collection

TENANT = "acme"  # as collections.yaml has it
FLIGHTS = Collection(TENANT, "flights", demo.FLIGHTS)
COLUMNS = [f["name"] for f in demo.FLIGHTS["fields"]]

# The same sums in every engine's dialect. They hold the routes apart, and the
# products hold the columns of a row together.
SUMMARY = """
    SELECT origin, destination, count(*), sum(delay), sum(distance), sum(delay * distance),
           sum({epoch}), sum({epoch} % 86400 * delay), min(delay), max(distance)
    FROM {table} GROUP BY origin, destination
"""


def _source():
    given = os.environ.get("TRINE_FLIGHTS")
    if given:
        return given
    shared = os.path.join(os.path.dirname(REPO), "shared", "data", "flights-3m.parquet")
    return shared if os.path.exists(shared) else demo.path("flights")


@pytest.fixture(scope="module")
def source():
    """The flights as pyarrow reads them from the file, in the file's order."""
    path = _source()
    table = pyarrow.parquet.read_table(path) if path.endswith(".parquet") else pyarrow.csv.read_csv(path)
    return polars.from_arrow(table).select(
        polars.col("date").cast(polars.Datetime("us")), "delay", "distance", "origin", "destination"
    )


@pytest.fixture(scope="module")
def imported(server):
    server.command("apply", "-f", os.path.join(QUICKSTART, "collections.yaml"))
    for name in ("airports", "weather"):
        server.command("import", f"{TENANT}/{name}", demo.path(name))
    server.command("import", f"{TENANT}/flights", _source())


def test_quickstart_files(imported, agree):
    for name, definition in (("airports", demo.AIRPORTS), ("weather", demo.WEATHER)):
        agree(Collection(TENANT, name, definition), demo.csv_rows(name, definition))


def test_every_flight(imported, source, pyarrow_scan, polars_scan, pyiceberg, duckdb, spark, tmp_path):
    """The whole set of rows, each with its seq."""
    columns = [*COLUMNS, "_seq"]
    scan = _sorted(polars.from_arrow(pyarrow_scan.table(FLIGHTS, columns)))
    _same("scan", scan.select(COLUMNS).sort(COLUMNS), source.sort(COLUMNS))
    assert scan["_seq"].to_list() == list(range(source.height)), "seq is not dense"
    _same("polars", _sorted(polars_scan.frame(FLIGHTS, columns)), scan)
    _same("pyiceberg", _sorted(polars.from_arrow(pyiceberg.table(FLIGHTS, columns))), scan)
    _same("duckdb", _sorted(polars.from_arrow(duckdb.table(FLIGHTS, columns))), scan)
    spark.export(FLIGHTS, columns, tmp_path / "spark")
    _same("spark", _sorted(_frame_of_spark(tmp_path / "spark")), scan)


def test_sums_of_every_route(imported, source, duckdb, spark):
    want = _summary(source)
    got = duckdb.sql(SUMMARY.format(table=FLIGHTS.sql(), epoch="CAST(epoch(date) AS BIGINT)"))
    assert_same("duckdb", sorted(tuple(map(_plain, row)) for row in got), want)
    got = spark.sql(SUMMARY.format(table=FLIGHTS.sql("`"), epoch="unix_timestamp(CAST(date AS TIMESTAMP))"))
    assert_same("spark", sorted(got), want)


def test_pushed_down(imported, source, pyarrow_scan, duckdb):
    """A predicate that statistics can prune by, and one that they cannot."""
    for where, expression in (
        ("date >= timestamp '2001-06-30 00:00:00'", polars.col("date") >= polars.datetime(2001, 6, 30)),
        ("origin = 'SEA' and delay > 120", (polars.col("origin") == "SEA") & (polars.col("delay") > 120)),
    ):
        want = source.filter(expression).sort(COLUMNS)
        assert want.height > 0
        _same(where, polars.from_arrow(pyarrow_scan.table(FLIGHTS, COLUMNS, where=where)).sort(COLUMNS), want)
        _same(where, polars.from_arrow(duckdb.table(FLIGHTS, COLUMNS, where)).sort(COLUMNS), want)


def _frame_of_spark(folder):
    """Spark writes a timestamp without zone as one, in microseconds; polars reads both."""
    frame = polars.read_parquet(str(folder / "*.parquet"))
    return frame.with_columns(polars.col("date").dt.replace_time_zone(None).cast(polars.Datetime("us")))


def _sorted(frame):
    return frame.select([*COLUMNS, "_seq"]).sort("_seq")


def _same(name, got, want):
    assert got.height == want.height, f"{name} has {got.height} rows, wanted {want.height}"
    for column in want.columns:
        differ = (got[column] != want[column]).sum() + (got[column].is_null() != want[column].is_null()).sum()
        assert differ == 0, f"{name}: column {column} differs in {differ} rows"


def _summary(frame):
    seconds = polars.col("date").dt.epoch("s")
    return sorted(
        frame.group_by("origin", "destination")
        .agg(
            polars.len().cast(polars.Int64),
            polars.col("delay").sum(),
            polars.col("distance").sum().alias("miles"),
            (polars.col("delay") * polars.col("distance")).sum().alias("products"),
            seconds.sum().alias("seconds"),
            (seconds % 86400 * polars.col("delay")).sum().alias("seconds of day"),
            polars.col("delay").min().alias("least"),
            polars.col("distance").max().alias("most"),
        )
        .rows()
    )


def _plain(value):
    """DuckDB sums to HUGEINT, which Python gets as an int; a Decimal would not compare."""
    return value if isinstance(value, str) else int(value)
