"""HTTP: one connection pool, what is sent again and when, and positions."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import urllib3

from trine._errors import Problem, Unreachable

FIRST_CONTACT_SECONDS = 3.0
"""How long a server that never answered is tried: more likely it is not there."""

CONNECT_SECONDS = 10.0
READ_SECONDS = 120.0
MAX_CONNECTIONS = 32

Result = TypeVar("Result")
Params = dict[str, str | int | bool | None]
Query = Mapping[str, str | int | bool | None]
Response = urllib3.response.BaseHTTPResponse


class Transport:
    """Sends requests to one server. It is safe for use by many threads."""

    def __init__(
        self,
        url: str,
        token: str | None,
        retry_seconds: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parsed = urllib3.util.parse_url(url)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError(f"server {url!r}: want a URL such as http://127.0.0.1:7744")
        self.url = url.rstrip("/")
        self.retry_seconds = retry_seconds
        self.sleep = sleep
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._pool = urllib3.PoolManager(
            maxsize=MAX_CONNECTIONS,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        )
        self._reached = False
        self._lock = threading.Lock()
        self._written: dict[str, str] = {}  # by tenant: the position of the newest write

    def close(self) -> None:
        """Closes idle connections."""
        self._pool.clear()

    def stream(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        again: bool = True,
        read_seconds: float = READ_SECONDS,
    ) -> Response:
        """Makes an exchange whose answer the caller reads and closes.

        With again it is repeated where the server, or the lack of an answer,
        allows that.
        """

        def attempt() -> Response:
            return self._once(method, path, query, body, headers, read_seconds)

        return self.repeat(attempt) if again else attempt()

    def json(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        again: bool = True,
    ) -> tuple[Any, Mapping[str, str]]:
        """Makes an exchange whose answer is JSON, and gives the header with it.

        An answer that breaks off is one that did not come.
        """

        def attempt() -> tuple[Any, Mapping[str, str]]:
            answer = self._once(method, path, query, body, headers, READ_SECONDS)
            data = self._read_all(answer)
            return (json.loads(data) if data else None), answer.headers

        return self.repeat(attempt) if again else attempt()

    def repeat(self, attempt: Callable[[], Result]) -> Result:
        """Repeats an attempt while that may help."""
        start = time.monotonic()
        waits = backoff()
        while True:
            try:
                return attempt()
            except (Problem, Unreachable) as err:
                wait = next(waits) + (err.retry_after if isinstance(err, Problem) else 0)
                if time.monotonic() + wait - start > self._patience(err):
                    raise
            self.sleep(wait)

    def _patience(self, err: Problem | Unreachable) -> float:
        """How long attempts that end with err are repeated."""
        if isinstance(err, Problem):
            return self.retry_seconds if err.may_be_repeated else 0
        return self.retry_seconds if self._reached else min(FIRST_CONTACT_SECONDS, self.retry_seconds)

    def at_least(self, tenant: str) -> dict[str, str]:
        """The header by which a read sees what this client wrote."""
        with self._lock:
            position = self._written.get(tenant)
        return {"Trine-At-Least": position} if position else {}

    def wrote(self, tenant: str, position: str) -> None:
        """Notes the position of a write."""
        with self._lock:
            self._written[tenant] = later(self._written.get(tenant), position)

    def _once(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        read_seconds: float,
    ) -> Response:
        url = self.url + path
        if text := encode_query(query or {}):
            url += "?" + text
        try:
            answer = self._pool.request(
                method,
                url,
                body=body,
                headers={**self._headers, **(headers or {})},
                preload_content=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
            )
        except urllib3.exceptions.HTTPError as err:
            raise Unreachable(f"server {self.url}: {err}") from err
        self._reached = True
        if answer.status >= 400:
            problem = Problem.parse(answer.status, self._read_all(answer))
            problem.retry_after = _seconds(answer.headers.get("Retry-After"))
            raise problem
        return answer

    def _read_all(self, answer: Response) -> bytes:
        try:
            return answer.read()
        except (urllib3.exceptions.HTTPError, OSError) as err:
            answer.close()
            raise Unreachable(f"server {self.url}: the answer breaks off: {err}") from err
        finally:
            answer.release_conn()


def backoff(first: float = 0.05, most: float = 5.0) -> Iterator[float]:
    """Waits that grow, each by chance from the half to the whole of its time.

    >>> [round(wait, 1) <= most for wait, most in zip(backoff(), [0.1, 0.1, 0.2, 0.4])]
    [True, True, True, True]
    """
    while True:
        yield random.uniform(first / 2, first)
        first = min(most, 2 * first)


def later(a: str | None, b: str) -> str:
    """The later of two positions of a channel, "generation-number".

    >>> later("1-9", "1-10"), later("1-9", "0-10"), later(None, "0-1")
    ('1-10', '1-9', '0-1')
    """
    if a is None:
        return b
    try:
        x, y = ([int(part) for part in position.split("-")] for position in (a, b))
    except ValueError:
        return b  # of a form that is not known: the newest
    return a if x > y else b


def encode_query(query: Query) -> str:
    """A query without what is None.

    >>> encode_query({"limit": 3, "reverse": True, "where": None})
    'limit=3&reverse=true'
    """
    given = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in query.items() if v is not None}
    return urlencode(given)


def encode_path(*parts: str) -> str:
    """A path of parts, each of which may hold anything.

    >>> encode_path("records", "a/b")
    '/records/a%2Fb'
    >>> encode_path("records", "..")
    '/records/%2E%2E'
    """
    # Dots alone would be taken for steps in the path.
    return "".join("/" + (quote(part, safe="") if part.strip(".") else part.replace(".", "%2E")) for part in parts)


def encode_names(names: list[str] | None) -> str | None:
    """Names of columns as the parameter columns has them.

    >>> encode_names(["iata", "a,b"])
    'iata,"a,b"'
    """
    if names is None:
        return None
    return ",".join('"' + n.replace('"', '""') + '"' if set(n) & set('," ') else n for n in names)


def _seconds(text: str | None) -> float:
    return float(text) if text and text.isdigit() else 0.0
