"""A key of each type. What the values are to engines is in test_matrix.py."""

import pytest

from demo import field
from typecases import KEYS

TENANT = "interop"


@pytest.mark.parametrize("type_, given, want", KEYS, ids=[k[0].partition("(")[0] for k in KEYS])
def test_key_of_type(client, agree, type_, given, want):
    """A second write of the same keys updates the rows, in the table as well."""
    name = "key_" + type_.partition("(")[0]
    keyed = client.apply(TENANT, name, fields=[field("k", type_, required=True), field("n", "int")], key=["k"])
    client.write(keyed, [{"k": k, "n": 1} for k in given])
    agree(keyed, [(k, 1) for k in want], without=["spark"])
    client.write(keyed, [{"k": k, "n": 2} for k in given])
    agree(keyed, [(k, 2) for k in want], without=["spark"])
