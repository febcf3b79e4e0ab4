"""What can go wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class Error(Exception):
    """Whatever this package raises by itself."""


class Unreachable(Error):
    """No answer came: the server is away, or the connection broke.

    A write that ends so was sent again under its idempotency key for as long as
    the client retries; whether it landed is not known. Send it once more with the
    same key to find out.
    """


class Incomplete(Error):
    """A stream was cut before its end and could not be taken up again.

    `problem` is what the server said of it, if it could.
    """

    def __init__(self, message: str, problem: Problem | None = None) -> None:
        super().__init__(message if problem is None else f"{message}: {problem}")
        self.problem = problem


class Problem(Error):
    """The server's answer when it does not do what was asked (RFC 9457).

    `status` is the HTTP status, `code` a stable name, `detail` what happened,
    `retry` whether it helps to try again: `never`, `same_request` or
    `after_change`. `errors` has each bad field with its `line`, `field`, `value`
    and `rule`. `next_seq`, `first_seq` and `fence_token` are what a condition of
    the request was compared with. `body` is the whole answer.

    >>> Problem.of(412, {"code": "precondition_failed", "next_seq": 7}).next_seq
    7
    """

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.body = dict(body)
        self.code = str(body.get("code", ""))
        self.title = str(body.get("title", ""))
        self.detail = str(body.get("detail", ""))
        self.retry = str(body.get("retry", ""))
        self.errors: list[dict[str, Any]] = list(body.get("errors") or [])
        self.next_seq: int | None = body.get("next_seq")
        self.first_seq: int | None = body.get("first_seq")
        self.fence_token: str | None = body.get("fence_token")
        self.retry_after: float = 0
        super().__init__(self._text())

    @staticmethod
    def of(status: int, body: Mapping[str, Any]) -> Problem:
        """The class that fits the status."""
        return (NotFound if status == 404 else Problem)(status, body)

    @staticmethod
    def parse(status: int, data: bytes) -> Problem:
        """Reads an answer, which of a proxy may be anything."""
        try:
            body = json.loads(data)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            body = {"detail": f"HTTP {status}: {data[:200].decode(errors='replace')}"}
        return Problem.of(status, body)

    @property
    def may_be_repeated(self) -> bool:
        """Whether the same request may succeed later."""
        if self.code:
            return self.retry == "same_request"
        return self.status in (429, 502, 503, 504)  # of a proxy, which cannot reach the server just now

    def _text(self) -> str:
        lines = [
            (f"line {e['line']}: " if e.get("line") else "")
            + (f"field {e['field']}: " if e.get("field") else "")
            + (f"{e['value']!r}: " if e.get("value") else "")
            + str(e.get("rule", ""))
            for e in self.errors
        ]
        said = "\n".join(lines) or self.detail or self.title
        return f"{said} ({self.status} {self.code})" if self.code else said


class NotFound(Problem):
    """There is no such collection, index or record."""
