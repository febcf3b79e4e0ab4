"""Every type with a typical value and one at its edge, and nested ones of every depth."""

import datetime
import decimal

from demo import field
from values import UTC, canonical

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


def definition(key):
    fields = [field("id", "int", required=True), *(field(name, type_) for name, type_, *_ in CASES)]
    return {"fields": fields, **({"key": ["id"]} if key else {})}


def records():
    typical = {"id": 1} | {name: given for name, _, given, _, _, _ in CASES}
    edge = {"id": 2} | {name: given for name, _, _, _, given, _ in CASES}
    nulls = {"id": 3} | {name: None for name, *_ in CASES}
    return [typical, edge, nulls, {"id": 4}]


def rows():
    typical = (1, *(canonical(type_, value) for _, type_, _, value, _, _ in CASES))
    edge = (2, *(canonical(type_, value) for _, type_, _, _, _, value in CASES))
    nothing = (None,) * len(CASES)
    return [typical, edge, (3, *nothing), (4, *nothing)]


def nested(m):
    """Lists of every length, so that no repetition level is right by luck."""
    type_ = {"type": "list", "element": {"type": "list", "element": "int"}}
    table = m.apply(fields=[field("id", "int"), field("v", type_)])
    values = [[[1, 2, 3]], [], [[]], [[], [1]], [[1], [], [2, 3]], [[None]]]
    all_ = [(i, values[i % 6] if i % 7 else [[j] * (j % 4) for j in range(i % 5)]) for i in range(500)]
    m.write(table, [{"id": i, "v": v} for i, v in all_])
    return table, [(i, canonical(type_, v)) for i, v in all_]


def nullable_nesting(m):
    """The same with lists that are null, and null lists in them."""
    type_ = {"type": "list", "element": {"type": "list", "element": "int"}}
    table = m.apply(fields=[field("id", "int"), field("v", type_)])
    values = [None, [], [[]], [None], [[None]], [[1], None, [], [2, None]]]
    all_ = [(i, values[i % 6]) for i in range(100)]
    m.write(table, [{"id": i, "v": v} for i, v in all_])
    return table, [(i, canonical(type_, v)) for i, v in all_]


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


DEEP_VALUES = [
    [{"tags": {"a": [1, 2], "b": [], "c": None}, "at": {"lat": 1.5, "lon": None}}, None],
    [{"tags": None, "at": None}, {"tags": {}, "at": {"lat": None, "lon": None}}],
    [],
    None,
]


def deep(m):
    table = m.apply(fields=[field("id", "int"), field("v", DEEP)])
    m.write(table, [{"id": i, "v": v} for i, v in enumerate(DEEP_VALUES)])
    return table, [(i, canonical(DEEP, v)) for i, v in enumerate(DEEP_VALUES)]


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




def keys(m):
    """One key of all types, and its rows written twice."""
    fields = [field(f"k{i}", type_, required=True) for i, (type_, *_) in enumerate(KEYS)]
    table = m.apply(fields=[*fields, field("n", "int")], key=[f["name"] for f in fields])
    count = max(len(given) for _, given, _ in KEYS)

    def row(column, i):
        return [key[column][i % len(key[column])] for key in KEYS]

    records = [{f["name"]: v for f, v in zip(fields, row(1, i))} for i in range(count)]
    m.write(table, [r | {"n": 1} for r in records])
    m.write(table, [r | {"n": 2} for r in records[1:]])
    return table, [(*row(2, i), 2 if i else 1) for i in range(count)]


def evolved_inside(m):
    """Fields inside structs, lists and maps are added, dropped, renamed, widened and moved."""

    def struct(*fields):
        return {"type": "struct", "fields": list(fields)}

    def fields(*inner):
        return [
            field("id", "int", required=True),
            field("pos", struct(*inner)),
            field("stops", {"type": "list", "element": struct(*inner)}),
            field("legs", {"type": "map", "key": "string", "value": struct(*inner)}),
        ]

    first = m.apply(fields=fields(field("x", "int"), field("y", "float"), field("gone", "string"), field("d", "decimal(9,2)")), key=["id"])
    old = {"x": 1, "y": 0.5, "gone": "g", "d": "1.25"}
    m.write(first, [{"id": i, "pos": old, "stops": [old, old], "legs": {"a": old}} for i in range(4)])
    inner = [field("d", "decimal(18,2)"), field("new", "date"), field("lon", "long", was="x"), field("y", "double")]
    second = m.apply(fields=fields(*inner), key=["id"])
    new = {"d": "9999999999999999.99", "new": "2026-11-20", "lon": 2**40, "y": 1e300}
    m.write(second, [{"id": 1, "pos": new, "stops": [new], "legs": {"a": new}}, {"id": 9, "pos": new, "stops": [], "legs": {}}])
    # The name that was dropped comes back as another field.
    inner = [field("lon", "long"), field("gone", "boolean"), field("d", "decimal(18,2)"), field("new", "date"), field("y", "double")]
    third = m.apply(fields=fields(*inner), key=["id"])
    m.write(third, [{"id": 2, "pos": {"lon": 3, "gone": True}, "stops": [{"gone": False}], "legs": {"c": {"gone": True}}}])
    old = (1, None, D("1.25"), None, 0.5)
    new = (2**40, None, D("9999999999999999.99"), datetime.date(2026, 11, 20), 1e300)
    gone = (None, True, None, None, None)
    return third, [
        *((i, old, (old, old), (("a", old),)) for i in (0, 3)),
        (1, new, (new,), (("a", new),)),
        (2, (3, *gone[1:]), ((None, False, None, None, None),), (("c", gone),)),
        (9, new, (), ()),
    ]
