"""What is sent again, and what is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake import Script, broken, chunked, problem, reply, serving

import trine

WRITTEN = reply(200, {"first_seq": 0, "last_seq": 0, "count": 1, "position": "1-7"})
FOUND = reply(200, {"records": [None]})


@pytest.fixture
def script() -> Iterator[Script]:
    with serving() as script:
        yield script


def client(script: Script, seconds: float = 2) -> trine.Collection:
    return trine.connect(script.url, token="secret", retry_seconds=seconds)["a/b"]


@pytest.mark.parametrize(
    "first",
    [
        problem(503, "overloaded", "same_request"),
        problem(500, "unknown_outcome", "same_request"),
        reply(502, "a proxy says so"),
        broken,
    ],
)
def test_write_is_sent_again(script: Script, first: object) -> None:
    """Under the same key, so that it lands once."""
    script.answers = [first, first, WRITTEN]  # type: ignore[list-item]
    assert client(script).write({"id": 1}).count == 1
    keys = {r.headers["Idempotency-Key"] for r in script.requests}
    assert len(script.requests) == 3 and len(keys) == 1
    assert {r.body for r in script.requests} == {b'{"id":1}\n'}
    assert {r.headers["Authorization"] for r in script.requests} == {"Bearer secret"}


@pytest.mark.parametrize(
    ("status", "code", "retry"),
    [
        (400, "invalid", "after_change"),
        (500, "corrupt", "never"),
        (503, "odd", "never"),
        (409, "conflict", "after_change"),
    ],
)
def test_refusal_is_final(script: Script, status: int, code: str, retry: str) -> None:
    script.answers = [problem(status, code, retry)]
    with pytest.raises(trine.Problem) as caught:
        client(script).write({"id": 1})
    assert caught.value.code == code and len(script.requests) == 1


def test_patience_ends(script: Script) -> None:
    script.answers = [problem(503, "overloaded", "same_request")]
    with pytest.raises(trine.Problem):
        client(script, 0.2).write({"id": 1})
    assert 1 < len(script.requests) < 20
    script.answers, script.requests = [broken], []
    with pytest.raises(trine.Unreachable):
        client(script, 0.2).get(1)
    assert 1 < len(script.requests) < 20


def test_server_says_when(script: Script) -> None:
    """Retry-After is waited for, at the least: a second is over the patience here."""
    script.answers = [problem(503, "overloaded", "same_request", Retry_After="1"), WRITTEN]
    with pytest.raises(trine.Problem):
        client(script, 0.9).write({"id": 1})
    assert len(script.requests) == 1


def test_drop_is_not_repeated(script: Script) -> None:
    script.answers = [broken, reply(204, None)]
    with pytest.raises(trine.Unreachable):
        client(script).drop()
    assert len(script.requests) == 1


def test_reads_see_writes(script: Script) -> None:
    """Each read names the newest position that was written, through whichever node it goes."""
    script.answers = [FOUND]
    collection = client(script)
    collection.get(1)
    assert "Trine-At-Least" not in script.requests[-1].headers
    for position in ("1-7", "1-10", "1-9"):
        script.answers = [reply(200, {"first_seq": 0, "last_seq": 0, "count": 1, "position": position})]
        collection.write({"id": 1})
    script.answers = [FOUND]
    collection.get(1)
    assert script.requests[-1].headers["Trine-At-Least"] == "1-10"
    script.answers = [chunked([], Trine_Next_Seq="3")]
    assert list(collection.log()) == []
    assert script.requests[-1].headers["Trine-At-Least"] == "1-10"


def test_log_goes_on(script: Script) -> None:
    """A log that is cut goes on after its last change, to where it ended at first."""

    def line(seq: int) -> bytes:
        return b'{"seq":%d,"time":"2026-11-20T08:00:00Z","op":"insert","record":{}}\n' % seq

    script.answers = [
        chunked([line(4), line(5)[:20]], "close", Trine_Next_Seq="7"),
        chunked([line(5), b'{"problem":{"code":"closing","status":503,"retry":"same_request"}}\n'], Trine_Next_Seq="9"),
        chunked([line(6)], Trine_Next_Seq="9"),
    ]
    assert [c.seq for c in client(script).log(tail=3)] == [4, 5, 6]
    assert [r.query.get("from_seq") for r in script.requests] == [None, "5", "6"]
    assert [r.query.get("to_seq") for r in script.requests] == [None, "7", "7"]

    script.answers = [chunked([], "close", Trine_Next_Seq="7")]
    with pytest.raises(trine.Incomplete):
        list(client(script, 0.3).log())


def test_follow_goes_on(script: Script) -> None:
    """Heartbeats are passed over, and a stream that ends is asked for again."""
    line = b'{"seq":%d,"time":"2026-11-20T08:00:00Z","op":"insert","record":{}}\n'
    script.answers = [
        chunked([b"\n", line % 8, b"\n"], Trine_Next_Seq="9"),
        chunked([], Trine_Next_Seq="9"),
        chunked([line % 9], Trine_Next_Seq="10"),
        problem(410, "trimmed", "after_change"),
    ]
    changes = client(script).follow(tail=1)
    assert [next(changes).seq, next(changes).seq] == [8, 9]
    assert [r.query.get("from_seq") for r in script.requests] == [None, "9", "9"]
    with pytest.raises(trine.Problem):
        next(changes)


def test_bad_urls() -> None:
    for url in ("", "127.0.0.1:7744", "ftp://x"):
        with pytest.raises(ValueError, match="want a URL"):
            trine.connect(url)
