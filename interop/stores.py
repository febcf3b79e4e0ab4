"""An S3 server for the lake: versitygw, as the tests of internal/blob/s3 have it."""

import os
import re
import subprocess
import time
import urllib.request
from dataclasses import dataclass

from trine import REPO, free_port

START_SECONDS = 30


@dataclass(frozen=True)
class S3:
    """A bucket, and who may use it. Where it is, the catalogue tells the engines."""

    endpoint: str  # http://host:port
    bucket: str = "bucket"
    access_key: str = "judge"
    secret_key: str = "of-the-fake"

    def url(self):
        """The bucket as `trine serve --lake-store` takes it."""
        return f"s3://{self.bucket}/trine?endpoint={self.endpoint}&path_style=true"

    def environment(self):
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def iceberg(self):
        """The credentials as Iceberg's clients take them."""
        return {"s3.access-key-id": self.access_key, "s3.secret-access-key": self.secret_key}


class Versitygw:
    """A running versitygw, with one bucket in a folder."""

    def __init__(self, folder):
        self.s3 = S3(f"http://127.0.0.1:{free_port()}")
        root = os.path.join(folder, "s3")
        os.makedirs(os.path.join(root, self.s3.bucket))
        self._log_path = os.path.join(folder, "versitygw.log")
        self._command = [_versitygw(), "--quiet", "--port", self.s3.endpoint.removeprefix("http://"), "--health", "/health", "posix", root]
        self._process = None

    def start(self):
        env = os.environ | {"ROOT_ACCESS_KEY": self.s3.access_key, "ROOT_SECRET_KEY": self.s3.secret_key}
        with open(self._log_path, "ab") as log:
            self._process = subprocess.Popen(self._command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                with open(self._log_path, errors="replace") as log:
                    raise RuntimeError(f"versitygw does not serve {self.s3.endpoint}:\n{log.read()}")
            time.sleep(0.05)

    def stop(self):
        self._process.kill()
        self._process.wait()

    def _ready(self):
        try:
            with urllib.request.urlopen(self.s3.endpoint + "/health", timeout=1):
                return True
        except OSError:
            return False


def _versitygw():
    """Builds the version that the Go tests pin. `go run` would leave it running when it is killed."""
    with open(os.path.join(REPO, "internal", "blob", "s3", "s3test", "versitygw.go"), encoding="utf-8") as source:
        module = re.search(r'versitygwModule = "([^"]+)"', source.read()).group(1)
    folder = os.path.join(REPO, "interop", ".bin")
    env = os.environ | {"GOBIN": folder, "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    os.makedirs(folder, exist_ok=True)
    # Outside of any module, as its dependencies are its own.
    subprocess.run(["go", "install", module], cwd=folder, env=env, check=True, stdin=subprocess.DEVNULL)
    return os.path.join(folder, "versitygw")
