"""Reads one table from Trine and from its peers, in turns: `make bench-peers`.

All answer the same rows from the same Parquet files, on this machine, to the same
reader, pyarrow. The peers are a Flight server of pyarrow's, in a process of its own,
and ClickHouse, which as chdb is in this process and writes ArrowStream to memory:
it has neither a server nor a socket, so its figure is what ClickHouse spends on
reading and encoding alone.
"""

import argparse
import glob
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import chdb
import numpy
import pyarrow
import pyarrow.dataset
import pyarrow.flight
import pyarrow.parquet

import trine

BATCH_ROWS = 65_536
FLUSH_SECONDS = 300
FIELDS = [
    {"name": "id", "type": "long", "required": True},
    {"name": "carrier", "type": "string"},
    {"name": "number", "type": "int"},
    {"name": "origin", "type": "string"},
    {"name": "dest", "type": "string"},
    {"name": "departure", "type": "timestamptz"},
    {"name": "delay", "type": "double"},
    {"name": "distance", "type": "long"},
    {"name": "tail", "type": "string"},
    {"name": "cancelled", "type": "boolean"},
]
NAMES = [f["name"] for f in FIELDS]
TWO = ["id", "delay"]


def flights(seed, first, count):
    """Some rows as a table; the same seed and first give the same."""
    random = numpy.random.default_rng([seed, first])
    ids = numpy.arange(first, first + count)

    def words(pattern, number):
        values = pyarrow.array([pattern % i for i in range(number)])
        return values.take(pyarrow.array(random.integers(0, number, count)))

    return pyarrow.table(
        {
            "id": pyarrow.array(ids),
            "carrier": words("C%d", 14),
            "number": pyarrow.array(random.integers(0, 6000, count).astype("int32")),
            "origin": words("A%02d", 300),
            "dest": words("A%02d", 300),
            "departure": pyarrow.array(1_600_000_000_000_000 + ids * 60_000_000).cast(pyarrow.timestamp("us", "UTC")),
            "delay": pyarrow.array(random.integers(-100, 1900, count) / 10),
            "distance": pyarrow.array(random.integers(0, 2500, count)),
            "tail": words("N%05d", 5000),
            "cancelled": pyarrow.array(random.integers(0, 50, count) == 0),
        }
    )


def fill(client, seed, rows):
    """A collection with a table, all of it in data files."""
    collection = client.apply("bench", "flights", fields=FIELDS, key=["id"])
    for first in range(0, rows, BATCH_ROWS):
        table = flights(seed, first, min(BATCH_ROWS, rows - first))
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, table.schema) as out:
            out.write_table(table)
        client.write_body(collection, sink.getvalue().to_pybytes(), "application/vnd.apache.arrow.stream")
    return collection


def table_files(client, collection, folder, rows):
    """The table's data files, once they have all the rows: a load waits for a flush
    only so long."""
    deadline = time.monotonic() + FLUSH_SECONDS
    while True:
        try:
            client.load(collection)
        except urllib.error.HTTPError as err:
            if err.code != 503:
                raise
        files = sorted(glob.glob(os.path.join(folder, "data", "lake", "**", "*.parquet"), recursive=True))
        held = sum(pyarrow.parquet.read_metadata(f).num_rows for f in files)
        if held == rows:
            return files
        if time.monotonic() > deadline:
            raise RuntimeError(f"the table has {held} of {rows} rows after {FLUSH_SECONDS} s")
        time.sleep(0.5)


class Rows:
    """A Flight server that streams columns of Parquet files."""

    @staticmethod
    def serve(files):
        class Server(pyarrow.flight.FlightServerBase):
            def do_get(self, context, ticket):
                columns = ticket.ticket.decode().split(",")
                scanner = pyarrow.dataset.dataset(files, format="parquet").scanner(columns=columns, batch_size=BATCH_ROWS)
                return pyarrow.flight.RecordBatchStream(scanner.to_reader())

        server = Server("grpc://127.0.0.1:0")
        print(server.port, flush=True)
        server.serve()

    def __init__(self, files):
        self._process = subprocess.Popen([sys.executable, __file__, "--flight", *files], stdout=subprocess.PIPE, text=True)
        self._client = pyarrow.flight.connect(f"grpc://127.0.0.1:{int(self._process.stdout.readline())}")

    def read(self, columns):
        reader = self._client.do_get(pyarrow.flight.Ticket(",".join(columns).encode()))
        return sum(chunk.data.num_rows for chunk in reader)

    def close(self):
        self._client.close()
        self._process.kill()
        self._process.wait()


def clickhouse(folder, columns):
    """Reads as ClickHouse does, and decodes what it wrote."""
    names = ", ".join(f'"{c}"' for c in columns)
    answer = chdb.query(f"SELECT {names} FROM file('{folder}/*.parquet', Parquet)", "ArrowStream")
    return count(pyarrow.BufferReader(answer.bytes()))


def count(stream):
    with pyarrow.ipc.open_stream(stream) as reader:
        return sum(batch.num_rows for batch in reader)


def measure(readers, want, rounds):
    """Seconds of each reader, in turns; the first round warms up."""
    took = {name: [] for name in readers}
    for n in range(rounds + 1):
        names = list(readers) if n % 2 else list(readers)[::-1]
        for name in names:
            begin = time.perf_counter()
            got = readers[name]()
            seconds = time.perf_counter() - begin
            if got != want:
                raise RuntimeError(f"{name} gave {got} rows, want {want}")
            if n:
                took[name].append(seconds)
    return took


def report(what, took, rows):
    ours = took["trine"]
    for name, seconds in took.items():
        ratios = sorted(s / o for s, o in zip(seconds, ours, strict=True))
        quarter = len(ratios) // 4
        print(
            f"{what:12} {name:38} {rows / statistics.median(seconds) / 1e6:8.2f} M rows/s"
            f"   Trine is {statistics.median(ratios):5.2f} times as fast ({ratios[quarter]:.2f}-{ratios[-1 - quarter]:.2f})"
        )


def main():
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--rows", type=int, default=3_000_000)
    parse.add_argument("--rounds", type=int, default=9)
    parse.add_argument("--seed", type=int, default=1)
    parse.add_argument("--flight", nargs="+", help=argparse.SUPPRESS)
    options = parse.parse_args()
    if options.flight:
        Rows.serve(options.flight)
        return
    with tempfile.TemporaryDirectory(prefix="trine-peers-") as folder:
        server = trine.Server(trine.binary(), folder)
        server.start()
        try:
            compare(server, folder, options)
        finally:
            server.kill()


def compare(server, folder, options):
    client = trine.Client(server.base)
    collection = fill(client, options.seed, options.rows)
    files = table_files(client, collection, folder, options.rows)
    print(f"{options.rows} rows in {len(files)} files, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    peer = Rows(files)
    try:
        for what, columns in {"all columns": NAMES, "two columns": TWO}.items():
            url = client.scan_url(collection, columns)
            readers = {
                "trine": lambda url=url: count(urllib.request.urlopen(url)),
                "Arrow Flight (pyarrow)": lambda columns=columns: peer.read(columns),
                "ClickHouse (chdb, in process, no HTTP)": lambda columns=columns: clickhouse(os.path.dirname(files[0]), columns),
            }
            report(what, measure(readers, options.rows, options.rounds), options.rows)
    finally:
        peer.close()


if __name__ == "__main__":
    main()
