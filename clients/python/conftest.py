"""One server for the tests and the examples in the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from _pytest.doctest import DoctestItem
from server import SAMPLES, Server, binary

import trine


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(binary(), tmp_path_factory.mktemp("trine"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def db(server: Server) -> trine.Client:
    return trine.connect(server.url)


@pytest.fixture(scope="session")
def samples(db: trine.Client) -> trine.Client:
    """The quickstart's airports and flights, which tests leave as they are."""
    db["acme/airports"].apply(
        {
            "fields": [
                {"name": "iata", "type": "string", "required": True},
                *({"name": n, "type": "string"} for n in ("name", "city", "state", "country")),
                *({"name": n, "type": "double"} for n in ("latitude", "longitude")),
            ],
            "key": ["iata"],
        }
    )
    db["acme/flights"].apply(
        """
        fields:
          - {name: date, type: timestamp}
          - {name: delay, type: long}
          - {name: distance, type: long}
          - {name: origin, type: string}
          - {name: destination, type: string}
        """
    )
    from pyarrow import csv  # noqa: PLC0415 - not before the tests begin

    for name in ("airports", "flights"):
        db["acme/" + name].write(csv.read_csv(SAMPLES / f"{name}.csv"))
    return db


@pytest.fixture(autouse=True)
def _names(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> None:
    """What the examples in docstrings begin with."""
    if isinstance(request.node, DoctestItem):
        samples = request.getfixturevalue("samples")
        doctest_namespace.update(url=samples._transport.url, db=samples, flights=samples["acme/flights"])
