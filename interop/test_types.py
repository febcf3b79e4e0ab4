"""Every type, nested ones too, arrives in every engine as it was written."""

import datetime
import decimal

import pytest

import demo
from demo import field
from values import UTC, canonical

TENANT = "interop"

D = decimal.Decimal

# name, type, a value as JSON carries it, the value it is; then the same for a
# value at the type's edge.
CASES = [
    ("boolean", "boolean", True, True, False, False),
    ("int", "int", 42, 42, -(2**31), -(2**31)),
    ("long", "long", 2**53 + 1, 2**53 + 1, -(2**63), -(2**63)),
    ("float", "float", 1.5, 1.5, "NaN", float("nan")),
    ("double", "double", 0.1, 0.1, "-Infinity", float("-inf")),
    ("decimal_9", "decimal(9,2)", "1234567.89", D("1234567.89"), "-0.01", D("-0.01")),
    ("decimal_18", "decimal(18,4)", "12.5", D("12.5"), "-99999999999999.9999", D("-99999999999999.9999")),
    ("decimal_38", "decimal(38,10)", 7, D(7), "9" * 28 + "." + "9" * 10, D("9" * 28 + "." + "9" * 10)),
    ("date", "date", "2026-02-28", datetime.date(2026, 2, 28), "1969-12-31", datetime.date(1969, 12, 31)),
    (
        "timestamp",
        "timestamp",
        "2026-03-29T02:30:00.123456",
        datetime.datetime(2026, 3, 29, 2, 30, 0, 123456),
        "1969-12-31T23:59:59.999999",
        datetime.datetime(1969, 12, 31, 23, 59, 59, 999999),
    ),
    (
        "timestamptz",
        "timestamptz",
        "2026-03-29T02:30:00+02:00",
        datetime.datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
        "1969-12-31T23:59:59.000001Z",
        datetime.datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
    ),
    ("string", "string", "Zürich \U0001f6eb \"quoted\"\n", "Zürich \U0001f6eb \"quoted\"\n", "", ""),
    ("uuid", "uuid", *["F81D4FAE-7dec-11d0-a765-00a0c91e6bf6"] * 2, *["00000000-0000-0000-0000-000000000000"] * 2),
    ("fixed", "fixed(4)", "3q2+7w==", b"\xde\xad\xbe\xef", "AAAAAA==", bytes(4)),
    ("binary", "binary", "AAEC/w==", b"\x00\x01\x02\xff", "", b""),
    ("json", "json", {"a": [1, None, "x"]}, '{"a": [1, null, "x"]}', None, None),
    (
        "struct",
        {"type": "struct", "fields": [field("x", "int"), field("when", "date")]},
        {"x": 1, "when": "2026-01-01"},
        (1, datetime.date(2026, 1, 1)),
        {"x": None, "when": None},
        (None, None),
    ),
    ("list", {"type": "list", "element": "string"}, ["a", None, ""], ("a", None, ""), [], ()),
    ("map", {"type": "map", "key": "string", "value": "long"}, {"a": 1, "b": None}, {"a": 1, "b": None}, {}, {}),
    (
        "map_of_int",
        {"type": "map", "key": "int", "value": "double"},
        [{"key": -1, "value": 0.5}],
        {-1: 0.5},
        [],
        {},
    ),
]


def _definition(key):
    fields = [field("id", "int", required=True), *(field(name, type_) for name, type_, *_ in CASES)]
    return {"fields": fields, **({"key": ["id"]} if key else {})}


def _records():
    typical = {"id": 1} | {name: given for name, _, given, _, _, _ in CASES}
    edge = {"id": 2} | {name: given for name, _, _, _, given, _ in CASES}
    nulls = {"id": 3} | {name: None for name, *_ in CASES}
    return [typical, edge, nulls, {"id": 4}]


def _rows():
    typical = (1, *(canonical(type_, value) for _, type_, _, value, _, _ in CASES))
    edge = (2, *(canonical(type_, value) for _, type_, _, _, _, value in CASES))
    nothing = (None,) * len(CASES)
    return [typical, edge, (3, *nothing), (4, *nothing)]


@pytest.mark.parametrize("kind", ["keyed", "append_only"])
def test_every_type(client, agree, kind):
    types = client.apply(TENANT, f"types_{kind}", **_definition(kind == "keyed"))
    client.write(types, _records())
    agree(types, _rows())


def test_many_nested_rows(client, agree):
    """Lists of every length, so that no repetition level is right by luck."""
    type_ = {"type": "list", "element": {"type": "list", "element": "int"}}
    nested = client.apply(TENANT, "nested", fields=[field("id", "int"), field("v", type_)])
    values = [None, [], [[]], [None], [[None]], [[1], None, [], [2, None]]]
    rows = [(i, values[i % 6] if i % 7 else [[j] * (j % 4) for j in range(i % 5)]) for i in range(500)]
    client.write(nested, [{"id": i, "v": v} for i, v in rows])
    agree(nested, [(i, canonical(type_, v)) for i, v in rows])


DEEP = {
    "type": "list",
    "element": {
        "type": "struct",
        "fields": [
            field("tags", {"type": "map", "key": "string", "value": {"type": "list", "element": "int"}}),
            field("at", {"type": "struct", "fields": [field("lat", "double"), field("lon", "double")]}),
        ],
    },
}


def test_deep(client, agree, pyiceberg):
    """PyIceberg 0.12 reads a null list of structs as an empty list; the others do not."""
    deep = client.apply(TENANT, "deep", fields=[field("id", "int"), field("v", DEEP)])
    values = [
        [{"tags": {"a": [1, 2], "b": [], "c": None}, "at": {"lat": 1.5, "lon": None}}, None],
        [{"tags": None, "at": None}, {"tags": {}, "at": {"lat": None, "lon": None}}],
        [],
        None,
    ]
    client.write(deep, [{"id": i, "v": v} for i, v in enumerate(values)])
    rows = [(i, canonical(DEEP, v)) for i, v in enumerate(values)]
    agree(deep, rows, without=["pyiceberg"])
    assert pyiceberg.rows(deep, ["id", "v"]) == [*rows[:3], (3, ())]


def test_time(client, agree, spark):
    """Spark 3.5 reads no table that has a time column; the others do."""
    clock = client.apply(TENANT, "clock", fields=[field("at", "time")])
    client.write(clock, [{"at": "00:00:00"}, {"at": "23:59:59.999999"}, {"at": None}])
    agree(
        clock,
        [(datetime.time(0),), (datetime.time(23, 59, 59, 999999),), (None,)],
        without=["spark"],
    )
    with pytest.raises(Exception, match="Spark does not support time"):
        spark.rows(clock, ["_seq"])


KEYS = [
    ("boolean", [False, True], [False, True]),
    ("int", [-1, 0, 7], [-1, 0, 7]),
    ("long", [-(2**63), 2**53 + 1], [-(2**63), 2**53 + 1]),
    ("decimal(12,3)", ["-1.5", "0", "2.25"], [D("-1.5"), D(0), D("2.25")]),
    ("date", ["1969-12-31", "2026-01-01"], [datetime.date(1969, 12, 31), datetime.date(2026, 1, 1)]),
    ("timestamp", ["2026-01-01T00:00:00.5"], [datetime.datetime(2026, 1, 1, 0, 0, 0, 500000)]),
    ("timestamptz", ["2026-01-01T00:00:00+01:00"], [datetime.datetime(2025, 12, 31, 23, tzinfo=UTC)]),
    ("string", ["a/b", "", "é\u0000x"], ["a/b", "", "é\u0000x"]),
    ("uuid", ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6"] * 1, ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6"]),
    ("fixed(2)", ["AAE="], [b"\x00\x01"]),
    ("binary", ["", "AA=="], [b"", b"\x00"]),
]


@pytest.mark.parametrize("type_, given, want", KEYS, ids=[k[0].partition("(")[0] for k in KEYS])
def test_key_of_type(client, agree, type_, given, want):
    """A second write of the same keys updates the rows, in the table as well."""
    name = "key_" + type_.partition("(")[0]
    keyed = client.apply(
        TENANT, name, fields=[field("k", type_, required=True), field("n", "int")], key=["k"]
    )
    client.write(keyed, [{"k": k, "n": 1} for k in given])
    agree(keyed, [(k, 1) for k in want], without=["spark"])
    client.write(keyed, [{"k": k, "n": 2} for k in given])
    agree(keyed, [(k, 2) for k in want], without=["spark"])


def test_names(client, agree):
    """A field can have any name, but for what begins with an underscore."""
    fields = ["Größe", "with space", "a.b", "a/b", "UPPER", "select", "quote\"d", "back`tick", "1st"]
    named = client.apply(TENANT, "names", fields=[field(n, "int") for n in fields])
    client.write(named, [{n: i for i, n in enumerate(fields)}])
    agree(named, [tuple(range(len(fields)))])
