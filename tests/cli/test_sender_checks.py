"""``zajil dmarc check``, ``zajil arc verify`` and ``seal``, with a name server on a socket."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from kit.name_server import name_server
from zajil.cli.main import app

LETTER = "From: Sami <sami@south.test>\nTo: amal@north.test\nSubject: hi\n\nHello.\n"
RECORDS = {
    "south.test": "v=spf1 ip4:192.0.2.1 -all",
    "_dmarc.south.test": "v=DMARC1; p=reject",
    "k._domainkey.lists.test": "",
}


@pytest.fixture
def server() -> Iterator[str]:
    """Give the address of a name server that knows ``RECORDS``, in a thread of its own."""
    ready: list[str] = []
    started, loop = threading.Event(), asyncio.new_event_loop()
    done = asyncio.Event()

    def respond(query: dns.message.QueryMessage, _: bool) -> list[bytes]:
        return [answer(query).to_wire()]

    async def serve() -> None:
        async with name_server(respond) as running:
            ready.append(running.address)
            started.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait()
    yield ready[0]
    loop.call_soon_threadsafe(done.set)
    thread.join()
    loop.close()


def answer(query: dns.message.QueryMessage) -> dns.message.Message:
    response = dns.message.make_response(query)
    name = query.question[0].name.to_text(omit_final_dot=True)
    text = RECORDS.get(name.lower())
    if text:
        response.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "TXT", f'"{text}"'))
    elif text is None:
        response.set_rcode(dns.rcode.NXDOMAIN)
    return response


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout_bytes.decode()


def chain(out: str) -> tuple[str, int]:
    found = json.loads(out)
    return found["cv"], found["instances"]


def letter(folder: Path) -> str:
    file = folder / "letter.eml"
    file.write_text(LETTER)
    return str(file)


@pytest.mark.parametrize(
    ("ip", "expected", "status"),
    [
        ("192.0.2.1", {"result": "pass", "disposition": "none"}, 0),
        ("192.0.2.9", {"result": "fail", "disposition": "reject"}, 1),
    ],
)
def test_dmarc_check(
    tmp_path: Path, server: str, ip: str, expected: Mapping[str, Any], status: int
) -> None:
    """The keys that other programs rely on."""
    code, out = run(
        *("dmarc", "check", letter(tmp_path), "--ip", ip, "--mail-from", "sami@south.test"),
        *("--helo", "mx.south.test", "--nameserver", server, "--json"),
    )
    found = json.loads(out)
    assert code == status, found
    wanted = {**expected, "policy": "reject", "domain": "south.test"}
    assert {key: found[key] for key in wanted} == wanted
    assert found["spf"]["result"] == expected["result"]
    assert found["dkim"] == []
    assert found["reason"].endswith(".")


def test_arc_of_a_message_without_seals(tmp_path: Path, server: str) -> None:
    code, out = run("arc", "verify", letter(tmp_path), "--nameserver", server, "--json")
    assert code == 0
    assert chain(out) == ("none", 0)


def test_seal_and_verify(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    private = Ed25519PrivateKey.generate()
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    monkeypatch.setitem(RECORDS, "k._domainkey.lists.test", f"v=DKIM1; k=ed25519; p={public}")
    key = tmp_path / "key.pem"
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    file = tmp_path / "letter.eml"
    file.write_text(f"Authentication-Results: mx.lists.test; spf=pass\n{LETTER}")
    for number in (1, 2):
        code, out = run(
            *("arc", "seal", str(file), "--domain", "lists.test", "--selector", "k"),
            *("--key", str(key), "--authserv-id", "mx.lists.test", "--nameserver", server),
            *("--headers", "from:to:subject", "--timestamp", "1700000000"),
        )
        assert code == 0
        assert f"ARC-Authentication-Results: i={number}; mx.lists.test;\r\n\tspf=pass" in out
        file.write_bytes(out.encode())
        code, out = run("arc", "verify", str(file), "--nameserver", server, "--json")
        assert code == 0
        assert chain(out) == ("pass", number)
    wrong = ("--domain", "lists.test", "--selector", "k", "--key", str(key))
    for name in ("a b", "", "a\r\nX: y"):
        assert run("arc", "seal", str(file), *wrong, "--authserv-id", name) == (1, "")
    file.write_bytes(file.read_bytes().replace(b"Hello", b"HELLO"))
    code, out = run("arc", "verify", str(file), "--nameserver", server)
    assert (code, out.partition(":")[0]) == (1, "fail")


def test_a_wrong_address_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["dmarc", "check", letter(tmp_path), "--ip", "nowhere"])
    assert result.exit_code != 0
