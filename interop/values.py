"""One form for the values that engines hand over, so that rows can be compared.

The form follows the collection's types, not the engine's: a uuid is its text, a
struct a tuple, a map sorted pairs, a json value its canonical text, a
timestamptz a datetime in UTC.
"""

import datetime
import json
import math
import uuid

UTC = datetime.timezone.utc

SYSTEM_COLUMNS = {"_seq": "long", "_time": "timestamptz"}


def canonical(type_, value):
    """Gives value, of the collection's type type_, in the common form."""
    if value is None:
        return None
    if isinstance(type_, dict):
        return _nested(type_, value)
    return _PRIMITIVES.get(type_.partition("(")[0], _same)(value)


def canonical_rows(types, rows):
    """Sorts rows in the common form; types names each of their columns' type."""
    return sorted(
        (tuple(canonical(t, v) for t, v in zip(types, row, strict=True)) for row in rows), key=_order
    )


def arrow_rows(collection, columns, table):
    """The rows of an Arrow table in the common form."""
    if table.num_rows == 0:
        return []
    lists = (table.column(c).to_pylist() for c in columns)
    return canonical_rows(collection.types(columns), zip(*lists, strict=True))


def _nested(type_, value):
    if type_["type"] == "struct":
        parts = value.values() if isinstance(value, dict) else value
        return tuple(canonical(f["type"], v) for f, v in zip(type_["fields"], parts, strict=True))
    if type_["type"] == "list":
        return tuple(canonical(type_["element"], v) for v in value)
    pairs = value.items() if isinstance(value, dict) else value
    pairs = [tuple(p.values()) if isinstance(p, dict) else p for p in pairs]
    return tuple(
        sorted(((canonical(type_["key"], k), canonical(type_["value"], v)) for k, v in pairs), key=_order)
    )


def _order(value):
    # Any order does, so long as it takes nulls and is the same for equal rows.
    return repr(value)


def _same(value):
    return value


def _float(value):
    return "NaN" if math.isnan(value) else float(value)


def _uuid(value):
    if isinstance(value, bytes):
        value = uuid.UUID(bytes=value)
    return str(value).lower()


def _timestamp(value):
    assert value.tzinfo is None, f"{value!r} has a zone"
    return value


def _timestamptz(value):
    # Spark hands over local time, which the suite sets to UTC.
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _string(value):
    # ClickHouse's strings are bytes.
    return value.decode() if isinstance(value, bytes) else value


def _json(value):
    return json.dumps(json.loads(value), sort_keys=True)


_PRIMITIVES = {
    "float": _float,
    "double": _float,
    "string": _string,
    "uuid": _uuid,
    "fixed": bytes,
    "binary": bytes,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
    "json": _json,
}
