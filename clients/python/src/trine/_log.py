"""A collection's log: its changes in order."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import urllib3

from trine._errors import Incomplete, Problem, Unreachable
from trine._http import READ_SECONDS, Params, Response, Transport, backoff
from trine._records import NDJSON

HEARTBEAT_SECONDS = 15
"""How often a server that has nothing to tell says so; two that are missed are a dead one."""

LINE_BYTES = 1 << 16


@dataclass(frozen=True)
class Change:
    """A change: `op` is insert, upsert, update or delete.

    `record` is the row after it, of a delete the key; `before` the row before it,
    where the collection keeps before images. Values are as JSON has them.
    """

    seq: int
    time: datetime.datetime
    op: str
    record: dict[str, Any]
    before: dict[str, Any] | None = None

    @staticmethod
    def of(raw: dict[str, Any]) -> Change:
        """Reads a line."""
        at = datetime.datetime.fromisoformat(raw["time"])
        return Change(raw["seq"], at, raw["op"], raw["record"], raw.get("before"))


def read_log(transport: Transport, path: str, query: Params, tenant: str) -> Iterator[Change]:
    """Asks for changes, and yields them; it goes on after the last one when the stream was cut.

    A log that is followed ends when the caller ends it. One that is not ends where
    the log was when it was asked for.
    """
    log = _Log(transport, path, query, tenant)
    return log.changes(log.open())


class _Log:
    """A log that is being read: what is asked for next."""

    def __init__(self, transport: Transport, path: str, query: Params, tenant: str) -> None:
        self._transport, self._path, self._query = transport, path, query
        self._headers = {"Accept": NDJSON, **transport.at_least(tenant)}
        self._follow = bool(query.get("follow"))
        if self._follow:
            query["heartbeat"] = f"{HEARTBEAT_SECONDS}s"
        limit = query.get("limit")
        self._left = None if limit is None else int(limit)

    def open(self) -> Response:
        """Asks for what is left, and makes bounds that move with the log fixed ones, so that the next goes on there."""
        seconds = 2 * HEARTBEAT_SECONDS + 1 if self._follow else READ_SECONDS
        answer = self._transport.stream("GET", self._path, self._query, headers=self._headers, read_seconds=seconds)
        end = int(answer.headers["Trine-Next-Seq"])
        if (tail := self._query.pop("tail", None)) is not None:
            self._query["from_seq"] = max(0, end - int(tail))
            self._query["clamp"] = True  # what a trim takes of it meanwhile is not missed
        if not self._follow and "to_seq" not in self._query:
            self._query["to_seq"] = end
        return answer

    def changes(self, answer: Response) -> Iterator[Change]:
        """The changes of an answer and of those after it."""
        waits, since = backoff(), time.monotonic()
        while True:
            try:
                for change in _changes(answer):
                    self._note(change)
                    yield change
                    waits, since = backoff(), time.monotonic()
                if not self._follow:
                    return
            except (Unreachable, Problem) as err:
                if isinstance(err, Problem) and not err.may_be_repeated:
                    raise
                if time.monotonic() - since > self._transport.retry_seconds:
                    raise Incomplete(f"read {self._path}: {err}") from err
            finally:
                answer.close()
            if self._left == 0:
                return
            self._transport.sleep(next(waits))
            answer = self.open()

    def _note(self, change: Change) -> None:
        self._query["from_seq"] = change.seq + 1
        self._query.pop("from_time", None)
        if self._left is not None:
            self._left -= 1
            self._query["limit"] = self._left


def _changes(answer: Response) -> Iterator[Change]:
    """The changes of one answer. A body that ends without its last chunk is Unreachable."""
    rest = b""
    try:
        for piece in answer.stream(LINE_BYTES):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if not line:
                    continue  # a heartbeat
                raw = json.loads(line)
                if "problem" in raw:
                    raise Problem.of(raw["problem"].get("status", 500), raw["problem"])
                yield Change.of(raw)
    except (urllib3.exceptions.HTTPError, OSError) as err:
        raise Unreachable(f"the stream was cut: {err}") from err
