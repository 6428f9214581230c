"""The S3 server of the lab: where the servers keep large messages, if that is asked for."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from zajil.core.errors import Refused, Unavailable

EMBEDDED = "embedded"
"""The word for the S3 server that is installed with the tests, instead of an address."""

_BUCKET = "mail"
_START_SECONDS = 60.0
_LOOK_SECONDS = 0.1
# The server ends with the lab, however that ends: its input is a pipe that only the lab holds.
_SERVE = """
import sys, threading
from moto.server import main
threading.Thread(target=main, args=[sys.argv[1:]], daemon=True).start()
sys.stdin.read()
"""


class NoObjects(Unavailable):
    """The S3 server that was asked for cannot be had; the text is one sentence."""


class BadObjectsPlace(Refused):
    """``--s3`` is no place; the text is one sentence."""


class LabObjects:
    """Gives each domain its options of S3; holds the embedded server until ``close``."""

    def __init__(self, place: str | None, folder: Path, port: int) -> None:
        """Start the embedded server, if that is what was asked for.

        Args:
            place: ``embedded``, http(s)://KEY:SECRET@HOST/BUCKET[/PREFIX], s3://BUCKET[/PREFIX],
                or ``None``: messages stay in files and in the database.
            folder: for the log of the embedded server.
            port: of 127.0.0.1, for the embedded server.

        Raises:
            NoObjects: the server is missing, or does not start.
            BadObjectsPlace: ``place`` is something else.
        """
        self._server: subprocess.Popen[bytes] | None = None
        self._access: dict[str, str] = {}
        self._bucket = ""
        if place == EMBEDDED:
            self._start(folder, port)
            endpoint = f"http://127.0.0.1:{port}/"
            self._access = _access(endpoint, "lab", "lab")
            self._bucket = _BUCKET
        elif place is not None:
            self._bucket, self._access = split_place(place)

    def options(self, name: str) -> dict[str, Any]:
        """Return what the group ``store`` of a domain has more; ``name`` is nobody else's."""
        if not self._bucket:
            return {}
        return {
            "blobs": f"s3://{self._bucket}/{name}",
            **({"s3": self._access} if self._access else {}),
        }

    def close(self) -> None:
        """Stop the embedded server; what it holds is lost."""
        if self._server is not None and self._server.stdin is not None:
            self._server.stdin.close()
            self._server.wait()
            self._server = None

    def _start(self, folder: Path, port: int) -> None:
        if importlib.util.find_spec("moto") is None:
            raise NoObjects(
                "--s3 embedded needs the package moto and its server: pip install 'moto[s3,server]'"
            )
        log = folder / "s3.log"
        with log.open("ab") as output:
            self._server = subprocess.Popen(  # noqa: S603 (a program of our own)
                [sys.executable, "-c", _SERVE, "-H", "127.0.0.1", "-p", str(port)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches the lab alone
            )
        url = f"http://127.0.0.1:{port}/{_BUCKET}"
        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                request = urllib.request.Request(url, method="PUT")
                urllib.request.urlopen(request).close()  # noqa: S310 (http, our own)
                return
            except OSError as error:
                if time.monotonic() > end:
                    self.close()
                    raise NoObjects(f"the embedded S3 server does not start: see {log}") from error
            time.sleep(_LOOK_SECONDS)


def split_place(place: str) -> tuple[str, dict[str, str]]:
    """Return bucket and prefix, and the options of access to them.

    Raises:
        BadObjectsPlace: it is no address of a bucket.
    """
    try:
        parts = urlsplit(place)
        bucket = parts.path.strip("/")
        if parts.scheme == "s3" and parts.netloc:
            return f"{parts.netloc}/{bucket}".rstrip("/"), {}
        if parts.scheme in ("http", "https") and parts.hostname and bucket:
            host = parts.netloc.rpartition("@")[2]
            endpoint = f"{parts.scheme}://{host}/"
            return bucket, _access(
                endpoint, unquote(parts.username or ""), unquote(parts.password or "")
            )
    except ValueError:
        pass
    raise BadObjectsPlace(
        f"--s3 {place}: use `embedded`, s3://BUCKET or https://KEY:SECRET@HOST/BUCKET"
    )


def _access(endpoint: str, key: str, secret: str) -> dict[str, str]:
    keys = {"access_key": key, "secret_key": secret} if key else {}
    return {"endpoint": endpoint, "region": "us-east-1", **keys}
