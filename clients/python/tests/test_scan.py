"""Scans: the forms that they come in, and streams that are cut."""

from __future__ import annotations

from collections.abc import Iterator

import pandas
import polars
import pyarrow as pa
import pytest
from fake import Script, chunked, failed, frames, problem, serving
from server import Server

import trine

SLOWLY = 0.5
"""How long a client of a fake server tries again, in seconds."""


@pytest.fixture
def script() -> Iterator[Script]:
    with serving() as script:
        yield script


def scan_of(script: Script) -> trine.Scan:
    return trine.connect(script.url, retry_seconds=SLOWLY)["a/b"].scan(where="n > 0")


def test_forms_out(samples: trine.Client) -> None:
    scan = samples["acme/airports"].scan(columns=["iata", "state"], where="state = 'WA'", limit=40)
    table = scan.to_arrow()
    assert table.num_rows == 40 and set(table["state"].to_pylist()) == {"WA"}
    assert b"trine.position" in table.schema.metadata
    rows = table.to_pylist()
    assert [r for b in scan.to_batches() for r in b.to_pylist()] == rows
    assert scan.to_reader().read_all().to_pylist() == rows
    assert scan.to_polars().to_dicts() == rows and isinstance(scan.to_polars(), polars.DataFrame)
    assert scan.to_pandas().to_dict("records") == rows and isinstance(scan.to_pandas(), pandas.DataFrame)
    assert pa.table(scan).to_pylist() == rows and polars.DataFrame(scan).to_dicts() == rows
    assert repr(scan) == "<scan of acme/airports>"


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_codecs(samples: trine.Client, codec: str) -> None:
    flights = samples["acme/flights"]
    assert flights.scan(codec=codec).to_arrow().equals(flights.scan().to_arrow())  # type: ignore[arg-type]


def test_odd_names(db: trine.Client) -> None:
    odd = db["scans/odd"]
    odd.apply({"fields": [{"name": n, "type": "long"} for n in ("a,b", 'q"', "ü ", "plain")]})
    odd.write({"a,b": 1, 'q"': 2, "ü ": 3, "plain": 4})
    assert odd.scan(columns=['q"', "ü ", "a,b"]).to_arrow().to_pylist() == [{'q"': 2, "ü ": 3, "a,b": 1}]


def test_as_of_then(db: trine.Client) -> None:
    then = db["scans/then"]
    then.apply({"fields": [{"name": "id", "type": "long", "required": True}], "key": ["id"]})
    for i in range(3):
        then.write({"id": i})
    assert then.scan(at_seq=1).to_arrow()["id"].to_pylist() == [0, 1]
    assert then.scan(limit=0).to_arrow().num_rows == 0
    with pytest.raises(trine.Problem) as caught:
        then.scan(columns=["nope"]).to_arrow()
    assert caught.value.status == 400 and "nope" in str(caught.value)


def test_progress(samples: trine.Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert samples["acme/airports"].scan(progress=True).to_arrow().num_rows == 3376
    shown = capsys.readouterr().err
    assert "acme/airports" in shown and "3.38k/3.38k" in shown


def test_scan_over_a_kill(server: Server, db: trine.Client) -> None:
    """A scan whose server is killed and comes back is whole, each row there once."""
    long = db["scans/long"]
    long.apply({"fields": [{"name": "n", "type": "long"}, {"name": "pad", "type": "string"}]})
    rows = 150_000
    for i in range(0, rows, 50_000):
        long.write(pa.table({"n": range(i, i + 50_000), "pad": ["x" * 100] * 50_000}))
    batches = long.scan().to_batches()
    read = next(batches).column("n").to_pylist()
    server.kill()
    server.start()
    for batch in batches:
        read += batch.column("n").to_pylist()
    assert read == list(range(rows))


WHOLE = frames([1, 2], [3], complete=3)
REST = frames([3], complete=1, after=2)


@pytest.mark.parametrize("end", ["clean", "close", "short"])
@pytest.mark.parametrize("mark", [False, True], ids=["cut", "failed"])
def test_cut_is_taken_up(script: Script, end: str, mark: bool) -> None:
    """However a stream ends after a batch, the rest is asked for by the batch's token."""
    script.answers = [chunked([WHOLE[0], *([failed()] if mark else [])], end), chunked(REST)]
    assert scan_of(script).to_arrow()["n"].to_pylist() == [1, 2, 3]
    first, second = script.requests
    assert first.query == {"where": "n > 0"}
    assert second.query == {"where": "n > 0", "resume": "after 2"}


@pytest.mark.parametrize("end", ["clean", "close", "short"])
def test_cut_anywhere(script: Script, end: str) -> None:
    """Wherever a stream is cut, it is taken up or begun anew; no row is lost or there twice."""
    whole = b"".join(WHOLE)
    at = len(WHOLE[0]), len(WHOLE[0]) + len(WHOLE[1])
    for n in range(0, at[1], 29):
        script.answers = [chunked([whole[:n]] if n else [], end), chunked(REST if n >= at[0] else WHOLE)]
        assert scan_of(script).to_arrow()["n"].to_pylist() == [1, 2, 3], n


def test_end_without_saying_so(script: Script) -> None:
    """An end-of-stream marker alone proves nothing; nor does a number of rows that is not so."""
    for pieces in (frames([1, 2]), frames([1, 2], complete=3), frames(complete=1)):
        script.answers = [chunked(pieces)]
        script.requests.clear()
        with pytest.raises(trine.Incomplete):
            scan_of(script).to_arrow()
        assert len(script.requests) > 1


def test_server_begins_anew(script: Script) -> None:
    """Rows that came before are not taken for the rest."""
    script.answers = [chunked(WHOLE[:2], "close"), chunked(WHOLE)]
    with pytest.raises(trine.Incomplete, match="begins anew"):
        scan_of(script).to_arrow()


def test_failure_that_will_not_pass(script: Script) -> None:
    script.answers = [chunked([WHOLE[0], failed("corrupt", "never")])]
    with pytest.raises(trine.Incomplete) as caught:
        scan_of(script).to_arrow()
    assert caught.value.problem is not None and caught.value.problem.code == "corrupt"
    assert len(script.requests) == 1


def test_no_token(script: Script) -> None:
    script.answers = [chunked(frames([1, 2], tokens=False)[:1])]
    with pytest.raises(trine.Incomplete, match="no token"):
        scan_of(script).to_arrow()


def test_position_is_past(script: Script) -> None:
    """What was handed out cannot be taken back; what was not is read anew."""
    cut, gone, whole = chunked(WHOLE[:1], "close"), problem(410, "expired", "after_change"), chunked(WHOLE)
    script.answers = [cut, gone, whole]
    assert scan_of(script).to_arrow()["n"].to_pylist() == [1, 2, 3]
    assert "resume" not in script.requests[-1].query
    script.answers = [cut, gone]
    batches = scan_of(script).to_batches()
    assert next(batches).num_rows == 2
    with pytest.raises(trine.Incomplete) as caught:
        next(batches)
    assert caught.value.problem is not None and caught.value.problem.status == 410
    script.answers = [cut, gone, cut, gone, cut, gone, cut, gone, whole]
    with pytest.raises(trine.Incomplete):
        scan_of(script).to_arrow()


def test_other_schema(script: Script) -> None:
    other = pa.schema([("n", pa.int32())])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, other):
        pass
    script.answers = [chunked(WHOLE[:1]), chunked([sink.getvalue().to_pybytes()])]
    with pytest.raises(trine.Incomplete, match="schema has changed"):
        scan_of(script).to_arrow()


def test_caller_stops(script: Script) -> None:
    script.answers = [chunked(WHOLE)]
    batches = scan_of(script).to_batches()
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert len(script.requests) == 1
