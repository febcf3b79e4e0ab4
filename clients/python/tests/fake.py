"""A server that answers as it is told, also badly."""

from __future__ import annotations

import io
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa

Answer = Callable[["Handler"], None]


@dataclass
class Request:
    """What came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Script:
    """What came, and what is answered: the answers in their order, the last one over and over."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def next(self, request: Request) -> Answer:
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Handler(BaseHTTPRequestHandler):
    """Answers one request by the script."""

    protocol_version = "HTTP/1.1"
    script: Script

    def answer(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.script.next(Request(self.command, parts.path, query, dict(self.headers), body))(self)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def abort(self) -> None:
        """Breaks the connection off as a process that dies does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
        self.wfile = open("/dev/null", "wb")  # noqa: SIM115 - what http.server flushes at last


class Server(ThreadingHTTPServer):
    """The script's server."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients may go away."""


@contextmanager
def serving() -> Iterator[Script]:
    """Serves a script."""
    script = Script()
    handler = type("Scripted", (Handler,), {"script": script})
    with Server(("127.0.0.1", 0), handler) as server:
        script.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield script
        server.shutdown()
        thread.join()


def reply(status: int, body: Any, **headers: str) -> Answer:
    """Answers JSON."""
    data = json.dumps(body).encode()

    def answer(h: Handler) -> None:
        h.send_response(status)
        for name, value in headers.items():
            h.send_header(name.replace("_", "-"), value)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data)

    return answer


def problem(status: int, code: str, retry: str, **headers: str) -> Answer:
    """Answers a problem."""
    return reply(status, {"status": status, "code": code, "retry": retry, "detail": f"it is {code}"}, **headers)


def broken(h: Handler) -> None:
    """Answers nothing."""
    h.abort()


def chunked(pieces: Iterable[bytes], end: str = "clean", **headers: str) -> Answer:
    """Answers pieces, and ends cleanly, without a last chunk (close), or within the chunk of the last piece (short)."""

    def answer(h: Handler) -> None:
        h.send_response(200)
        for name, value in {"Transfer-Encoding": "chunked", **headers}.items():
            h.send_header(name.replace("_", "-"), value)
        h.end_headers()
        sent = list(pieces)
        last = sent.pop() if end == "short" and sent else None
        for piece in sent:
            h.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if last is not None:
            h.wfile.write(b"%x\r\n%s" % (len(last) + 1000, last))
        h.wfile.flush()
        if end == "clean":
            h.wfile.write(b"0\r\n\r\n")
        h.close_connection = True

    return answer


SCHEMA = pa.schema([("n", pa.int64())], metadata={"trine.position": "1-5", "trine.snapshot": "7"})


def frames(
    *batches: list[int], complete: int | None = None, tokens: bool = True, after: int | None = None
) -> list[bytes]:
    """An Arrow stream: the schema with the first batch, the others, that which says how many rows, the end.

    With after it goes on after that number.
    """
    schema = SCHEMA
    if after is not None:
        schema = schema.with_metadata({**schema.metadata, "trine.resumed": f"after {after}"})
    sink, whole = io.BytesIO(), []
    out = pa.ipc.new_stream(sink, schema)

    def cut() -> None:
        whole.append(sink.getvalue())
        sink.seek(0)
        sink.truncate()

    for batch in batches:
        metadata = {"trine.resume": f"after {batch[-1]}"} if tokens else None
        out.write_batch(pa.record_batch([pa.array(batch, pa.int64())], schema=schema), custom_metadata=metadata)
        cut()
    if complete is not None:
        metadata = {"trine.complete": "true", "trine.rows": str(complete)}
        out.write_batch(pa.record_batch([pa.array([], pa.int64())], schema=schema), custom_metadata=metadata)
        cut()
    out.close()
    cut()
    return whole


def failed(code: str = "unavailable", retry: str = "same_request") -> bytes:
    """The frame by which a server says that a stream has failed."""
    text = json.dumps({"status": 503, "code": code, "retry": retry, "detail": f"it is {code}"}).encode()
    return struct.pack("<II", 0xFFFFFFFF, len(text) // 8 * 8 + 64) + text
