"""What a submission of ours leaves with is right for OpenDKIM and dkimpy, by our own records."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path

import pytest

from kit.clock import FakeClock
from kit.foreign import need_program
from kit.keys import make_signer, published_keys
from kit.reading import inbox_of
from kit.store import make_account, open_test_store, running
from kit.talk import acceptance_context
from zajil.core.service import Service
from zajil.keys.keyring import Keyring
from zajil.keys.sign import Signer
from zajil.login.account import Account
from zajil.store.engine.open import Store
from zajil.submit.hand_in import hand_in

pytestmark = pytest.mark.interop

MESSAGE = (
    "From: Amal <amal@south.test>\r\nTo: noor@south.test,\r\n more@south.test\r\n"
    "Subject: two  spaces\t\r\nBcc: secret@south.test\r\n\r\nhello  there \r\n\t\r\nrose\r\n\r\n"
)


@pytest.fixture
def sent(tmp_path: Path) -> tuple[bytes, dict[str, str]]:
    """Give a letter as it leaves, and the records of its keys."""
    store: Store = open_test_store("sqlite", tmp_path / "data")
    amal = make_account(store, "amal@south.test")
    make_signer(store, "south.test")
    # OpenDKIM takes no signature from the future: a full second is cut off.
    signer = Signer(Keyring(store), FakeClock(int(time.time() - 1) * 1000))
    who = Account(
        account_id=amal.account_id,
        login="amal",
        address=amal.address,
        addresses=(amal.address,),
        display_name="Amal",
        admin=False,
    )

    async def run() -> bytes:
        async with running(store):
            await store.directory.load()
            services = acceptance_context(store, service=Service.WEB, signer=signer)
            own = amal.address
            await hand_in(services, who, own, [own], MESSAGE.encode(), peer="192.0.2.1")
            (kept,) = await inbox_of(store, "amal@south.test")
            return kept

    message = asyncio.run(run())
    records = {name: types["TXT"][0] for name, types in published_keys(store).items() if types}
    return message, records


def test_dkimpy_finds_both_right(sent: tuple[bytes, dict[str, str]]) -> None:
    dkim = pytest.importorskip("dkim", reason="needs dkimpy (pip install dkimpy[ed25519])")
    message, records = sent

    def answer(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode().rstrip(".")].encode()

    for index in (0, 1):
        assert dkim.DKIM(message).verify(index, dnsfunc=answer)


def test_opendkim_finds_it_right(tmp_path: Path, sent: tuple[bytes, dict[str, str]]) -> None:
    opendkim = need_program("opendkim")
    message, records = sent
    keys, conf, file = tmp_path / "keys", tmp_path / "opendkim.conf", tmp_path / "message.eml"
    keys.write_text("".join(f"{name} {text}\n" for name, text in records.items()))
    conf.write_text(f"Syslog no\nRequireSafeKeys no\nMode v\nTestPublicKeys {keys}\n")
    for signed, right in ((message, True), (message.replace(b"rose", b"lily"), False)):
        file.write_bytes(signed)
        done = subprocess.run(
            [opendkim, "-x", conf, "-t", file],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "LC_ALL": "C"},
        )
        assert ("succeeded" in done.stdout + done.stderr) is right, done
