"""Every engine reads every shape of table as the server's scan has it, in every store.

What a cell of the matrix cannot is in limits.py. A shape is made once in each server,
when the first cell needs it.
"""

import contextlib
from dataclasses import dataclass, field

import pytest

import engines as readers
import limits
import scans
import shapes
import trine
from conftest import assert_same
from stores import Versitygw

ENGINES = ["parquet", "polars", "pyiceberg", "polars_iceberg", "duckdb", "clickhouse", "spark"]
STORES = ["file", "s3"]


@dataclass
class Store:
    """A server, and the engines on it."""

    name: str
    client: trine.Client
    scan: scans.PyArrow
    engines: dict
    _made: dict = field(default_factory=dict)

    def made(self, shape):
        """The collection of a shape, and the rows that it is known to have."""
        if shape.name not in self._made:
            maker = shapes.Maker(self.client, self.engines["pyiceberg"], shape.name)
            try:
                self._made[shape.name] = shape.make(maker)
            except Exception as err:
                self._made[shape.name] = err
        made = self._made[shape.name]
        if isinstance(made, Exception):
            pytest.fail(f"cannot make {shape.name}: {made!r} {getattr(made, '__notes__', '')}")
        return made

    def between(self, shape, collection):
        if shape.between:
            shape.between(shapes.Maker(self.client, self.engines["pyiceberg"], shape.name), collection)


@pytest.fixture(scope="module", params=STORES)
def store(request, tmp_path_factory, spark):
    folder = str(tmp_path_factory.mktemp(request.param))
    with contextlib.ExitStack() as closing:
        s3 = None
        if request.param == "s3":
            gateway = Versitygw(folder)
            gateway.start()
            closing.callback(gateway.stop)
            s3 = gateway.s3
        # A shape keeps the files that it was made with.
        server = trine.Server(trine.binary(), folder, s3, {"TRINE_LAKE_UPKEEP": "off"})
        server.start()
        closing.callback(server.stop)
        client = trine.Client(server.base)
        pyiceberg = readers.PyIceberg(server.base, s3)
        duckdb = readers.DuckDB(server.base, s3)
        closing.callback(duckdb.close)
        clickhouse = readers.ClickHouse(server.base, s3, "trine_" + request.param)
        closing.callback(clickhouse.close)
        engines = [
            scans.ParquetScan(client),
            scans.Polars(client),
            pyiceberg,
            readers.PolarsIceberg(pyiceberg),
            duckdb,
            clickhouse,
            readers.Spark(server.base, s3, "trine_" + request.param),  # in the session of spark
        ]
        yield Store(request.param, client, scans.PyArrow(client), {e.name: e for e in engines})


@pytest.mark.parametrize("shape", shapes.SHAPES.values(), ids=shapes.SHAPES)
def test_scan(store, shape):
    """The scan, which the engines are held against, has the rows that the shape knows of."""
    collection, known = store.made(shape)
    rows = store.scan.rows(collection, _columns(collection))
    given = [row[-2] for row in rows if row[-2] is not None]
    assert len(set(given)) == len(given), "a seq has more than one row"
    if known is not None:
        # repr is the order that canonical rows have.
        assert_same("scan", sorted((row[:-2] for row in rows), key=repr), sorted(known, key=repr))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shape", shapes.SHAPES.values(), ids=shapes.SHAPES)
def test_rows(store, shape, engine):
    collection, _ = store.made(shape)
    columns = _columns(collection)
    wanted = store.scan.rows(collection, columns)
    limit = limits.of(engine, shape.name, store.name)
    if limit and limit.says:
        with pytest.raises(Exception) as refused:
            _read(store, shape, engine, collection, columns)
        assert limit.says in str(refused.value)
        return
    rows = _read(store, shape, engine, collection, columns)
    if limit:
        assert rows != wanted, f"a limit has gone: {limit.what}"
        wanted = limit.gives(collection, wanted)
    assert_same(engine, rows, wanted)


def test_limits_are_of_what_is_installed():
    for limit in limits.LIMITS:
        assert limit.engine in ENGINES
        assert limit.version == limits.version(limit.engine), f"look whether this still holds: {limit.what}"
        assert set(limit.shapes) <= set(shapes.SHAPES)
        assert limit.store in (None, *STORES)
        assert bool(limit.says) != bool(limit.gives)


def _read(store, shape, engine, collection, columns):
    if not shape.between:
        return store.engines[engine].rows(collection, columns)
    finish = store.engines[engine].begin(collection, columns)
    store.between(shape, collection)
    return finish()


def _columns(collection):
    return [*collection.fields(), "_seq", "_time"]
