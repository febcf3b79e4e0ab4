"""The shapes of tables that every engine is asked to read, each made in one server.

A shape's function is given a Maker, and gives the collection, and the rows that it
must have if they are known by other means than a scan.
"""

import datetime
import decimal
import itertools
import random
from dataclasses import dataclass
from typing import Callable

import demo
import layouts
import typecases
from demo import field

TENANT = "matrix"
SHAPES = {}

COUNTERS = {"fields": [field("id", "int", required=True), field("n", "long")], "key": ["id"]}


@dataclass(frozen=True)
class Shape:
    name: str
    make: Callable
    between: Callable | None = None  # what happens to the table while it is read


@dataclass(frozen=True)
class Maker:
    """What makes one shape."""

    client: object
    pyiceberg: object
    name: str

    def apply(self, **definition):
        return self.client.apply(TENANT, self.name, **definition)

    def write(self, collection, records, op=None, flush=True):
        """Writes a batch, and has the table take it up, in a snapshot of its own."""
        self.client.write(collection, records, op)
        if flush:
            self.client.load(collection)

    def churn(self, collection, model, seed):
        """Updates, inserts and deletes, in one snapshot."""
        rng = random.Random(seed)
        rows = {rng.randrange(400): rng.randrange(10**9) for _ in range(120)}
        self.write(collection, [{"id": k, "n": n} for k, n in rows.items()], flush=False)
        gone = rng.sample(sorted(rows), 10)
        self.write(collection, [{"id": k} for k in gone], op="delete")
        model |= rows
        for k in gone:
            del model[k]

    def compact(self, collection):
        self.client.reports(collection, "lake/compact")


def shape(make):
    SHAPES[make.__name__] = Shape(make.__name__, make)
    return make


def while_(between):
    """Marks the shape above, whose table has between done to it while it is read."""

    def mark(make):
        SHAPES[make.__name__] = Shape(make.__name__, make, between)
        return make

    return mark


# Types and names.


@shape
def every_type_keyed(m):
    types = m.apply(**typecases.definition(key=True))
    m.write(types, typecases.records())
    return types, typecases.rows()


@shape
def every_type_append_only(m):
    types = m.apply(**typecases.definition(key=False))
    m.write(types, typecases.records())
    return types, typecases.rows()


@shape
def nothing_but_nulls(m):
    """No value from which a reader could tell a type, in a file and after another."""
    types = m.apply(**typecases.definition(key=False))
    m.write(types, [{"id": 1}, {"id": 2}])
    m.write(types, [{"id": 3}])
    return types, [(i, *(None,) * len(typecases.CASES)) for i in (1, 2, 3)]


@shape
def time_of_day(m):
    clock = m.apply(fields=[field("at", "time")])
    m.write(clock, [{"at": "00:00:00"}, {"at": "23:59:59.999999"}, {"at": None}])
    return clock, [(datetime.time(0),), (datetime.time(23, 59, 59, 999999),), (None,)]


@shape
def lists_of_lists(m):
    return typecases.nested(m)


@shape
def deep(m):
    return typecases.deep(m)


@shape
def nullable_nesting(m):
    return typecases.nullable_nesting(m)


@shape
def names(m):
    """A field can have any name, but for what begins with an underscore."""
    fields = ["Größe", "with space", "a.b", "a/b", "UPPER", "select", 'quote"d', "back`tick", "1st", "back\\slash"]
    named = m.apply(fields=[field(n, "int") for n in fields])
    m.write(named, [{n: i for i, n in enumerate(fields)}])
    return named, [tuple(range(len(fields)))]


@shape
def wide(m):
    """More columns than most have, few of them set in a row."""
    columns = 150
    table = m.apply(fields=[field("id", "int", required=True), *(field(f"c{i}", "long") for i in range(columns))], key=["id"])
    m.write(table, [{"id": i, f"c{i}": i, f"c{columns - 1 - i}": -i} for i in range(60)])
    m.write(table, [{"id": 7, "c7": 8}])
    rows = {i: {i: i, columns - 1 - i: -i} for i in range(60)} | {7: {7: 8}}
    return table, [(i, *(set_.get(c) for c in range(columns))) for i, set_ in rows.items()]


@shape
def long_values(m):
    texts = m.apply(fields=[field("id", "int", required=True), field("text", "string"), field("bytes", "binary")], key=["id"])
    text = "ä€\U0001f6eb" * 20_000
    m.write(texts, [{"id": 1, "text": text, "bytes": "AAEC" * 50_000}, {"id": 2, "text": text[:-1], "bytes": None}])
    return texts, [(1, text, b"\x00\x01\x02" * 50_000), (2, text[:-1], None)]


@shape
def key_of_every_type(m):
    return typecases.keys(m)


# Rows: inserted, updated, deleted.


@shape
def no_rows(m):
    return m.apply(**demo.AIRPORTS), []


@shape
def all_rows_deleted(m):
    gone = m.apply(**COUNTERS)
    m.write(gone, [{"id": i, "n": i} for i in range(50)])
    m.write(gone, [{"id": i} for i in range(50)], op="delete")
    return gone, []


@shape
def keyed(m):
    airports = m.apply(**demo.AIRPORTS)
    m.client.write_body(airports, demo.csv_bytes("airports"), "text/csv")
    return airports, demo.csv_rows("airports", demo.AIRPORTS)


@shape
def composite_key(m):
    weather = m.apply(**demo.WEATHER)
    m.client.write_body(weather, demo.csv_bytes("weather"), "text/csv")
    return weather, demo.csv_rows("weather", demo.WEATHER)


@shape
def append_only(m):
    flights = m.apply(**demo.FLIGHTS)
    m.client.write_body(flights, demo.csv_bytes("flights"), "text/csv")
    return flights, demo.csv_rows("flights", demo.FLIGHTS)


@shape
def many_files(m):
    log = m.apply(fields=[field("n", "long")])
    for i in range(25):
        m.write(log, [{"n": i}])
    return log, [(i,) for i in range(25)]


@shape
def appended_by_an_engine(m):
    """Rows of an engine have no _seq."""
    log = m.apply(fields=[field("n", "long")])
    m.write(log, [{"n": 1}, {"n": 2}])
    import pyarrow

    m.pyiceberg.catalog.load_table((TENANT, m.name)).append(pyarrow.table({"n": pyarrow.array([3, None], "int64")}))
    m.write(log, [{"n": 4}])
    return log, [(1,), (2,), (3,), (None,), (4,)]


def _churned(m, lake_format, batches=3):
    table, model = m.apply(**COUNTERS, options={"lake_format": lake_format}), {}
    for batch in range(batches):
        m.churn(table, model, batch)
    return table, model


@shape
def upserted(m):
    return _upserted(m, 2)


@shape
def upserted_v3(m):
    return _upserted(m, 3)


def _upserted(m, lake_format):
    """Whole rows and parts of rows are replaced, some twice, none deleted."""
    airports = m.apply(**demo.AIRPORTS, options={"lake_format": lake_format})
    rows = {row[0]: row for row in demo.csv_rows("airports", demo.AIRPORTS)[:600]}
    m.write(airports, demo.records(rows.values(), demo.AIRPORTS))
    for round_, start in enumerate((0, 30)):
        some = sorted(rows)[start : start + 60]
        changed = {key: (key, f"{round_} {rows[key][1]}", *rows[key][2:6], None) for key in some}
        m.write(airports, demo.records(changed.values(), demo.AIRPORTS))
        rows |= changed
        m.write(airports, [{"iata": key, "city": f"city {round_}"} for key in some[::3]], op="patch")
        rows |= {key: (*rows[key][:2], f"city {round_}", *rows[key][3:]) for key in some[::3]}
    return airports, rows.values()


@shape
def upserted_and_deleted(m):
    table, model = _churned(m, 2)
    return table, model.items()


@shape
def upserted_and_deleted_v3(m):
    table, model = _churned(m, 3)
    return table, model.items()


@shape
def deleted_in_every_file(m):
    return _deleted_in_every_file(m, 2)


@shape
def deleted_in_every_file_v3(m):
    return _deleted_in_every_file(m, 3)


def _deleted_in_every_file(m, lake_format):
    """Rows at the beginning, in the middle and at the end of files, and whole files."""
    table = m.apply(**COUNTERS, options={"lake_format": lake_format})
    for start in (0, 100, 200):
        m.write(table, [{"id": i, "n": i} for i in range(start, start + 100)])
    gone = {0, 50, 99, *range(100, 200), *range(200, 300, 2)}
    m.write(table, [{"id": i} for i in gone], op="delete")
    return table, [(i, i) for i in range(300) if i not in gone]


@shape
def converted_to_v3(m):
    """Position deletes of before, and vectors of after."""
    table, model = _churned(m, 2, 2)
    table = m.apply(**COUNTERS, options={"lake_format": 3})
    m.churn(table, model, 9)
    return table, model.items()


# Compaction.


@shape
def compacted(m):
    return _compacted(m, 2)


@shape
def compacted_v3(m):
    return _compacted(m, 3)


def _compacted(m, lake_format):
    table, model = _churned(m, lake_format)
    m.compact(table)
    m.churn(table, model, 9)
    return table, model.items()


_seeds = itertools.count()


def _compact_and_churn(m, collection):
    """Nothing of the version before is left in the one after."""
    m.compact(collection)
    m.churn(collection, {}, next(_seeds))
    m.client.reports(collection, "lake/expire")


@while_(_compact_and_churn)
def compacted_in_mid_read(m):
    return _churned(m, 2)[0], None


@while_(_compact_and_churn)
def compacted_in_mid_read_v3(m):
    return _churned(m, 3)[0], None


# Evolution.


@shape
def evolved(m):
    """Fields are added, dropped, renamed, widened, moved and made optional."""
    def fields(*others):
        return [field("id", "int", required=True), *others]

    pos = {"type": "struct", "fields": [field("x", "int")]}
    first = m.apply(
        fields=fields(
            field("small", "int"), field("ratio", "float"), field("price", "decimal(9,2)"), field("old_name", "string"),
            field("dropped", "string"), field("must", "string", required=True), field("pos", pos),
        ),
        key=["id"],
    )
    old = {"small": 1, "ratio": 0.5, "price": "1.25", "old_name": "was", "dropped": "gone", "must": "m", "pos": {"x": 1}}
    m.write(first, [{"id": i, **old} for i in range(1, 4)])
    m.write(first, [{"id": 4, **old}], flush=False)
    wider = {"type": "struct", "fields": [field("x", "long"), field("y", "string")]}
    second = m.apply(
        fields=fields(
            field("added", "date"), field("new_name", "string", was="old_name"), field("small", "long"), field("ratio", "double"),
            field("price", "decimal(18,2)"), field("must", "string"), field("pos", wider),
        ),
        key=["id"],
    )
    new = {"added": "2026-11-20", "small": 2**40, "price": "9999999999999999.99", "pos": {"x": 2**40, "y": "y"}}
    m.write(second, [{"id": 1, **new}, {"id": 5, **new}])
    m.write(second, [{"id": 2}], op="delete")
    kept = (None, "was", 1, 0.5, decimal.Decimal("1.25"), "m", (1, None))
    price = decimal.Decimal("9999999999999999.99")
    changed = (datetime.date(2026, 11, 20), None, 2**40, None, price, None, (2**40, "y"))
    return second, [(1, *changed), (3, *kept), (4, *kept), (5, *changed)]


@shape
def evolved_inside(m):
    return typecases.evolved_inside(m)


@shape
def name_used_again(m):
    """A field that takes the name of a dropped one does not get its values."""
    first = m.apply(fields=[field("a", "int"), field("b", "int")])
    m.write(first, [{"a": 1, "b": 2}])
    m.apply(fields=[field("a", "int")])
    last = m.apply(fields=[field("b", "int"), field("a", "int")])
    m.write(last, [{"a": 3, "b": 4}])
    return last, [(None, 1), (4, 3)]


@shape
def names_swapped(m):
    first = m.apply(fields=[field("a", "int"), field("b", "int")])
    m.write(first, [{"a": 1, "b": 2}])
    m.apply(fields=[field("c", "int", was="a"), field("a", "int", was="b")])
    last = m.apply(fields=[field("b", "int", was="c"), field("a", "int")])
    m.write(last, [{"b": 3, "a": 4}])
    return last, [(1, 2), (3, 4)]


@shape
def key_widened(m):
    fields = [field("id", "int", required=True), field("rank", "int")]
    first = m.apply(fields=fields, key=["id"])
    m.write(first, [{"id": i, "rank": -i} for i in range(20)])
    wider = [field("id", "long", required=True), field("rank", "long")]
    second = m.apply(fields=wider, key=["id"])
    m.write(second, [{"id": 2**40, "rank": 2**50}, {"id": 3, "rank": 7}])
    return second, [*((i, -i) for i in range(20) if i != 3), (2**40, 2**50), (3, 7)]


# Partitions and order.


@shape
def partitioned(m):
    """By every transform, in one spec."""
    return layouts.upserted(m, {"lake_partition": layouts.EVERY_TRANSFORM})


@shape
def partitioned_v3(m):
    return layouts.upserted(m, {"lake_partition": layouts.EVERY_TRANSFORM, "lake_format": 3})


@shape
def partitioned_append_only(m):
    return layouts.appended(m, {"lake_partition": ["day(_time)", "flag"]})


@shape
def sorted_(m):
    return layouts.upserted(m, {"lake_sort": [{"field": "who", "desc": True}, "n"]})


@shape
def repartitioned(m):
    """Files of several specs, and rows that move between them."""
    return layouts.repartitioned(m, 2)


@shape
def repartitioned_v3(m):
    return layouts.repartitioned(m, 3)
