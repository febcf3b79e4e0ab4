"""The scan stream: what every Arrow reader may rely on."""

import io
import urllib.error
import urllib.request

import polars
import pyarrow
import pytest

import demo

TENANT = "interop"
STREAM = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def airports(client):
    airports = client.apply(TENANT, "streamed", **demo.AIRPORTS)
    client.write_body(airports, demo.csv_bytes("airports"), "text/csv")
    return airports


def _open(client, airports, columns=None, **params):
    return urllib.request.urlopen(client.scan_url(airports, columns, **params))


def test_last_batch_proves_completeness(client, airports):
    with _open(client, airports) as answer:
        assert answer.headers.get_content_type() == STREAM
        stream = pyarrow.ipc.open_stream(answer)
        batches = []
        while True:
            try:
                batches.append(stream.read_next_batch_with_custom_metadata())
            except StopIteration:
                break
    last = batches[-1]
    assert last.batch.num_rows == 0
    assert last.custom_metadata[b"trine.complete"] == b"true"
    assert int(last.custom_metadata[b"trine.rows"]) == 3376 == sum(b.batch.num_rows for b in batches)
    assert all(b.batch.num_rows > 0 for b in batches[:-1])


def test_columns_are_the_fields_by_default(client, airports):
    with _open(client, airports) as answer:
        table = pyarrow.ipc.open_stream(answer).read_all()
    assert table.column_names == airports.fields()
    with _open(client, airports, ["_seq", "iata"]) as answer:
        table = pyarrow.ipc.open_stream(answer).read_all()
    assert set(table.column_names) == {"_seq", "iata"}


def test_limit(client, airports):
    with _open(client, airports, limit=7) as answer:
        assert pyarrow.ipc.open_stream(answer).read_all().num_rows == 7


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_compressed_when_asked(client, airports, codec):
    request = urllib.request.Request(
        client.scan_url(airports), headers={"Accept": f'{STREAM}; codecs="{codec}"'}
    )
    with urllib.request.urlopen(request) as answer:
        assert pyarrow.ipc.open_stream(answer).read_all().num_rows == 3376


def test_other_names_of_the_scan(client, airports):
    """scan.arrows is the same stream; scan.arrow is the file form."""
    url = client.scan_url(airports).replace("/scan?", "/scan.arrows?")
    with urllib.request.urlopen(url) as answer:
        assert polars.read_ipc_stream(answer).height == 3376
    url = client.scan_url(airports).replace("/scan?", "/scan.arrow?")
    with urllib.request.urlopen(url) as answer:
        body = answer.read()
        assert int(answer.headers["Content-Length"]) == len(body)
    assert pyarrow.ipc.open_file(io.BytesIO(body)).read_all().num_rows == 3376
    assert polars.read_ipc(io.BytesIO(body)).height == 3376


def test_arrow_goes_in_as_it_came_out(client, airports, agree):
    """A stream that was read can be written to another collection."""
    with _open(client, airports) as answer:
        body = answer.read()
    copy = client.apply(TENANT, "streamed_copy", **demo.AIRPORTS)
    client.write_body(copy, body, STREAM)
    agree(copy, demo.csv_rows("airports", demo.AIRPORTS))


def test_arrow_from_polars(client, agree):
    """polars writes its own string type and another unit of time."""
    frame = polars.read_csv(demo.path("flights"), try_parse_dates=True).head(1000)
    body = io.BytesIO()
    frame.with_columns(polars.col("date").cast(polars.Datetime("ms"))).write_ipc_stream(body)
    flights = client.apply(TENANT, "from_polars", **demo.FLIGHTS)
    client.write_body(flights, body.getvalue(), STREAM)
    agree(flights, demo.csv_rows("flights", demo.FLIGHTS)[:1000])


@pytest.mark.parametrize("params", [{"where": "altitude > 3"}, {"where": "latitude > 'x'"}, {"columns": "altitude"}])
def test_bad_request_before_the_first_byte(client, airports, params):
    with pytest.raises(urllib.error.HTTPError) as caught:
        _open(client, airports, **params)
    assert caught.value.code == 400
    assert caught.value.headers.get_content_type() == "application/problem+json"
