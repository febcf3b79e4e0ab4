"""A `trine serve` of this tree, as a process."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]
SAMPLES = REPO / "cmd" / "trine" / "quickstart" / "data"
SECONDS = 30


@functools.cache
def binary() -> Path:
    """$TRINE_BIN, or what this tree builds."""
    if given := os.environ.get("TRINE_BIN"):
        return Path(given).resolve()
    path = REPO / "interop" / ".bin" / "trine"
    subprocess.run(["go", "build", "-o", path, "./cmd/trine"], cwd=REPO, check=True, stdin=subprocess.DEVNULL)
    return path


class Server:
    """One server on a data directory; restarts keep its address."""

    def __init__(self, program: Path, folder: Path, *flags: str) -> None:
        self._command = [str(program), "serve", "--data", str(folder / "data"), *flags]
        self._log = folder / "server.log"
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self._listen = f"127.0.0.1:{s.getsockname()[1]}"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://{self._listen}"

    def start(self) -> None:
        """Returns when the server is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "--listen", self._listen], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"trine serve does not start:\n{self._log.read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends the server as an operator does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        if self._process.wait(SECONDS) != 0:
            raise RuntimeError(f"trine serve ends badly:\n{self._log.read_text()}")
        self._process = None

    def kill(self) -> None:
        """Ends the server as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/readyz", timeout=1):
                return True
        except OSError:
            return False
