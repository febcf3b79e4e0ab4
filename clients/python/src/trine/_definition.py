"""What a collection is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Definition = Mapping[str, Any] | str
"""A collection file: a mapping, or its text in YAML or JSON."""


@dataclass(frozen=True)
class Field:
    """A column of a collection."""

    id: int
    name: str
    type: str
    required: bool = False
    doc: str = ""


@dataclass(frozen=True)
class Description:
    """How a collection stands: its shape, its size, and how far each store is.

    `raw` is all that the server tells, such as the `lag_ms` and `bytes` of `log`,
    `index` and `lake`, and the `definition`, which can be applied again.
    """

    tenant: str
    collection: str
    fields: list[Field]
    key: list[str]
    rows: int
    first_seq: int
    next_seq: int
    position: str
    raw: dict[str, Any]

    @staticmethod
    def of(raw: dict[str, Any]) -> Description:
        """Reads the server's answer."""
        fields = [
            Field(f["id"], f["name"], f["type"], f["required"], f.get("doc", "")) for f in raw["schema"]["fields"]
        ]
        own = {name: raw[name] for name in ("tenant", "collection", "key", "rows", "first_seq", "next_seq", "position")}
        return Description(fields=fields, raw=raw, **own)

    def _repr_html_(self) -> str:
        from html import escape  # noqa: PLC0415 - only notebooks need it

        rows = "".join(
            f"<tr><td>{escape(f.name)}{' 🔑' if f.name in self.key else ''}</td><td>{escape(f.type)}</td>"
            f"<td>{'required' if f.required else ''}</td><td>{escape(f.doc)}</td></tr>"
            for f in self.fields
        )
        head = f"{escape(self.tenant)}/{escape(self.collection)}: {self.rows:,} rows, next seq {self.next_seq:,}"
        return (
            f"<table><caption>{head}</caption><tr><th>field</th><th>type</th><th></th><th>doc</th></tr>{rows}</table>"
        )


@dataclass(frozen=True)
class Applied:
    """What an apply did, or with a dry run would do; no steps: nothing."""

    created: bool
    steps: list[str]
    dry_run: bool = False

    @staticmethod
    def of(raw: Mapping[str, Any], dry_run: bool) -> Applied:
        """Reads the server's answer."""
        steps = [" ".join(str(s[k]) for k in ("kind", "field", "detail") if s.get(k)) for s in raw["steps"]]
        return Applied(raw["created"], steps, dry_run)


def encode_definition(definition: Definition) -> tuple[bytes, str]:
    """A definition as a body and its media type."""
    if isinstance(definition, str):
        return definition.encode(), "application/yaml"
    return json.dumps(definition).encode(), "application/json"
