"""S3 servers for tests, and a proxy in front of one that fails as networks and services do."""

from __future__ import annotations

import logging
import os
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from zajil.config.options_s3 import StoreS3Options
from zajil.store.blobs.bucket import Bucket

BUCKET = "mail"
_PIECE = 65_536


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server that runs, and what a client has to know."""

    endpoint: str
    access_key: str = "me"
    secret_key: str = "word"
    region: str = "us-east-1"

    def new_place(self) -> str:
        """Return a prefix that nobody uses."""
        return f"s3://{BUCKET}/{os.urandom(6).hex()}"

    def empty(self, place: str) -> None:
        """Delete all objects of a prefix."""
        limit = timedelta(seconds=60)
        bucket = Bucket(place, self.options(), timeout=limit, retry=limit, retries=2)
        bucket.delete_all([one.name for one in bucket.list()])

    def options(self, **fields: Any) -> StoreS3Options:
        """Return ``store.s3``."""
        return StoreS3Options(
            endpoint=self.endpoint,
            region=self.region,
            access_key=self.access_key,
            secret_key=self.secret_key,
        ).model_copy(update=fields)

    def store_options(self, place: str, **fields: Any) -> dict[str, Any]:
        """Return fields of ``StoreOptions`` for a store with objects in ``place``."""
        return {"blobs": place, "s3": self.options(), "inline_limit": 1000, **fields}


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """Run the server of moto in threads of this process."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}/"
    urllib.request.urlopen(urllib.request.Request(f"{url}{BUCKET}", method="PUT")).close()  # noqa: S310
    yield S3Server(url)
    server.stop()


class FaultyProxy:
    """Passes connections on to a server, until it is told to fail."""

    def __init__(self, server: S3Server) -> None:
        """Begin to listen.

        Args:
            server: behind it.
        """
        host, _, port = server.endpoint.removeprefix("http://").strip("/").partition(":")
        self._behind = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self.fault = ""
        """"": none; "hang": nothing is answered; "refuse": connections are closed; "cut": an answer
        ends in its middle; "wrong": some bytes at the end of an answer are others; "503", "403":
        this is answered."""
        self.connections = 0
        """That came so far."""
        host, port = self._listener.getsockname()
        self.server = S3Server(
            f"http://{host}:{port}/", server.access_key, server.secret_key, server.region
        )
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def break_off(self) -> None:
        """Close all connections."""
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.break_off()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._behind) as server:
            self._open |= {client, server}
            try:
                back = threading.Thread(target=self._pass_back, args=(server, client), daemon=True)
                back.start()
                while request := client.recv(_PIECE):
                    if self.fault == "refuse":
                        return
                    if self.fault == "hang":
                        continue
                    if self.fault in ("503", "403"):
                        head = f"HTTP/1.1 {self.fault} No\r\nContent-Length: 0\r\n"
                        client.sendall(f"{head}Connection: close\r\n\r\n".encode())
                        client.shutdown(socket.SHUT_WR)
                        while client.recv(_PIECE):
                            pass
                        return
                    server.sendall(request)
            finally:
                self._open -= {client, server}
                with suppress(OSError):
                    server.shutdown(socket.SHUT_RDWR)

    def _pass_back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while answer := server.recv(_PIECE):
                if self.fault == "cut":
                    client.sendall(answer[: len(answer) // 2])
                    client.shutdown(socket.SHUT_RDWR)
                    return
                if self.fault == "wrong" and len(answer) > 2000:
                    answer = answer[:-9] + bytes(9)
                client.sendall(answer)
            client.shutdown(socket.SHUT_RDWR)
