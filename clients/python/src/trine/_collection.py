"""One collection."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from trine._definition import Applied, Definition, Description, encode_definition
from trine._http import Params, Transport, encode_names, encode_path
from trine._log import Change, read_log
from trine._records import ARROW_STREAM, dump, encode
from trine._scan import Scan
from trine._stream import BatchStream

PAGE = 1000
LOOKUP = 1000

Op = Literal["upsert", "insert", "delete", "patch"]
Key = Any
"""A key: its parts in order, as a list or a tuple; one of a single part may stand alone."""


@dataclass(frozen=True)
class Written:
    """What a durable batch was given. The seqs are None if nothing was written.

    `replayed`: nothing was written now, as an earlier try was. `skipped` tells the
    bad records of a write with `skip_bad`.
    """

    first_seq: int | None
    last_seq: int | None
    count: int
    position: str
    replayed: bool
    skipped: list[dict[str, Any]]


class Collection:
    """A collection of a server. Making one asks the server nothing.

    >>> airports = db["acme/airports"]
    >>> airports.get("SEA")["city"]
    'Seattle'
    >>> airports.write({"iata": "ZZZ", "city": "Nowhere"}).count
    1
    >>> [a and a["city"] for a in airports.lookup(["ZZZ", "none"])]
    ['Nowhere', None]
    >>> airports.write({"iata": "ZZZ"}, op="delete").count
    1
    """

    def __init__(self, transport: Transport, tenant: str, name: str) -> None:
        self._transport = transport
        self.tenant = tenant
        self.name = name
        self._path = encode_path("v1", "tenants", tenant, "collections", name)

    def __repr__(self) -> str:
        return f"<trine {self.tenant}/{self.name}>"

    def _repr_html_(self) -> str:
        return self.describe()._repr_html_()

    def describe(self) -> Description:
        """Its shape, its size, and how far each store is."""
        return Description.of(self._get("")[0])

    def apply(self, definition: Definition, dry_run: bool = False) -> Applied:
        """Creates the collection, or evolves it to a definition."""
        body, media_type = encode_definition(definition)
        answer, _ = self._transport.json(
            "PUT", self._path, {"dry_run": dry_run or None}, body, {"Content-Type": media_type}
        )
        self._transport.wrote(self.tenant, answer["position"])
        return Applied.of(answer, dry_run)

    def drop(self) -> None:
        """Removes the collection with all that it holds."""
        self._transport.json("DELETE", self._path, again=False)

    def write(
        self,
        data: object,
        op: Op | None = None,
        *,
        idempotency_key: str | None = None,
        if_seq: int | None = None,
        fence: str | None = None,
        producer: tuple[str, int] | None = None,
        skip_bad: bool = False,
    ) -> Written:
        """Writes one atomic batch, and returns when it is durable.

        Data is a record or several (mappings of names to values), a data frame, or
        Arrow data. Without `op`, a keyed collection upserts and another inserts.

        It is sent again while the server may take it, under one idempotency key, so
        that it is there once. `producer` is the name of a source and how far it is: a
        batch at or below what was written for it is not written again. With `if_seq`
        the batch is refused unless it begins at that seq, with `fence` unless that is
        the collection's token. With `skip_bad` the good records are written and the
        bad ones told.

        >>> db["acme/flights"].write([{"delay": "late"}])
        Traceback (most recent call last):
        trine._errors.Problem: line 1: field delay: '"late"': expects a long: ...
        """
        body, media_type = encode(data)
        headers = {"Content-Type": media_type}
        if producer is None:
            headers["Idempotency-Key"] = idempotency_key or str(uuid.uuid4())
        else:
            headers["Trine-Producer"], headers["Trine-Producer-Seq"] = producer[0], str(producer[1])
        if if_seq is not None:
            headers["Trine-If-Seq"] = str(if_seq)
        if fence is not None:
            headers["Trine-Fence"] = fence
        query = {"op": op, "on_error": "skip" if skip_bad else None}
        answer, header = self._transport.json("POST", self._path + "/records", query, body, headers)
        self._transport.wrote(self.tenant, answer["position"])
        return Written(
            answer["first_seq"],
            answer["last_seq"],
            answer["count"],
            answer["position"],
            header.get("Trine-Replayed") == "true",
            answer.get("skipped", []),
        )

    def get(self, *key: Any, columns: list[str] | None = None, index: str | None = None) -> dict[str, Any] | None:
        """One record by its whole key, or None. Values are as JSON has them. An index must be unique."""
        return self.lookup([key], columns=columns, index=index)[0]

    def lookup(
        self, keys: Iterable[Key], *, columns: list[str] | None = None, index: str | None = None
    ) -> list[dict[str, Any] | None]:
        """Many records in the order of their keys, None for absent. An index must be unique."""
        found: list[dict[str, Any] | None] = []
        asked = [_parts(key) for key in keys]
        for i in range(0, len(asked), LOOKUP):
            answer, _ = self._transport.json(
                "POST",
                self._path + "/lookup",
                {"index": index, "columns": encode_names(columns)},
                dump({"keys": asked[i : i + LOOKUP]}),
                {"Content-Type": "application/json", **self._transport.at_least(self.tenant)},
            )
            found += answer["records"]
        return found

    def range(
        self,
        *,
        prefix: Key | None = None,
        from_key: Key | None = None,
        to_key: Key | None = None,
        reverse: bool = False,
        limit: int | None = None,
        where: str | None = None,
        columns: list[str] | None = None,
        index: str | None = None,
        allow_scan: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Records in the order of their keys, page by page: from `from_key` on, before `to_key`.

        >>> [a["iata"] for a in db["acme/airports"].range(prefix="SEA")]
        ['SEA']
        """
        query: Params = {
            "prefix": _key(prefix),
            "from": _key(from_key),
            "to": _key(to_key),
            "reverse": reverse or None,
            "where": where,
            "columns": encode_names(columns),
            "index": index,
            "allow_scan": allow_scan or None,
        }
        left = limit
        while left is None or left > 0:
            page, _ = self._get("/records", {**query, "limit": PAGE if left is None else min(PAGE, left)})
            yield from page["records"]
            if page["after"] is None:
                return
            query["after"] = page["after"]
            left = None if left is None else left - len(page["records"])

    def scan(
        self,
        *,
        columns: list[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
        at_seq: int | None = None,
        snapshot: int | None = None,
        codec: Literal["zstd", "lz4"] | None = None,
        progress: bool = False,
    ) -> Scan:
        """The whole collection, or the part that `columns`, `where` and `limit` leave, at one position.

        `_seq` and `_time` are columns too. `at_seq` reads it as of that change, which is
        seen; `snapshot` one of the table by its id. A `codec` has the server compress.
        `progress` shows a bar, by tqdm.
        """
        query = {
            "columns": encode_names(columns),
            "where": where,
            "limit": limit,
            "at_seq": at_seq,
            "snapshot": snapshot,
        }
        accept = ARROW_STREAM + (f'; codecs="{codec}"' if codec else "")

        def open_stream() -> BatchStream:
            headers = {"Accept": accept, **self._transport.at_least(self.tenant)}
            return BatchStream(self._transport, self._path + "/scan", query, headers)

        def total() -> int | None:
            if where or at_seq is not None or snapshot is not None:
                return None
            rows = self.describe().rows
            return rows if limit is None else min(rows, limit)

        return Scan(f"{self.tenant}/{self.name}", open_stream, total if progress else None)

    def log(
        self,
        *,
        from_seq: int | None = None,
        to_seq: int | None = None,
        from_time: str | None = None,
        tail: int | None = None,
        limit: int | None = None,
        where: str | None = None,
    ) -> Iterator[Change]:
        """The changes that there are, in order of seq: all, or from a seq, a time, or the last `tail`."""
        query: Params = {
            "from_seq": from_seq,
            "to_seq": to_seq,
            "from_time": from_time,
            "tail": tail,
            "limit": limit,
            "where": where,
        }
        return self._log(query)

    def follow(
        self,
        *,
        from_seq: int | None = None,
        from_time: str | None = None,
        tail: int | None = None,
        where: str | None = None,
    ) -> Iterator[Change]:
        """The same, and then each change as it comes, until the caller stops.

        `tail=0` begins with the next change. A connection that breaks is made again, and
        goes on after the last change that was given: none is missed, none comes twice.
        """
        return self._log({"from_seq": from_seq, "from_time": from_time, "tail": tail, "where": where, "follow": True})

    def _log(self, query: Params) -> Iterator[Change]:
        given: Params = {name: value for name, value in query.items() if value is not None}
        return read_log(self._transport, self._path + "/log", given, self.tenant)

    def _get(self, path: str, query: Params | None = None) -> tuple[Any, Any]:
        return self._transport.json("GET", self._path + path, query, headers=self._transport.at_least(self.tenant))


def _parts(key: Key) -> list[Any]:
    return list(key) if isinstance(key, (list, tuple)) else [key]


def _key(key: Key | None) -> str | None:
    return None if key is None else dump(_parts(key)).decode()
