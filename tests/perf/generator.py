"""Load on an SMTP server, as cheap as Python can make it: plain, STARTTLS, TLS from the first byte.

``python tests/perf/generator.py 127.0.0.1:2525 --mails 1000 --tls starttls --resume``

One thread, one epoll, sockets without a wrapper, bytes that are rendered once: about as much CPU
for a mail as Postfix's smtp-source takes, most of it in the kernel. It ends with an error at the
first reply that is not what it asked for; so a figure means that all mails got their 250.

With ``--wait`` it prints ``ready`` when everything is prepared and begins at the next line on
stdin: ``bench.py`` starts several and lets them go together. The last line is one of JSON.
"""

from __future__ import annotations

import argparse
import errno
import gc
import itertools
import json
import os
import select
import socket
import sys
import time
from contextlib import suppress
from dataclasses import MISSING, asdict, fields

from OpenSSL import SSL

from plan import QUIT, Plan, Sent, Step, head, mails_in_turn, opening

_SILENCE_SECONDS = 30.0
"""A server that sends nothing for this time has failed the test."""
_READ_SIZE = 65536


class Refused(Exception):
    """The server did not send the expected reply, or none at all."""


class Generator:
    """Sends one plan to one server."""

    def __init__(self, address: str, plan: Plan) -> None:
        host, _, port = address.rpartition(":")
        self.address = (host, int(port))
        self.plan = plan
        self.opening = opening(plan)
        self.mails = itertools.cycle(mails_in_turn(plan))
        self.head = head(plan)
        self.context = _context(plan.tls_version)
        self.session: SSL.Session | None = None
        """What connections resume; ``None``: each begins anew."""
        self.epoll = select.epoll()
        self.open: dict[int, _Connection] = {}
        self.unsent = 0
        self.serial = 0
        self.number = os.getpid()
        self.connections = 0
        self.resumed = 0
        self.waits: list[float] = []
        self.end = 0.0

    def run(self) -> Sent:
        """Send everything.

        Raises:
            Refused: a reply was not the one asked for, or did not come.
            OSError: the connection failed.
        """
        self.unsent, self.waits, self.connections, self.resumed = self.plan.mails, [], 0, 0
        begin, cpu = time.monotonic(), time.process_time()
        for _ in range(min(self.plan.sessions, self.plan.mails)):
            self.connect()
        self._loop()
        cpu = time.process_time() - cpu
        waits = sorted(self.waits)
        percentiles = [waits[int(part * (len(waits) - 1))] * 1000 for part in (0.5, 0.99, 1.0)]
        count = len(waits)
        return Sent(count, begin, self.end, cpu * 1e6, self.connections, self.resumed, percentiles)

    def fetch_session(self) -> None:
        """Send one mail, and keep its TLS session for later connections to resume."""
        self.unsent = 1
        self.connect()
        (connection,) = self.open.values()
        self._loop()
        self.session = connection.session

    def connect(self) -> None:
        """Open one connection, if there is still a mail to send."""
        if not self.unsent:
            return
        self.unsent -= 1
        self.connections += 1
        connection = _Connection(self)
        self.open[connection.descriptor] = connection

    def close(self) -> None:
        """Cut what is still open."""
        for connection in self.open.values():
            connection.sock.close()
        self.open.clear()
        self.epoll.close()

    def _loop(self) -> None:
        connections, poll = self.open, self.epoll.poll
        while connections:
            ready = poll(_SILENCE_SECONDS)
            if not ready:
                raise Refused(f"no answer for {_SILENCE_SECONDS:.0f} s")
            for descriptor, happened in ready:
                if happened & select.EPOLLOUT:
                    connections[descriptor].flush()
                if happened & ~select.EPOLLOUT:
                    connections[descriptor].read()


class _Connection:
    """One connection, from connect() to the reply to QUIT."""

    __slots__ = (
        "awaited",
        "begin",
        "descriptor",
        "generator",
        "handshaking",
        "mails",
        "position",
        "received",
        "rest",
        "session",
        "sock",
        "steps",
        "tls",
    )

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.steps = generator.opening
        self.position = 0
        self.awaited: tuple[bytes, ...] = ()
        self.received = b""
        self.rest = b""
        """Of what is to be sent."""
        self.mails = 0
        self.tls: SSL.Connection | None = None
        self.session: SSL.Session | None = None
        self.handshaking = False
        self.begin = time.monotonic()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.descriptor = self.sock.fileno()
        status = self.sock.connect_ex(generator.address)
        if status not in (0, errno.EINPROGRESS):
            raise OSError(status, os.strerror(status))
        generator.epoll.register(self.descriptor, select.EPOLLIN)
        self._next()

    # ---- bytes --------------------------------------------------------------------------------

    def read(self) -> None:
        """Take what came; go on once all replies are there."""
        try:
            data = self.sock.recv(_READ_SIZE)
        except BlockingIOError:
            return
        if not data:
            raise Refused(f"the server closed the connection; wanted {self.awaited!r}")
        if self.tls is not None:
            data = self._decrypt(self.tls, data)
            if not data:
                return
        if self.received:
            data = self.received + data
        if self._complete(data):
            self.received = b""
            self._next()
        else:
            self.received = data

    def flush(self) -> None:
        """Send what did not fit before."""
        rest, self.rest = self.rest, b""
        self.generator.epoll.modify(self.descriptor, select.EPOLLIN)
        self._send(rest)

    def _say(self, data: bytes) -> None:
        if self.tls is not None:
            self.tls.sendall(data)
            # What TLS adds: some bytes for each record, which holds up to 16 KiB.
            data = self.tls.bio_read(len(data) + len(data) // 256 + 4096)
        self._send(data)

    def _send(self, data: bytes) -> None:
        try:
            count = self.sock.send(data)
        except BlockingIOError:
            count = 0
        if count < len(data):
            self.rest = data[count:]
            self.generator.epoll.modify(self.descriptor, select.EPOLLIN | select.EPOLLOUT)

    def _complete(self, data: bytes) -> bool:
        """Whether all replies have come; the last line of each is ``NNN text``."""
        if data[-2:] != b"\r\n":
            return False
        awaited = self.awaited
        if len(awaited) == 1:
            start = data.rfind(b"\n", 0, -2) + 1
            codes = [data[start : start + 3]] if data[start + 3 : start + 4] != b"-" else []
        else:
            codes = [line[:3] for line in data.split(b"\r\n")[:-1] if line[3:4] != b"-"]
        if tuple(codes) == awaited:
            return True
        if tuple(codes) == awaited[: len(codes)]:
            return False
        raise Refused(f"wanted {b' '.join(awaited).decode()}, got {data!r}")

    # ---- the dialogue -------------------------------------------------------------------------

    def _next(self) -> None:
        """Begin the next step; behind the last one, what comes after."""
        if self.position == len(self.steps):
            if self.steps is QUIT:
                self._finish()
                return
            self.steps, self.position = self._after(), 0
        step = self.steps[self.position]
        self.position += 1
        self.awaited = step.expect
        if step.handshake:
            self._begin_tls()
        elif step.send:
            self._say(self._words(step))

    def _after(self) -> tuple[Step, ...]:
        generator, steps = self.generator, self.steps
        if steps is generator.opening:
            return next(generator.mails)
        generator.end = now = time.monotonic()
        generator.waits.append(now - self.begin)
        self.mails += 1
        if generator.unsent and self.mails != generator.plan.per_connection:
            generator.unsent -= 1
            self.begin = now
            return next(generator.mails)
        return QUIT

    def _words(self, step: Step) -> bytes:
        generator = self.generator
        if not step.is_message:
            return step.send
        # Each message has a Message-ID of its own.
        generator.serial += 1
        return b"%s%x.%x%s" % (generator.head, generator.number, generator.serial, step.send)

    def _finish(self) -> None:
        generator = self.generator
        if self.tls is not None:
            if generator.plan.resume and generator.session is None:
                self.session = self.tls.get_session()
            # Or OpenSSL takes the end for a fault, and forgets the session.
            self.tls.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)
        del generator.open[self.descriptor]
        self.sock.close()
        generator.connect()

    # ---- TLS ----------------------------------------------------------------------------------

    def _begin_tls(self) -> None:
        generator = self.generator
        self.tls = SSL.Connection(generator.context, None)
        self.tls.set_connect_state()
        if generator.session is not None:
            self.tls.set_session(generator.session)
        self.handshaking = True
        self._shake_hands(self.tls)

    def _shake_hands(self, tls: SSL.Connection) -> None:
        with suppress(SSL.WantReadError):
            tls.do_handshake()
            self.handshaking = False
            # The certificate was looked at, unless the session was resumed.
            self.generator.resumed += tls.get_app_data() is None
            greeting = self.steps[self.position - 1].send
            if greeting:
                # It travels with the last bytes of the handshake.
                tls.sendall(greeting)
        with suppress(SSL.WantReadError):
            self._send(tls.bio_read(_READ_SIZE))

    def _decrypt(self, tls: SSL.Connection, data: bytes) -> bytes:
        tls.bio_write(data)
        if self.handshaking:
            self._shake_hands(tls)
            if self.handshaking:
                return b""
        pieces = []
        with suppress(SSL.WantReadError, SSL.ZeroReturnError):
            while True:
                pieces.append(tls.recv(_READ_SIZE))
        return b"".join(pieces)


def _context(version: str) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    number = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}[version]
    context.set_min_proto_version(number)
    context.set_max_proto_version(number)

    def see_certificate(tls: SSL.Connection, *_: object) -> bool:
        # Opportunistic, as one server speaks to another: any certificate will do.
        tls.set_app_data(True)
        return True

    context.set_verify(SSL.VERIFY_NONE, see_certificate)
    return context


def main() -> int:
    """Send what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("address", help="HOST:PORT, the host as an IPv4 address")
    for field in fields(Plan):
        name, default = f"--{field.name.replace('_', '-')}", field.default
        if default is False:
            parser.add_argument(name, action="store_true")
        else:
            kind = int if default is MISSING else type(default)
            parser.add_argument(name, type=kind, default=100 if default is MISSING else default)
    parser.add_argument("--wait", action="store_true", help="begin at a line on stdin")
    arguments = vars(parser.parse_args())
    address, wait = arguments.pop("address"), arguments.pop("wait")
    generator = Generator(address, Plan(**arguments))
    try:
        if generator.plan.resume:
            generator.fetch_session()
        if wait:
            print("ready", flush=True)
            if not sys.stdin.readline():
                return 1
        gc.disable()
        print(json.dumps(asdict(generator.run())))
    except (Refused, OSError, SSL.Error) as error:
        print(f"generator: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        generator.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
