"""Records on their way to the server."""

from __future__ import annotations

import base64
import datetime
import decimal
import io
import json
import math
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

NDJSON = "application/x-ndjson"
ARROW_STREAM = "application/vnd.apache.arrow.stream"

Record = Mapping[str, Any]
"""A record, or for a delete its key: names and values."""


def encode(data: object) -> tuple[bytes, str]:
    r"""Data as a body and its media type.

    Data frames of pandas and polars, Arrow tables, batches and readers, and all
    else that speaks the Arrow C stream interface go as Arrow; a record or records
    as NDJSON.

    >>> encode({"id": 1, "at": datetime.date(2026, 11, 20)})
    (b'{"id":1,"at":"2026-11-20"}\n', 'application/x-ndjson')
    """
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if type(data).__module__.partition(".")[0] == "pandas":
        data = _from_pandas(data)
    if hasattr(data, "__arrow_c_stream__"):
        return _arrow(pa.RecordBatchReader.from_stream(data)), ARROW_STREAM
    if isinstance(data, Mapping):
        data = [data]
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes)):
        return b"".join(_line(record) for record in data), NDJSON
    raise TypeError(f"cannot write a {type(data).__name__}: want records, a data frame or Arrow data")


def _from_pandas(frame: Any) -> pa.Table:
    """A frame's columns, and its index where that has a name: numbers of rows are not data."""
    named = [name for name in frame.index.names if name is not None]
    if named:
        frame = frame.reset_index(level=named)
    return pa.Table.from_pandas(frame, preserve_index=False)


def _arrow(reader: pa.RecordBatchReader) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, reader.schema) as out:
        for batch in reader:
            out.write_batch(batch)
    return sink.getvalue()


def _line(record: object) -> bytes:
    if not isinstance(record, Mapping):
        raise TypeError(f"cannot write a {type(record).__name__} as a record: want a mapping of names to values")
    return dump(record) + b"\n"


def dump(value: object) -> bytes:
    """JSON as the server reads it; other values than JSON has go as their text.

    >>> dump([decimal.Decimal("3.50"), float("nan"), b"raw", {"x": float("inf")}])
    b'["3.50","NaN","cmF3",{"x":"Infinity"}]'
    """
    try:
        return _compact(value)
    except ValueError:  # a float that JSON cannot say
        return _compact(_said(value))


def _compact(value: object) -> bytes:
    return json.dumps(value, default=_text, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def _said(value: object) -> object:
    """The value with floats that JSON cannot say as the text that stands for them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {k: _said(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_said(v) for v in value]
    return value


def _text(value: object) -> object:
    match value:
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case decimal.Decimal() | uuid.UUID():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode()
        case Mapping():
            return dict(value)
    if hasattr(value, "item"):  # a scalar of numpy
        return value.item()
    raise TypeError(f"cannot write a {type(value).__name__}: {value!r}")
