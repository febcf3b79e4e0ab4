"""What clients make of a scan that is cut, however and wherever: docs/scans.md tells it, and this holds it."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator

import polars
import pyarrow as pa
import pytest
from fake import Handler, chunked, failed, serving
from server import REPO, binary

import trine

ROWS = 5_000

Bytes = list[bytes]


@pytest.fixture(scope="module")
def frames(samples: trine.Client) -> Bytes:
    """A scan of the server frame by frame: schema, batches, the batch that says how many rows, end."""
    url = samples._transport.url + "/v1/tenants/acme/collections/flights/scan.arrows"
    with urllib.request.urlopen(url) as answer:
        body = answer.read()
    source = pa.BufferReader(body)
    reader, at = pa.ipc.MessageReader.open_stream(source), [0]
    while True:
        try:
            reader.read_next_message()
        except StopIteration:
            break
        at.append(source.tell())
    frames = [body[a:b] for a, b in itertools.pairwise(at)]
    assert len(frames) >= 4 and at[-1] in (len(body), len(body) - 8)
    return [*frames, body[at[-1] :]]


CUTS: dict[str, Callable[[Bytes, Bytes], Callable[[Handler], None]]] = {
    # What the server does when it fails or is told to stop and cannot wait.
    "a truncated frame, a clean end": lambda sent, _: chunked([*sent, failed()]),
    # What a server leaves that is killed, or a connection that breaks.
    "the connection ends between batches": lambda sent, _: chunked(sent, "close"),
    "the connection ends within a batch": lambda sent, rest: chunked([*sent, rest[0][: len(rest[0]) // 2]], "short"),
    # What the server never does: somebody between who takes a broken body for a whole one.
    "a clean end between batches": lambda sent, _: chunked(sent),
    "a clean end within a batch": lambda sent, rest: chunked([*sent, rest[0][: len(rest[0]) // 2]]),
}

PLACES: dict[str, Callable[[Bytes], int]] = {
    "at the first batch": lambda frames: 1,
    "in the middle": lambda frames: 2,
    "at the last": lambda frames: len(frames) - 2,
}


@pytest.fixture(scope="module")
def urls(frames: Bytes) -> Iterator[list[str]]:
    """A collection for each cut and place, and one that is whole."""
    cases = [
        cut(frames[: place(frames)], frames[place(frames) :]) for cut in CUTS.values() for place in PLACES.values()
    ]
    cases.append(chunked(frames))

    def answer(h: Handler) -> None:
        cases[int(h.path.split("/")[5].removeprefix("c"))](h)

    with serving() as script:
        script.answers = [answer]
        yield [f"{script.url}/v1/tenants/t/collections/c{i}/scan" for i in range(len(cases))]


def of_each(read: Callable[[str], int]) -> Callable[[list[str]], list[int | None]]:
    def outcomes(urls: list[str]) -> list[int | None]:
        rows: list[int | None] = []
        for url in urls:
            try:
                rows.append(read(url))
            except BaseException:  # polars panics
                rows.append(None)
        return rows

    return outcomes


def read_pyarrow(url: str) -> int:
    return int(pa.ipc.open_stream(urllib.request.urlopen(url)).read_all().num_rows)


def read_polars(url: str) -> int:
    return int(polars.read_ipc_stream(urllib.request.urlopen(url)).height)


def read_trine(url: str) -> int:
    base, name = url.split("/v1/", maxsplit=1)[0], url.split("/")[-2]
    return int(trine.connect(base, retry_seconds=0.1)["t/" + name].scan().to_arrow().num_rows)


def read_go(url: str) -> int:
    base, name = url.split("/v1/", maxsplit=1)[0], url.split("/")[-2]
    done = subprocess.run(
        [binary(), "scan", "t/" + name, "--format", "arrow", "--server", base], capture_output=True, check=True
    )
    return int(pa.ipc.open_stream(io.BytesIO(done.stdout)).read_all().num_rows)


def node(reader: str) -> Callable[[list[str]], list[int | None]]:
    def outcomes(urls: list[str]) -> list[int | None]:
        script = REPO / "clients" / "js" / "outcomes.mjs"
        done = subprocess.run(["node", script, reader, *urls], capture_output=True, check=True, text=True)
        return list(json.loads(done.stdout))

    return outcomes


CLIENTS: dict[str, Callable[[list[str]], list[int | None]]] = {
    "`trine` (Go)": of_each(read_go),
    "`trine` (Python)": of_each(read_trine),
    "clients/js": node("checked"),
    "pyarrow": of_each(read_pyarrow),
    "polars": of_each(read_polars),
    "arrow-js, body read first": node("buffered"),
    "arrow-js, streamed": node("streamed"),
}


def test_table(urls: list[str]) -> None:
    """The table in the documentation is what clients do, and ours take no cut scan for a whole one."""
    outcomes = {client: read(urls) for client, read in CLIENTS.items()}
    assert {client: rows[-1] for client, rows in outcomes.items()} == dict.fromkeys(CLIENTS, ROWS)
    lines = ["| the stream is cut: | " + " | ".join(CLIENTS) + " |", "|---|" + "---|" * len(CLIENTS)]
    for i, cut in enumerate(CUTS):
        cells = []
        for rows in outcomes.values():
            seen = rows[i * len(PLACES) : (i + 1) * len(PLACES)]
            silent = [place for place, row in zip(PLACES, seen, strict=True) if row is not None]
            cells.append(
                "**taken for whole**"
                if len(silent) == len(PLACES)
                else "**taken for whole** " + ", ".join(silent)
                if silent
                else "error"
            )
        lines.append(f"| {cut} | " + " | ".join(cells) + " |")
    told = (REPO / "docs" / "scans.md").read_text()
    table = "\n".join(lines)
    assert table in told, f"docs/scans.md should have:\n{table}"
    for client in list(CLIENTS)[:3]:
        assert outcomes[client][:-1] == [None] * (len(urls) - 1), client
