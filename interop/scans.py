"""The Arrow readers of `GET scan`, each behind one small class.

They are asked as the engines of engines.py are.
"""

import io
import urllib.request

import polars
import pyarrow
import pyarrow.parquet

from values import arrow_rows, canonical_rows


class PyArrow:
    """pyarrow on the scan stream."""

    name = "pyarrow"

    def __init__(self, client):
        self._client = client

    def rows(self, collection, columns):
        return self.begin(collection, columns)()

    def begin(self, collection, columns):
        answer = _open(self._client, collection, columns)
        return lambda: arrow_rows(collection, columns, _stream(answer))

    def table(self, collection, columns, **params):
        return _stream(_open(self._client, collection, columns, **params))


class ParquetScan:
    """pyarrow on the scan as a Parquet file."""

    name = "parquet"

    def __init__(self, client):
        self._client = client

    def rows(self, collection, columns):
        return self.begin(collection, columns)()

    def begin(self, collection, columns):
        answer = _open(self._client, collection, columns, accept="application/vnd.apache.parquet")
        return lambda: arrow_rows(collection, columns, _parquet(answer))


class Polars:
    """polars on the scan stream."""

    name = "polars"

    def __init__(self, client):
        self._client = client

    def rows(self, collection, columns):
        return self.begin(collection, columns)()

    def begin(self, collection, columns):
        answer = _open(self._client, collection, columns)
        return lambda: canonical_rows(collection.types(columns), _frame(answer).select(columns).rows())

    def frame(self, collection, columns):
        return _frame(_open(self._client, collection, columns))


def _open(client, collection, columns, accept=None, **params):
    request = urllib.request.Request(client.scan_url(collection, columns, **params))
    if accept:
        request.add_header("Accept", accept)
    return urllib.request.urlopen(request)


def _stream(answer):
    with answer, pyarrow.ipc.open_stream(answer) as stream:
        return stream.read_all()


def _parquet(answer):
    with answer:
        return pyarrow.parquet.read_table(io.BytesIO(answer.read()))


def _frame(answer):
    with answer:
        return polars.read_ipc_stream(answer)
