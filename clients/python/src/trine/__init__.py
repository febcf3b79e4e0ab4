"""Trine from Python.

>>> import trine
>>> db = trine.connect(url)
>>> db.collections("acme")
[<trine acme/airports>, <trine acme/flights>]
>>> flights = db["acme/flights"]
>>> flights.scan(columns=["origin", "delay"], where="delay > 150").to_arrow().num_rows
38

A write is durable when `Collection.write` returns, and every later read of the
same client sees it, on whichever node. A scan is whole or raises: a stream that
was cut is taken up where it was cut, and if that cannot be, `Incomplete` is
raised, never fewer rows given. What the server refuses is a `Problem`, which
has all that the server said.
"""

from trine._client import Client, connect
from trine._collection import Collection, Written
from trine._definition import Applied, Description, Field
from trine._errors import Error, Incomplete, NotFound, Problem, Unreachable
from trine._log import Change
from trine._scan import Scan

__all__ = [
    "Applied",
    "Change",
    "Client",
    "Collection",
    "Description",
    "Error",
    "Field",
    "Incomplete",
    "NotFound",
    "Problem",
    "Scan",
    "Unreachable",
    "Written",
    "connect",
]
