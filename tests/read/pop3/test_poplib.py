"""Python's poplib and curl fetch mail, on both databases."""

from __future__ import annotations

import asyncio
import poplib
import subprocess
from pathlib import Path

import pytest

from kit.foreign import need_program
from kit.imap import PASSWORD, make_reader
from kit.pop3 import PREFIX, Pop3Place, deliver, pop3_place
from kit.store import running
from zajil.store.engine.open import Store

MESSAGES = [
    b"Subject: one\r\n\r\nHello\r\n.\r\n..World\r\n",
    "Subject: two\r\n\r\nسلام\r\n".encode(),
    b"Subject: three\r\n\r\n.\r\n",
]


@pytest.mark.parametrize("stls", [False, True])
def test_poplib_fetches_and_deletes(store: Store, tmp_path: Path, stls: bool) -> None:
    deliver(store, make_reader(store), *MESSAGES)

    def connect(place: Pop3Place) -> poplib.POP3:
        pop: poplib.POP3
        if stls:
            pop = poplib.POP3("127.0.0.1", place.port, timeout=60)
            assert "STLS" in pop.capa()
            pop.stls(place.client_tls)
        else:
            pop = poplib.POP3_SSL("127.0.0.1", place.tls_port, context=place.client_tls, timeout=60)
        assert "STLS" not in pop.capa()
        pop.utf8()
        pop.user("amal")
        pop.pass_(PASSWORD)
        return pop

    def client(place: Pop3Place) -> None:
        whole = [PREFIX + message for message in MESSAGES]
        pop = connect(place)
        assert pop.stat() == (3, sum(map(len, whole)))
        listed = [f"{n} {len(message)}".encode() for n, message in enumerate(whole, 1)]
        assert pop.list()[1] == listed
        ids = pop.uidl()[1]
        for number, message in enumerate(whole, 1):
            status, lines, _ = pop.retr(number)
            assert b"".join(line + b"\r\n" for line in lines) == message
            assert status == b"+OK %d octets" % len(message)
            assert pop.uidl(number) == b"+OK " + ids[number - 1]
        assert pop.top(1, 1)[1] == [PREFIX[:-2], b"Subject: one", b"", b"Hello"]
        pop.dele(2)
        assert pop.list()[1] == [listed[0], listed[2]]
        pop.quit()
        pop = connect(place)
        assert [line.split()[1] for line in pop.uidl()[1]] == [ids[0][2:], ids[2][2:]]
        pop.close()

    async def main() -> None:
        async with running(store), pop3_place(store, tmp_path) as place:
            await asyncio.to_thread(client, place)

    asyncio.run(main())


@pytest.mark.interop
def test_curl(store: Store, tmp_path: Path) -> None:
    curl = need_program("curl")
    deliver(store, make_reader(store), *MESSAGES)

    def run_curl(url: str, *options: str) -> bytes:
        command = [curl, "-sS", "--cacert", str(tmp_path / "ca.pem"), "-u", f"amal:{PASSWORD}"]
        done = subprocess.run([*command, *options, url], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def main() -> None:
        async with running(store), pop3_place(store, tmp_path) as place:

            async def ask(path: str, *options: str) -> bytes:
                url = f"pop3s://127.0.0.1:{place.tls_port}{path}"
                return await asyncio.to_thread(run_curl, url, *options)

            sizes = [len(PREFIX + message) for message in MESSAGES]
            listed = "".join(f"{n} {size}\r\n" for n, size in enumerate(sizes, 1))
            assert await ask("/") == listed.encode()
            for number, message in enumerate(MESSAGES, 1):
                assert await ask(f"/{number}") == PREFIX + message
            stls = f"pop3://127.0.0.1:{place.port}/2"
            got = await asyncio.to_thread(run_curl, stls, "--ssl-reqd")
            assert got == PREFIX + MESSAGES[1]
            await ask("/1", "-X", "DELE", "-I")
            assert (await ask("/")).count(b"\r\n") == 2

    asyncio.run(main())
