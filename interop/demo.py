"""The demo collections of the quickstart: their definitions and their rows."""

import csv
import datetime
import os

from trine import QUICKSTART


def field(name, type_, **more):
    return {"name": name, "type": type_, **more}


AIRPORTS = {
    "fields": [
        field("iata", "string", required=True),
        field("name", "string"),
        field("city", "string"),
        field("state", "string"),
        field("country", "string"),
        field("latitude", "double"),
        field("longitude", "double"),
    ],
    "key": ["iata"],
}

WEATHER = {
    "fields": [
        field("location", "string", required=True),
        field("date", "date", required=True),
        field("precipitation", "double"),
        field("temp_max", "double"),
        field("temp_min", "double"),
        field("wind", "double"),
        field("weather", "string"),
    ],
    "key": ["location", "date"],
}

FLIGHTS = {
    "fields": [
        field("date", "timestamp"),
        field("delay", "long"),
        field("distance", "long"),
        field("origin", "string"),
        field("destination", "string"),
    ],
}

_PARSE = {
    "string": str,
    "double": float,
    "long": int,
    "date": datetime.date.fromisoformat,
    "timestamp": datetime.datetime.fromisoformat,
}


def path(name):
    return os.path.join(QUICKSTART, name + ".csv")


def csv_bytes(name):
    with open(path(name), "rb") as f:
        return f.read()


def csv_rows(name, definition):
    """The rows of a file as tuples, read by nothing but Python."""
    parse = [_PARSE[f["type"]] for f in definition["fields"]]
    with open(path(name), encoding="utf-8", newline="") as f:
        lines = csv.reader(f)
        next(lines)
        return [tuple(p(cell) for p, cell in zip(parse, line, strict=True)) for line in lines]


def records(rows, definition):
    """Rows as the objects that NDJSON carries."""
    names = [f["name"] for f in definition["fields"]]
    return [dict(zip(names, row, strict=True)) for row in rows]
