"""What engines demand of the Iceberg REST catalogue beside the rows.

Each of these was seen to break an engine when it is not so.
"""

import json
import urllib.error

import pytest

import demo

TENANT = "catalogue"


@pytest.fixture(scope="module")
def airports(client):
    airports = client.apply(TENANT, "airports", **demo.AIRPORTS)
    client.write_body(airports, demo.csv_bytes("airports"), "text/csv")
    return airports


def _error(client, method, path):
    with pytest.raises(urllib.error.HTTPError) as caught:
        client.request(method, "/iceberg/v1" + path)
    # A HEAD has no body.
    note = caught.value.__notes__[0]
    return caught.value.code, json.loads(note)["error"]["type"] if note else None


def test_config(client):
    config = json.loads(client.request("GET", "/iceberg/v1/config"))
    assert isinstance(config["defaults"], dict)  # DuckDB fails without them
    assert isinstance(config["overrides"], dict)
    assert "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}" in config["endpoints"]


def test_warehouse_narrows_to_one_tenant(client, airports):
    config = json.loads(client.request("GET", f"/iceberg/v1/config?warehouse={TENANT}"))
    prefix = (config["defaults"] | config["overrides"]).get("prefix", "")
    path = "/iceberg/v1" + (f"/{prefix}" if prefix else "")
    load = json.loads(client.request("GET", f"{path}/namespaces/{TENANT}/tables/airports"))
    assert load["metadata"]["format-version"] == 2


def test_a_header_without_a_token(client, airports):
    """PyIceberg without a token sends just this."""
    client.request("GET", f"/iceberg/v1/namespaces/{TENANT}/tables/airports", headers={"Authorization": "Bearer None"})


def test_listings(client, pyiceberg, duckdb, spark, airports):
    assert (TENANT, "airports") in pyiceberg.catalog.list_tables(TENANT)
    assert (TENANT,) in pyiceberg.catalog.list_namespaces()
    assert pyiceberg.catalog.namespace_exists(TENANT)
    assert pyiceberg.catalog.table_exists((TENANT, "airports"))
    assert not pyiceberg.catalog.table_exists((TENANT, "nothing"))
    assert (TENANT, "airports", False) in spark.sql(f"SHOW TABLES IN trine.{TENANT}")
    assert (TENANT,) in spark.sql("SHOW NAMESPACES IN trine")
    assert spark.sql(f"SHOW NAMESPACES IN trine.{TENANT}") == []
    shown = duckdb.sql("SELECT schema, name FROM (SHOW ALL TABLES) WHERE database = 'trine'")
    assert (TENANT, "airports") in shown
    # The empty token asks for the first page.
    body = json.loads(client.request("GET", f"/iceberg/v1/namespaces/{TENANT}/tables?pageToken=&pageSize=1"))
    assert len(body["identifiers"]) == 1


def test_misses(client, airports):
    """A table that is not there is NoSuchTable, also in a namespace that is not
    there: Spark finds acme.flights.files by asking for a namespace acme.flights."""
    for path in (
        f"/namespaces/{TENANT}/tables/nothing",
        "/namespaces/nobody/tables/nothing",
        f"/namespaces/{TENANT}%1Fairports/tables/files",
    ):
        assert _error(client, "GET", path) == (404, "NoSuchTableException")
        assert _error(client, "HEAD", path)[0] == 404
    assert _error(client, "GET", "/namespaces/nobody") == (404, "NoSuchNamespaceException")
    assert _error(client, "GET", "/namespaces/nobody/tables") == (404, "NoSuchNamespaceException")


def test_metadata_tables(spark, airports):
    (rows,) = spark.sql(f"SELECT sum(record_count) FROM {airports.sql('`')}.files WHERE content = 0")
    assert rows == (3376,)
    assert spark.sql(f"SELECT snapshot_id FROM {airports.sql('`')}.snapshots")
    with pytest.raises(Exception, match="TABLE_OR_VIEW_NOT_FOUND"):
        spark.sql("SELECT * FROM trine.nobody.nothing")


def test_schema(pyiceberg, airports):
    schema = pyiceberg.catalog.load_table((TENANT, "airports")).schema()
    assert schema.identifier_field_names() == {"iata"}
    assert [f.name for f in schema.fields] == [*airports.fields(), "_seq", "_time"]
    assert schema.find_field("iata").required
    assert schema.find_field("_seq").required


def test_deletes_are_position_deletes(client, pyiceberg, airports):
    """The one kind of delete that every engine reads."""
    client.write(airports, [{"iata": "SEA"}], op="delete")
    files = pyiceberg.catalog.load_table((TENANT, "airports")).inspect.delete_files()
    assert set(files["content"].to_pylist()) == {1}
    client.write(airports, [{"iata": "SEA"}])


def test_engines_do_not_write(pyiceberg, duckdb, airports):
    table = pyiceberg.catalog.load_table((TENANT, "airports"))
    with pytest.raises(Exception):
        table.append(table.scan(limit=1).to_arrow())
    with pytest.raises(Exception):
        duckdb.sql(f"DELETE FROM {airports.sql()}")
