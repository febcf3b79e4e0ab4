"""What an engine is known not to read as the others do: each held by test_matrix.py.

A limit that has gone fails its test, and so does one of a version that is not
installed: whoever moves an engine to another version looks at its limits.
"""

import importlib.metadata
from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Limit:
    engine: str
    version: str
    shapes: tuple
    what: str
    says: str | None = None  # the engine refuses, and its error holds this
    gives: Callable | None = None  # the engine gives other rows: these, of those that are right
    issue: str | None = None
    store: str | None = None  # None: all


PACKAGES = {
    "pyiceberg": "pyiceberg",
    "polars_iceberg": "polars",
    "duckdb": "duckdb",
    "clickhouse": "chdb-core",
    "spark": "pyspark",
}


def version(engine):
    return importlib.metadata.version(PACKAGES[engine])


def _empty_where_list_of_structs_is_null(collection, rows):
    """Of the top level, which is where the shape has them."""
    types = collection.types(collection.fields())
    lists = {i for i, t in enumerate(types) if isinstance(t, dict) and t["type"] == "list"}
    return sorted((tuple(() if i in lists and v is None else v for i, v in enumerate(row)) for row in rows), key=repr)


def _without_null_nesting(collection, rows):
    types = collection.types([*collection.fields(), "_seq", "_time"])
    return sorted((tuple(map(_not_null, types, row)) for row in rows), key=repr)


def _not_null(type_, value):
    if not isinstance(type_, dict):
        return value
    if type_["type"] == "struct":
        fields = type_["fields"]
        return tuple(_not_null(f["type"], v) for f, v in zip(fields, value or (None,) * len(fields)))
    if type_["type"] == "list":
        return tuple(_not_null(type_["element"], v) for v in value or ())
    return tuple((k, _not_null(type_["value"], v)) for k, v in value or ())


def _whole_seconds(collection, rows):
    def seconds(time):
        return None if time is None else time.hour * 3600 + time.minute * 60 + time.second

    return sorted(((seconds(row[0]), *row[1:]) for row in rows), key=repr)


LIMITS = [
    Limit(
        "spark",
        "3.5.9",
        ("time_of_day",),
        "Spark 3.5 has no type for a time of day, and reads no table that has one",
        says="Spark does not support time fields",
        issue="https://github.com/apache/iceberg/issues/9006",
    ),
    Limit(
        "pyiceberg",
        "0.12.0",
        ("deep",),
        "a list of structs that is null is an empty list",
        gives=_empty_where_list_of_structs_is_null,
        issue="https://github.com/apache/iceberg-python/issues/3833",
    ),
    Limit(
        "clickhouse",
        "26.9.0",
        ("every_type_keyed", "every_type_append_only", "nothing_but_nulls", "deep", "nullable_nesting"),
        "lists, maps and structs are never null: they are empty, a struct one of nulls",
        gives=_without_null_nesting,
        issue="https://github.com/ClickHouse/ClickHouse/issues/52562",
    ),
    Limit(
        "clickhouse",
        "26.9.0",
        ("time_of_day",),
        "a time of day is a number of whole seconds",
        gives=_whole_seconds,
        issue="https://github.com/ClickHouse/ClickHouse/issues/88063",
    ),
    Limit(
        "clickhouse",
        "26.9.0",
        (
            "upserted_v3", "upserted_and_deleted_v3", "deleted_in_every_file_v3", "converted_to_v3", "compacted_v3",
            "compacted_in_mid_read_v3", "partitioned_v3", "repartitioned_v3",
        ),
        "deletion vectors are not read",
        says="Position deletes are supported only for parquet format",
        issue="https://github.com/ClickHouse/ClickHouse/issues/107502",
    ),
    Limit(
        "clickhouse",
        "26.9.0",
        ("evolved_inside",),
        "a decimal in a struct that became wider is not read from files of before",
        says="Bad get: has Decimal32, requested Decimal64",
    ),
]


def of(engine, shape, store):
    """The limit that a cell of the matrix has, or None."""
    found = [l for l in LIMITS if l.engine == engine and shape in l.shapes and l.store in (None, store)]
    assert len(found) <= 1, f"{engine} has {len(found)} limits for {shape}"
    return found[0] if found else None
