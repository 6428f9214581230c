"""A mail program whose copy is newer than the backup that was restored: nothing doubles."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kit.backups import back_up, look_into
from kit.foreign import need_program
from kit.imap import PASSWORD, ImapClient, ImapPlace, imap_place, make_reader
from kit.store import open_test_store, running, small_store_options
from zajil.net.system import SystemClock
from zajil.store.backup.restore import restore_store

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]


def letter(number: int) -> bytes:
    head = f"Subject: {number}\r\nMessage-ID: <{number}@x.test>\r\n"
    return f"{head}\r\nbody of {number}\r\n".encode()


def near(folder: Path) -> list[int]:
    """Return the numbers of the messages that mbsync has."""
    found = [path.read_text() for part in ("cur", "new") for path in (folder / part).iterdir()]
    return sorted(int(text.partition("body of ")[2]) for text in found)


async def far(client: ImapClient) -> int:
    """Return how many messages the server has."""
    lines = await client.ok("EXAMINE INBOX")
    (line,) = [line for line in lines if b"EXISTS" in line]
    return int(line.split()[1])


async def sync(place: ImapPlace, folder: Path, authority: Path) -> None:
    """Run mbsync, in both directions."""
    configuration = folder / "mbsyncrc"
    configuration.write_text(
        f'IMAPAccount ours\nHost 127.0.0.1\nPort {place.tls_port}\nUser amal\nPass "{PASSWORD}"\n'
        f"SSLType IMAPS\nAuthMechs PLAIN\nCertificateFile {authority}\n\n"
        "IMAPStore far\nAccount ours\n\n"
        f"MaildirStore near\nPath {folder}/mail/\nInbox {folder}/mail/INBOX\n\n"
        "Channel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nExpunge Both\n"
        "SyncState *\n"
    )
    (folder / "mail").mkdir(exist_ok=True)
    program = need_program("mbsync")
    process = await asyncio.create_subprocess_exec(program, "-c", str(configuration), "-a")
    assert await process.wait() == 0


def test_mbsync_after_a_restore(tmp_path: Path) -> None:
    need_program("mbsync")

    async def before() -> str:
        store = open_test_store("sqlite", tmp_path / "data")
        make_reader(store)
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as client,
        ):
            for number in range(1, 6):
                await client.append("INBOX", letter(number))
            name = back_up(store, tmp_path / "target").name
            for number in (6, 7):
                await client.append("INBOX", letter(number))
            await sync(place, tmp_path, tmp_path / "ca.pem")
            await client.ok("SELECT INBOX")
            await client.ok(r"UID STORE 2 +FLAGS.SILENT (\Deleted)")
            await client.ok("UID EXPUNGE 2")
            await sync(place, tmp_path, tmp_path / "ca.pem")
            return name

    async def after() -> None:
        store = open_test_store("sqlite", tmp_path / "new")
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as client,
        ):
            for _ in range(2):
                await sync(place, tmp_path, tmp_path / "ca.pem")
                assert await far(client) == 5
                # What the server lost is gone here, too; message 2, which is back, may stay unseen.
                assert [number for number in near(tmp_path / "mail/INBOX") if number != 2] == [
                    *(1, 3, 4, 5)
                ]
            await client.append("INBOX", letter(8))
            await sync(place, tmp_path, tmp_path / "ca.pem")
            assert near(tmp_path / "mail/INBOX")[-1] == 8

    name = asyncio.run(before())
    assert near(tmp_path / "mail/INBOX") == [1, 3, 4, 5, 6, 7]
    options = small_store_options("sqlite")
    snapshot = look_into(tmp_path / "target", name)
    restore_store(snapshot, options, tmp_path / "new", clock=SystemClock())
    asyncio.run(after())
