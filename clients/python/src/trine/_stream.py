"""The stream of a scan: whole, or an exception."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import pyarrow as pa
import urllib3

from trine._errors import Incomplete, Problem, Unreachable
from trine._http import Query, Response, Transport, backoff

CUTS = (pa.ArrowException, urllib3.exceptions.HTTPError, OSError, Unreachable)
"""What a stream that is cut comes to, by where it is cut."""


class BatchStream:
    """The batches of a scan. A stream that was cut is taken up after its last batch, by the token in it."""

    def __init__(self, transport: Transport, path: str, query: Query, headers: Mapping[str, str]) -> None:
        self._transport = transport
        self._path, self._query, self._headers = path, query, headers
        self.rows = 0
        self.resumed = 0
        self._token: str | None = None
        self._part = self._open()
        self.schema: pa.Schema = self._part.schema
        metadata = self.schema.metadata or {}
        self.position = metadata.get(b"trine.position", b"").decode()
        self.snapshot = int(metadata.get(b"trine.snapshot", 0))

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        waits, since = backoff(), time.monotonic()
        try:
            while True:
                try:
                    for batch, token in self._part.batches():
                        self.rows += batch.num_rows
                        self._token = token
                        yield batch
                        waits, since = backoff(), time.monotonic()
                    return
                except CUTS as cut:
                    self._give_up(cut, time.monotonic() - since)
                self._transport.sleep(next(waits))
                self._resume()
        finally:
            self.close()

    def close(self) -> None:
        """Ends the scan where it is."""
        self._part.close()

    def _give_up(self, cut: Exception, tried: float) -> None:
        """Raises if the stream cannot go on."""
        problem = self._part.problem()
        self._part.close()
        if self.rows and self._token is None:
            why = "the server gave no token to take it up again"
        elif problem is not None and not problem.may_be_repeated:
            why = "the server cannot go on"
        elif tried > self._transport.retry_seconds:
            why = f"nothing came for {tried:.0f} s: {cut}"
        else:
            return
        raise Incomplete(f"scan was cut after {self.rows} rows; {why}", problem) from cut

    def _resume(self) -> None:
        try:
            part = self._open()
        except Problem as problem:
            raise Incomplete(f"scan was cut after {self.rows} rows and cannot be taken up", problem) from problem
        why = None
        if not part.schema.equals(self.schema):
            why = "the schema has changed since"
        elif part.after != self._token:
            why = "the server begins anew"
        if why is not None:
            part.close()
            raise Incomplete(f"scan was cut after {self.rows} rows, and {why}")
        self._part = part
        self.resumed += 1

    def _open(self) -> _Part:
        def attempt() -> _Part:
            answer = self._transport.stream(
                "GET", self._path, {**self._query, "resume": self._token}, headers=self._headers, again=False
            )
            try:
                return _Part(answer)
            except CUTS as cut:
                answer.close()
                raise Unreachable(f"server {self._transport.url}: the scan was cut before its schema: {cut}") from cut

        return self._transport.repeat(attempt)


class _Part:
    """One answer."""

    def __init__(self, answer: Response) -> None:
        self._body = _Body(answer)
        self._reader = pa.ipc.open_stream(self._body)
        self.schema: pa.Schema = self._reader.schema
        after = (self.schema.metadata or {}).get(b"trine.resumed")
        self.after = None if after is None else after.decode()

    def batches(self) -> Iterator[tuple[pa.RecordBatch, str | None]]:
        """The batches that have rows, each with the token of where it ends.

        It returns once the batch came that says how many rows there were, and there
        were as many.
        """
        rows = 0
        while True:
            try:
                batch, metadata = self._reader.read_next_batch_with_custom_metadata()
            except StopIteration:
                raise Unreachable("the stream ends before it says that it is whole") from None
            said = dict(metadata) if metadata else {}
            if batch.num_rows:
                rows += batch.num_rows
                token = said.get(b"trine.resume")
                yield batch, token.decode() if token else None
            elif said.get(b"trine.complete") == b"true":
                if int(said[b"trine.rows"]) != rows:
                    raise Unreachable(f"the stream has {rows} rows and says {said[b'trine.rows'].decode()}")
                self._body.drain()
                return

    def problem(self) -> Problem | None:
        """What the server said in the frame that it cut short, if it did."""
        return self._body.problem()

    def close(self) -> None:
        self._body.close()


class _Body:
    """An answer's body as the file that pyarrow reads."""

    def __init__(self, answer: Response) -> None:
        self._answer = answer
        self._last = b""  # that was read, if it was less than asked for
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        data = self._answer.read(None if size < 0 else size, decode_content=False)
        self._last = data if len(data) < size else b""
        return data

    def problem(self) -> Problem | None:
        """The problem that stands where a frame ends too soon."""
        if not self._last.startswith(b"{"):
            return None
        problem = Problem.parse(500, self._last)
        return Problem.of(problem.body.get("status", 500), problem.body) if problem.code else None

    def drain(self) -> None:
        """Reads to the end, so that the connection can be used again; the rows are all there."""
        try:
            self._answer.drain_conn()
        finally:
            self.close()

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._answer.close()
            self._answer.release_conn()
