"""How much longer an engine scans a table of which a fifth of the rows was updated.

Makes tables of flights in pairs. One has 20% of its rows updated, in flushes of 2% or
more scattered over all, and is left as it is: upkeep is off. The other has as many rows,
each written once, so that nothing is deleted and nothing left to merge: what the best
compaction leaves. DuckDB and Spark scan all columns of the two in turns, by the Iceberg
REST catalogue, and what is told is the one's time by the other's: the median of the
turns, and their quartiles. Tables of format version 2 have position deletes, of version
3 deletion vectors.

    interop/.venv/bin/python interop/updated_scan.py --rows 500000 --flushes 10 --rounds 15

It is no test: times are those of the machine. It ends with 1 when rows are missing.
"""

import argparse
import io
import os
import random
import statistics
import sys
import tempfile
import time

import pyarrow

import demo
import engines
import trine

TENANT = "updated"
STEPS = 10  # batches of updates
SHARE = 50  # each updates one row in so many
BATCH = 100_000  # rows of a request

FIELDS = [
    demo.field("id", "long", required=True),
    demo.field("carrier", "string"),
    demo.field("number", "int"),
    demo.field("origin", "string"),
    demo.field("dest", "string"),
    demo.field("departure", "timestamptz"),
    demo.field("delay", "double"),
    demo.field("distance", "long"),
    demo.field("tail", "string"),
    demo.field("cancelled", "boolean"),
]

# All columns are read, and little is computed.
QUERY = """SELECT count(*), sum(id), count(carrier), sum(number), max(origin), max(dest), max(departure),
    sum(delay), sum(distance), max(tail), count(cancelled) FROM {table}"""


def flights(ids, seed):
    """The rows of some ids, as the bytes of an Arrow stream."""
    r = random.Random(seed)
    n = len(ids)

    def strings(form, most):
        return [form % r.randrange(most) for _ in range(n)]

    batch = pyarrow.record_batch(
        {
            "id": pyarrow.array(ids, pyarrow.int64()),
            "carrier": strings("C%d", 14),
            "number": pyarrow.array([r.randrange(6000) for _ in range(n)], pyarrow.int32()),
            "origin": strings("A%02d", 300),
            "dest": strings("A%02d", 300),
            "departure": pyarrow.array([1_600_000_000_000_000 + i * 60_000_000 for i in ids], pyarrow.timestamp("us", "UTC")),
            "delay": [r.randrange(-100, 1900) / 10 for _ in range(n)],
            "distance": pyarrow.array([r.randrange(2500) for _ in range(n)], pyarrow.int64()),
            "tail": strings("N%05d", 5000),
            "cancelled": [r.randrange(50) == 0 for _ in range(n)],
        }
    )
    out = io.BytesIO()
    with pyarrow.ipc.new_stream(out, batch.schema) as stream:
        stream.write_batch(batch)
    return out.getvalue()


def make(client, name, lake_format, rows, flushes):
    """A table of which a fifth of the rows are updated in so many flushes, or none."""
    table = client.apply(TENANT, name, fields=FIELDS, key=["id"], options={"lake_format": lake_format})
    write = lambda ids, seed: client.write_body(table, flights(ids, seed), "application/vnd.apache.arrow.stream")
    for at in range(0, rows, BATCH):
        write(range(at, min(at + BATCH, rows)), at)
    client.load(table)
    for step in range(STEPS if flushes else 0):
        write(range(step * 5, rows, SHARE), step + 1)
        if (step + 1) * flushes % STEPS < flushes:
            client.load(table)
    return table


def measure(engine, tables, quote, rounds):
    """The quotients of the times of two tables, and the medians of these in seconds."""
    times = ([], [])
    for turn in range(rounds + 1):
        took, answers = [0, 0], [None, None]
        for i in (0, 1) if turn % 2 else (1, 0):
            start = time.perf_counter()
            answers[i] = engine.sql(QUERY.format(table=tables[i].sql(quote)))
            took[i] = time.perf_counter() - start
        if repr(answers[0][0][:2]) != repr(answers[1][0][:2]):
            sys.exit(f"{engine.name}: {answers[0]} of the updated table, {answers[1]} of the other")
        if turn:  # the first warms up
            times[0].append(took[0])
            times[1].append(took[1])
    quotients = [a / b for a, b in zip(*times, strict=True)]
    return quotients, [statistics.median(t) for t in times]


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--rows", type=int, default=500_000)
    args.add_argument("--flushes", type=int, default=STEPS, choices=range(1, STEPS + 1), help="that the updates come in")
    args.add_argument("--rounds", type=int, default=15)
    args = args.parse_args()
    os.environ["TRINE_LAKE_UPKEEP"] = "off"
    os.environ["TRINE_FLUSH_BYTES"] = str(1 << 40)  # flushes are those of loads
    os.environ["TRINE_FLUSH_DEADLINE"] = "100s"
    os.environ["TZ"] = "UTC"
    with tempfile.TemporaryDirectory() as folder:
        server = trine.Server(trine.binary(), folder)
        server.start()
        try:
            run(server, args)
        finally:
            server.stop()


def run(server, args):
    client = trine.Client(server.base)
    pairs = {}
    for lake_format in (2, 3):
        pairs[lake_format] = tuple(make(client, f"{name}{lake_format}", lake_format, args.rows, n) for name, n in (("updated", args.flushes), ("once", 0)))
        for table in pairs[lake_format]:
            status = client.lake(table)
            print(f"v{lake_format} {table.name}: " + ", ".join(f"{k} {status[k]}" for k in ("files", "rows", "deleted_rows", "bytes") if k in status))
    for engine, quote in ((engines.DuckDB(server.base), '"'), (engines.Spark(server.base), "`")):
        for lake_format, tables in pairs.items():
            quotients, seconds = measure(engine, tables, quote, args.rounds)
            low, middle, high = statistics.quantiles(quotients, n=4)
            print(
                f"{engine.name}, v{lake_format}: {middle:.2f} ({low:.2f}-{high:.2f}) times as long; "
                f"{seconds[0]:.3f} s and {seconds[1]:.3f} s, {args.rounds} rounds, load {os.getloadavg()[0]:.0f}",
                flush=True,
            )
        engine.close()


if __name__ == "__main__":
    main()
