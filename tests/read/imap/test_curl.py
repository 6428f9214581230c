"""curl lists, reads, uploads and searches."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from kit.foreign import need_program
from kit.imap import PASSWORD, ImapPlace, imap_place, make_reader
from kit.store import open_test_store, running
from zajil.store.engine.open import Store


@pytest.mark.interop
def test_curl(tmp_path: Path) -> None:
    curl = need_program("curl")
    store: Store = open_test_store("sqlite", tmp_path / "data")
    make_reader(store)
    letter = tmp_path / "letter.eml"
    letter.write_bytes("Subject: رسالة\r\n\r\nمرحبا\r\n".encode())

    def run_curl(place: ImapPlace, path: str, *options: str) -> bytes:
        secure = [f"imaps://127.0.0.1:{place.tls_port}{path}"]
        if path.startswith("starttls:"):
            secure = [
                "--ssl-reqd",
                f"imap://127.0.0.1:{place.port}{path.removeprefix('starttls:')}",
            ]
        command = [curl, "-sS", "--cacert", str(tmp_path / "ca.pem"), "-u", f"amal:{PASSWORD}"]
        done = subprocess.run([*command, *options, *secure], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:

            async def ask(path: str, *options: str) -> bytes:
                return await asyncio.to_thread(run_curl, place, path, *options)

            await ask("/INBOX", "-T", str(letter))
            assert b'"INBOX"' in await ask("/")
            for scheme in ("", "starttls:"):
                got = await ask(f"{scheme}/INBOX;UID=1")
                assert got == letter.read_bytes()
            assert await ask("/INBOX?ALL") == b"* SEARCH 1\r\n"
            assert b"EXISTS" in await ask("/", "-X", "EXAMINE INBOX")

    asyncio.run(run())
