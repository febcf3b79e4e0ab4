"""The server under test, and the little of its HTTP API that the suite uses."""

import functools
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass

from values import SYSTEM_COLUMNS

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
QUICKSTART = os.path.join(REPO, "cmd", "trine", "quickstart", "data")

START_SECONDS = 30
STOP_SECONDS = 30
REQUEST_SECONDS = 120


@functools.cache
def binary():
    """The path of the trine binary: $TRINE_BIN, or one built from this tree."""
    given = os.environ.get("TRINE_BIN")
    if given:
        return os.path.abspath(given)
    path = os.path.join(REPO, "interop", ".bin", "trine")
    subprocess.run(["go", "build", "-o", path, "./cmd/trine"], cwd=REPO, check=True, stdin=subprocess.DEVNULL)
    return path


class Server:
    """One `trine serve` on a data directory; restarts keep its address.

    With s3, a stores.S3, the lake is there, and the rest in the directory. settings
    are of its environment.
    """

    def __init__(self, program, folder, s3=None, settings=None):
        self._program = program
        self._data = os.path.join(folder, "data")
        self._flags = ["--lake-store", s3.url()] if s3 else []
        # Past the deadline an engine gets the snapshot before, which a busy machine would show.
        self._env = os.environ | {"TRINE_FLUSH_DEADLINE": "2m"} | (s3.environment() if s3 else {}) | (settings or {})
        self._log_path = os.path.join(folder, "server.log")
        self._listen = f"127.0.0.1:{free_port()}"
        self._process = None
        self.base = "http://" + self._listen

    def start(self):
        with open(self._log_path, "ab") as log:
            self._process = subprocess.Popen(
                [self._program, "serve", "--data", self._data, "--listen", self._listen, *self._flags],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None:
                raise RuntimeError(f"trine serve ended with {self._process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"trine serve is not ready after {START_SECONDS} s:\n{self.log_tail()}")
            time.sleep(0.05)

    def stop(self):
        """Ends the server as an operator does, and demands a clean exit."""
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"trine serve runs on {STOP_SECONDS} s after SIGTERM:\n{self.log_tail()}") from None
        if code != 0:
            raise RuntimeError(f"trine serve ended with {code} after SIGTERM:\n{self.log_tail()}")

    def kill(self):
        """Ends the server as a crash does."""
        self._process.kill()
        self._process.wait()

    def running(self):
        return self._process is not None and self._process.poll() is None

    def log_tail(self, lines=40):
        with open(self._log_path, errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    def command(self, *args):
        """Runs the command line against this server and gives what it prints."""
        # Flags come last, as in the documentation.
        done = subprocess.run(
            [self._program, *args, "--server", self.base],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"trine {' '.join(args)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _ready(self):
        try:
            with urllib.request.urlopen(self.base + "/readyz", timeout=1):
                return True
        except OSError:
            return False


@dataclass(frozen=True)
class Collection:
    """A collection as its definition has it."""

    tenant: str
    name: str
    definition: dict

    def fields(self):
        return [f["name"] for f in self.definition["fields"]]

    def types(self, columns):
        """The type of each of columns, in their order."""
        known = {f["name"]: f["type"] for f in self.definition["fields"]} | SYSTEM_COLUMNS
        return [known[c] for c in columns]

    def sql(self, quote='"', catalog="trine"):
        """The table's name in a SQL engine."""
        return f"{catalog}.{self.tenant}.{quote}{self.name}{quote}"


class Client:
    """The HTTP API."""

    def __init__(self, base):
        self._base = base

    def apply(self, tenant, name, **definition):
        """Creates or evolves a collection."""
        collection = Collection(tenant, name, definition)
        self.request("PUT", _path(collection), json.dumps(definition).encode(), "application/json")
        return collection

    def drop(self, collection):
        self.request("DELETE", _path(collection))

    def describe(self, collection):
        return json.loads(self.request("GET", _path(collection)))

    def load(self, collection):
        """Loads the table as an engine does, which brings it up to date."""
        return json.loads(self.request("GET", f"/iceberg/v1/namespaces/{collection.tenant}/tables/{collection.name}"))

    def lake(self, collection):
        """How the table stands."""
        return json.loads(self.request("GET", _path(collection) + "/lake"))

    def reports(self, collection, action):
        """Has the server do something, and gives what it reports, line by line."""
        return [json.loads(line) for line in self.request("POST", f"{_path(collection)}/{action}").splitlines()]

    def verified(self, collection):
        """Whether log, index and lake agree."""
        name = urllib.parse.quote(f"{collection.tenant}/{collection.name}", safe="")
        return all(json.loads(line)["ok"] for line in self.request("POST", f"/v1/verify?collection={name}").splitlines())

    def write(self, collection, records, op=None):
        """Writes one atomic batch of records, as NDJSON."""
        lines = "".join(json.dumps(r, allow_nan=False) + "\n" for r in records)
        return self.write_body(collection, lines.encode(), "application/x-ndjson", op)

    def write_body(self, collection, body, content_type, op=None):
        path = _path(collection) + "/records" + (f"?op={op}" if op else "")
        return json.loads(self.request("POST", path, body, content_type))

    def record(self, collection, *key):
        """One record by its key, or None."""
        parts = "/".join(urllib.parse.quote(str(k), safe="") for k in key)
        try:
            return json.loads(self.request("GET", f"{_path(collection)}/records/{parts}"))
        except urllib.error.HTTPError as err:
            if err.code == 404:
                return None
            raise

    def scan_url(self, collection, columns=None, **params):
        if columns is not None:
            params["columns"] = ",".join(columns)
        return f"{self._base}{_path(collection)}/scan?{urllib.parse.urlencode(params)}"

    def request(self, method, path, body=None, content_type=None, headers=None):
        headers = dict(headers or {})
        if content_type:
            headers["Content-Type"] = content_type
        request = urllib.request.Request(self._base + path, data=body, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as answer:
                return answer.read()
        except urllib.error.HTTPError as err:
            err.add_note(err.read().decode(errors="replace"))
            raise


def _path(collection):
    return f"/v1/tenants/{collection.tenant}/collections/{collection.name}"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
