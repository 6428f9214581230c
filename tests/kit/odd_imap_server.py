"""An IMAP server that does what it is told: breaks connections, lies, writes in odd forms."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from zajil.net.imap_connection import ImapEndpoint, Security
from zajil.operations.moving.imap_account import ImapAccount
from zajil.tls.context import client_context

PASSWORD = "odd"
_DATE = "13-Sep-2020 12:26:40 +0000"


@dataclass(slots=True)
class Odd:
    """What it has and does; tests change it while it runs."""

    mailboxes: dict[str, dict[int, bytes]] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    validity: int | str = 1
    capabilities: str = "IMAP4rev1 SPECIAL-USE LIST-EXTENDED"
    break_after: list[int] = field(default_factory=list)
    """For each connection, the bytes of bodies after which it is cut; empty: it lasts."""
    refuses: set[int] = field(default_factory=set)
    """UIDs that are answered with NO."""
    deadly: set[int] = field(default_factory=set)
    """UIDs at which it closes the connection."""
    deaf_appends: int = 0
    """APPEND commands after which it closes the connection without an answer."""
    uid_last: bool = False
    quotes: bool = False
    """Bodies without line ends come as quoted strings."""
    greeting: bytes = b"* OK odd\r\n"
    gmail_ids: dict[str, dict[int, int]] = field(default_factory=dict)
    connections: int = 0
    commands: list[str] = field(default_factory=list)


@contextmanager
def serving(odd: Odd) -> Iterator[ImapAccount]:
    """Serve until the block ends; give the account to log in with."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listener, odd), daemon=True).start()
    endpoint = ImapEndpoint(
        host="127.0.0.1",
        port=listener.getsockname()[1],
        security=Security.NONE,
        context=client_context(None, verify=False),
        timeout=30,
    )
    try:
        yield ImapAccount(endpoint=endpoint, login="odd", password=PASSWORD, pauses=(0, 0, 0))
    finally:
        listener.close()


def _accept(listener: socket.socket, odd: Odd) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            odd.connections += 1
            threading.Thread(target=_Session(connection, odd).run, daemon=True).start()


class _Cut(Exception):
    """The connection is closed."""


class _Session:
    def __init__(self, connection: socket.socket, odd: Odd) -> None:
        self.connection, self.odd = connection, odd
        self.file = connection.makefile("rb")
        self.box = ""
        self.left = odd.break_after.pop(0) if odd.break_after else -1

    def run(self) -> None:
        with suppress(OSError, _Cut), self.connection, self.file:
            self.connection.sendall(self.odd.greeting)
            while line := self.file.readline():
                tag, _, rest = line.decode().strip().partition(" ")
                self.odd.commands.append(rest)
                if not self.answer(rest.upper(), rest):
                    self.connection.sendall(f"{tag} NO [SERVERBUG] not this one\r\n".encode())
                else:
                    self.connection.sendall(f"{tag} OK done\r\n".encode())
                if rest.upper() == "LOGOUT":
                    return

    def answer(self, upper: str, text: str) -> bool:
        odd, send = self.odd, self.connection.sendall
        if upper == "CAPABILITY":
            send(f"* CAPABILITY {odd.capabilities}\r\n".encode())
        elif upper.startswith("LIST"):
            for name in odd.mailboxes:
                send(f'* LIST ({odd.attributes.get(name, "")}) "/" "{name}"\r\n'.encode())
        elif upper.startswith("STATUS"):
            name = text.split('"')[1]
            send(f'* STATUS "{name}" (MESSAGES {len(odd.mailboxes[name])})\r\n'.encode())
        elif upper.startswith("EXAMINE"):
            self.box = text.split('"')[1]
            end = "] x" if odd.validity else ""
            send(f"* OK [UIDVALIDITY {odd.validity}{end}\r\n".encode())
        elif upper.startswith(("SELECT", "CREATE", "SUBSCRIBE", "FETCH")):
            self.box = text.split('"')[1] if '"' in text else self.box
            if upper.startswith("SELECT") and self.box not in odd.mailboxes:
                return False
            held = odd.mailboxes.setdefault(self.box, {})
            send(f"* {len(held)} EXISTS\r\n".encode())
            for number, message in enumerate(held.values(), 1):
                if upper.startswith("FETCH"):
                    found = re.search(rb"(?mi)^message-id:.*\r\n", message)
                    head = (found[0] if found else b"") + b"\r\n"
                    send(
                        f'* {number} FETCH (RFC822.SIZE {len(message)} INTERNALDATE "{_DATE}"'
                        f" BODY[HEADER.FIELDS (MESSAGE-ID)] {{{len(head)}}}\r\n".encode()
                    )
                    send(head + b")\r\n")
        elif upper.startswith("APPEND"):
            send(b"+ go on\r\n")
            size = int(text.rpartition("{")[2].rstrip("}"))
            held = odd.mailboxes[text.split('"')[1]]
            held[max(held, default=0) + 1] = self.file.read(size)
            self.file.readline()
            if odd.deaf_appends:
                odd.deaf_appends -= 1
                raise _Cut
        elif upper.startswith("UID SEARCH"):
            uids = " ".join(map(str, odd.mailboxes[self.box]))
            send(f"* SEARCH {uids}\r\n".encode())
        elif upper.startswith("UID FETCH"):
            return self.fetch(upper)
        return True

    def fetch(self, upper: str) -> bool:
        odd, box = self.odd, self.odd.mailboxes[self.box]
        uids = list(box)
        for number in self.numbers(upper.split()[2], uids):
            at = uids.index(number) + 1
            if "X-GM-MSGID" in upper:
                message = odd.gmail_ids[self.box][number]
                self.send(f"* {at} FETCH (UID {number} X-GM-MSGID {message})\r\n".encode())
            elif "BODY.PEEK" not in upper:
                flags = f'FLAGS (\\Seen $x) INTERNALDATE "{_DATE}" UID {number}'
                self.send(f"* {at} FETCH ({flags})\r\n".encode())
            elif number in odd.refuses:
                return False
            elif number in odd.deadly:
                raise _Cut
            else:
                self.body(at, number, box[number], upper)
        return True

    def body(self, at: int, uid: int, content: bytes, upper: str) -> None:
        part = re.search(r"<(\d+)\.(\d+)>", upper)
        mark = "BODY[]"
        if part:
            content = content[int(part[1]) : int(part[1]) + int(part[2])]
            mark += f"<{part[1]}>"
        before, after = (f"UID {uid} ", "") if not self.odd.uid_last else ("", f" UID {uid}")
        if self.odd.quotes and b"\n" not in content:
            self.send(f'* {at} FETCH ({before}{mark} "'.encode() + content + b'")\r\n')
            return
        self.send(f"* {at} FETCH ({before}{mark} {{{len(content)}}}\r\n".encode())
        if 0 <= self.left < len(content):
            self.send(content[: self.left])
            raise _Cut
        self.left -= len(content) if self.left >= 0 else 0
        self.send(content)
        self.send(f"{after})\r\n".encode())

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def numbers(self, text: str, uids: list[int]) -> list[int]:
        found = []
        for part in text.split(","):
            first, _, last = part.partition(":")
            end = max(uids, default=0) if last == "*" else int(last or first)
            found += [uid for uid in uids if int(first) <= uid <= end]
        return found
