"""Writing records, and reading them by key and as a log."""

from __future__ import annotations

import copy
import datetime
import decimal
import itertools
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pandas
import polars
import pyarrow as pa
import pytest
from server import Server

import trine

ITEMS: dict[str, Any] = {
    "fields": [
        {"name": "id", "type": "long", "required": True},
        {"name": "at", "type": "timestamptz"},
        {"name": "day", "type": "date"},
        {"name": "price", "type": "decimal(9,2)"},
        {"name": "score", "type": "double"},
        {"name": "token", "type": "uuid"},
        {"name": "raw", "type": "binary"},
        {"name": "tags", "type": {"type": "list", "element": "string"}},
    ],
    "key": ["id"],
}


@pytest.fixture
def items(db: trine.Client) -> Iterator[trine.Collection]:
    items = db[f"records/c{uuid.uuid4().hex}"]
    assert items.apply(ITEMS).created
    yield items
    items.drop()


def test_values(items: trine.Collection) -> None:
    """What Python has goes in; what JSON and Arrow have of it comes out."""
    at = datetime.datetime(2026, 11, 20, 8, tzinfo=datetime.UTC)
    token = uuid.uuid4()
    written = items.write(
        {
            "id": 1,
            "at": at,
            "day": at.date(),
            "price": decimal.Decimal("3.50"),
            "score": float("-inf"),
            "token": token,
            "raw": b"\x00\xff",
            "tags": ["a", "ü"],
        }
    )
    assert (written.first_seq, written.last_seq, written.count, written.replayed) == (0, 0, 1, False)
    assert items.get(1) == {
        "id": 1,
        "at": "2026-11-20T08:00:00Z",
        "day": "2026-11-20",
        "price": "3.50",
        "score": "-Infinity",
        "token": str(token),
        "raw": "AP8=",
        "tags": ["a", "ü"],
    }
    row = items.scan().to_arrow().to_pylist()[0]
    assert row["at"] == at and row["price"] == decimal.Decimal("3.50") and row["raw"] == b"\x00\xff"
    assert row["tags"] == ["a", "ü"] and row["score"] == float("-inf")


@pytest.mark.parametrize(
    "frame",
    [
        pandas.DataFrame({"id": [1, 2], "score": [0.5, None]}, index=["x", "y"]),
        pandas.DataFrame({"score": [0.5, None]}, index=pandas.Index([1, 2], name="id")),
        polars.DataFrame({"id": [1, 2], "score": [0.5, None]}),
        pa.table({"id": [1, 2], "score": [0.5, None]}),
        pa.record_batch({"id": [1, 2], "score": [0.5, None]}),
        [{"id": 1, "score": 0.5}, {"id": 2}],
        ({"id": i, "score": s} for i, s in ((1, 0.5), (2, None))),
    ],
    ids=lambda frame: type(frame).__module__.partition(".")[0] + "." + type(frame).__name__,
)
def test_forms_in(items: trine.Collection, frame: object) -> None:
    assert items.write(frame).count == 2
    assert items.lookup([2, 1, 3], columns=["id", "score"]) == [
        {"id": 2, "score": None},
        {"id": 1, "score": 0.5},
        None,
    ]


@pytest.mark.parametrize("data", ["text", b"bytes", 7, ["text"], {"id": object()}])
def test_forms_that_are_none(items: trine.Collection, data: object) -> None:
    with pytest.raises(TypeError, match="cannot write a"):
        items.write(data)


def test_ops(items: trine.Collection) -> None:
    items.write([{"id": 1, "score": 1}, {"id": 2, "score": 2}])
    items.write({"id": 1, "tags": ["x"]}, op="patch")
    items.write({"id": 2}, op="delete")
    assert items.get(2) is None
    record = items.get(1, columns=["score", "tags", "_seq"])
    assert record == {"score": 1, "tags": ["x"], "_seq": 2}
    with pytest.raises(trine.Problem) as caught:
        items.write({"id": 1}, op="insert")
    assert (caught.value.status, caught.value.retry) == (409, "after_change")


def test_refusals_tell_all(items: trine.Collection) -> None:
    with pytest.raises(trine.Problem) as caught:
        items.write([{"id": 1}, {"id": 2, "day": "soon"}, {"nope": 1}])
    problem = caught.value
    assert problem.status == 400 and problem.code == "invalid" and not problem.may_be_repeated
    first = problem.errors[0]
    assert (first["line"], first["field"]) == (2, "day")
    assert "line 2: field day: " in str(problem) and "line 3" in str(problem)
    assert items.describe().rows == 0

    written = items.write([{"id": 1}, {"id": 2, "day": "soon"}], skip_bad=True)
    assert written.count == 1 and written.skipped[0]["line"] == 2

    with pytest.raises(trine.Problem) as caught:
        items.write({"id": 5}, if_seq=7)
    assert caught.value.status == 412 and caught.value.next_seq == 1


def test_absence(db: trine.Client, items: trine.Collection) -> None:
    assert items.get(1) is None
    for ask in (lambda c: c.get(1), lambda c: c.describe(), lambda c: list(c.range()), lambda c: c.scan().to_arrow()):
        with pytest.raises(trine.NotFound):
            ask(db["records/none"])
    with pytest.raises(trine.NotFound):
        items.lookup([1], index="none")


def test_written_once(items: trine.Collection) -> None:
    first = items.write({"id": 1}, idempotency_key="k")
    again = items.write({"id": 1}, idempotency_key="k")
    assert again.replayed and again.first_seq == first.first_seq
    assert not items.write({"id": 2}, producer=("source", 7)).replayed
    assert items.write({"id": 3}, producer=("source", 7)).replayed
    assert items.describe().next_seq == 2


def test_range(items: trine.Collection) -> None:
    items.write([{"id": i, "score": i % 7} for i in range(2_500)])
    assert [r["id"] for r in items.range()] == list(range(2_500))
    assert [r["id"] for r in items.range(reverse=True, limit=3)] == [2499, 2498, 2497]
    assert [r["id"] for r in items.range(from_key=10, to_key=[13])] == [10, 11, 12]
    assert [r for r in items.range(where="score = 3", limit=2, columns=["id"])] == [{"id": 3}, {"id": 10}]
    assert sum(r is not None for r in items.lookup(range(-5, 2_500))) == 2_500


def test_log(items: trine.Collection) -> None:
    items.write([{"id": i} for i in range(5)])
    items.write({"id": 1}, op="delete")
    changes = list(items.log())
    assert [c.seq for c in changes] == list(range(6))
    assert changes[5].op == "delete" and changes[5].record == {"id": 1}
    assert changes[0].time.tzinfo is not None
    assert [c.seq for c in items.log(tail=2)] == [4, 5]
    assert [c.seq for c in items.log(from_seq=1, limit=2)] == [1, 2]
    assert [c.seq for c in items.log(from_seq=1, to_seq=3)] == [1, 2]
    assert [c.record["id"] for c in items.log(where="id > 2")] == [3, 4]
    with pytest.raises(trine.Problem) as caught:
        list(items.log(from_seq=9))
    assert caught.value.status == 416 and caught.value.next_seq == 6


def test_follow_goes_on_over_a_kill(server: Server, items: trine.Collection) -> None:
    """Each change comes once and in order, though the server is killed between them."""
    items.write({"id": 0})
    seen: list[int] = []
    second, third = threading.Event(), threading.Event()

    def follow() -> None:
        for change in items.follow():
            seen.append(change.seq)
            {1: second, 2: third}.get(change.seq, threading.Event()).set()
            if change.seq == 2:
                return

    follower = threading.Thread(target=follow)
    follower.start()
    items.write({"id": 1})
    assert second.wait(30)
    server.kill()
    server.start()
    items.write({"id": 2})
    assert third.wait(30)
    follower.join(30)
    assert seen == [0, 1, 2]


def test_follow_from_now(items: trine.Collection) -> None:
    items.write([{"id": i} for i in range(3)])
    changes = items.follow(tail=0)
    items.write({"id": 9})
    assert next(changes).record["id"] == 9
    changes.close()  # type: ignore[attr-defined]


def test_evolve(items: trine.Collection) -> None:
    items.write({"id": 1, "score": 2})
    shape = copy.deepcopy(ITEMS)
    shape["fields"][4].update(name="points", was="score")
    plan = items.apply(shape, dry_run=True)
    assert plan.dry_run and plan.steps and not plan.created
    assert items.apply(shape).steps == plan.steps
    assert items.get(1, columns=["points"]) == {"points": 2}
    assert items.apply(shape).steps == []
    description = items.describe()
    assert description.key == ["id"] and [f.name for f in description.fields][4] == "points"
    assert "<td>points</td>" in items._repr_html_()


def test_many_collections(db: trine.Client) -> None:
    for i in range(3):
        db[f"listed/c{i}"].apply("fields: [{name: id, type: long}]")
    db["listed/d"].apply("fields: [{name: id, type: long}]")
    assert [c.name for c in db.collections("listed", prefix="c")] == ["c0", "c1", "c2"]
    assert len(list(itertools.islice(db.iter_collections("listed"), 10))) == 4
    for name in ("acme", "acme/", "/x", "a/b/c"):
        with pytest.raises(KeyError):
            db[name]
