"""Rows for tables that are partitioned and sorted, and such tables."""

import datetime

from demo import field

FIELDS = [
    field("id", "int", required=True),
    field("who", "string"),
    field("moment", "timestamptz"),
    field("on_day", "date"),
    field("n", "long"),
    field("price", "decimal(9,2)"),
    field("flag", "boolean"),
    field("code", "uuid"),
]
DAYS = 4
PEOPLE = 6

# Each of them follows the one before, in one table.
LAYOUTS = [
    {"lake_partition": ["day(moment)", "bucket(4, who)"], "lake_sort": ["n"]},
    {"lake_partition": ["truncate(2, who)", "month(on_day)"], "lake_sort": [{"field": "who", "desc": True}, "n"]},
    {},
    {"lake_partition": ["flag", "truncate(100, price)", "bucket(2, code)"], "lake_sort": [{"field": "n", "nulls": "last"}]},
    {"lake_partition": ["day(moment)", "bucket(4, who)"]},
    {"lake_partition": ["hour(moment)", "on_day"]},
]


def row(i):
    day = datetime.date(1969, 12, 30) + datetime.timedelta(days=i % DAYS)
    return {
        "id": i,
        "who": None if i % 11 == 0 else f"pérson {i % PEOPLE}",
        "moment": None if i % 13 == 0 else f"{day}T{i % 24:02}:00:00Z",
        "on_day": str(day),
        "n": i * 7 % 31 if i % 5 else None,
        "price": f"{i % 9 - 4}.{i % 100:02}",
        "flag": i % 3 == 0,
        "code": f"00000000-0000-4000-8000-{i % 17:012}",
    }


# Partitions of every kind, some of null, some before 1970.
EVERY_TRANSFORM = ["day(moment)", "month(on_day)", "bucket(2, who)", "truncate(100, n)", "flag"]


def _moved(i):
    return {**row(i), "who": "moved", "moment": "2026-11-20T00:00:00Z", "on_day": "2026-11-20"}


def _upserts(m, things, first):
    """60 rows, of which some go to another partition, and some go."""
    m.write(things, [row(i) for i in range(first, first + 60)])
    m.write(things, [_moved(i) for i in range(0, first + 60, 9)], flush=False)
    m.write(things, [{"id": i} for i in range(4, first + 60, 17)], op="delete")


def upserted(m, options):
    things = m.apply(fields=FIELDS, key=["id"], options=options)
    _upserts(m, things, 0)
    return things, None


def appended(m, options):
    logs = m.apply(fields=FIELDS, options=options)
    for first in (0, 40):
        m.write(logs, [row(i) for i in range(first, first + 60)])
    return logs, None


def repartitioned(m, lake_format):
    for step, layout in enumerate(LAYOUTS[:4]):
        things = m.apply(fields=FIELDS, key=["id"], options={"lake_format": lake_format, **layout})
        _upserts(m, things, 40 * step)
    return things, None
