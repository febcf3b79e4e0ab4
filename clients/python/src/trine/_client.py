"""A server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trine._collection import Collection
from trine._http import Params, Transport, encode_path

DEFAULT_URL = "http://127.0.0.1:7744"
PAGE = 1000


def connect(url: str = DEFAULT_URL, token: str | None = None, *, retry_seconds: float = 60) -> Client:
    """A client of the server at url. It does not connect yet.

    `retry_seconds` is how long a request is repeated that may be repeated.
    """
    return Client(Transport(url, token, retry_seconds))


class Client:
    """Talks to one server. It may be used by many threads.

    What it wrote it also sees in later reads, through whichever node: each read says
    which position it must be at least of.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __repr__(self) -> str:
        return f"<trine {self._transport.url}>"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes idle connections; a client can go on after it."""
        self._transport.close()

    def __getitem__(self, name: str) -> Collection:
        """The collection `tenant/collection`, whether or not it exists.

        >>> db["acme"]
        Traceback (most recent call last):
        KeyError: "write it tenant/collection, as in acme/airports: 'acme'"
        """
        tenant, slash, collection = name.partition("/")
        if not (slash and tenant and collection) or "/" in collection:
            raise KeyError(f"write it tenant/collection, as in acme/airports: {name!r}")
        return Collection(self._transport, tenant, collection)

    def collections(self, tenant: str, prefix: str = "") -> list[Collection]:
        """The collections of a tenant by name, of which there may be many."""
        return list(self.iter_collections(tenant, prefix))

    def iter_collections(self, tenant: str, prefix: str = "") -> Iterator[Collection]:
        """The same, page by page."""
        path = encode_path("v1", "tenants", tenant, "collections")
        query: Params = {"prefix": prefix or None, "limit": PAGE}
        while True:
            page: Any = self._transport.json("GET", path, query, headers=self._transport.at_least(tenant))[0]
            for raw in page["collections"]:
                yield Collection(self._transport, raw["tenant"], raw["collection"])
            if page["after"] is None:
                return
            query["after"] = page["after"]
