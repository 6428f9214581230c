"""OpenDKIM verifies what we sign, and we verify what it signs; keys come from a file."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from kit.dkim import ed25519_key, pem_of, record_of, rsa_key, sign, verify, zone_of
from kit.foreign import need_program
from zajil.mailauth.dkim_key import key_name
from zajil.mailauth.dkim_sign import SigningKey

pytestmark = pytest.mark.interop

# One space after each colon: a milter is told the values without the spaces there.
LETTER = (
    b"Received: from a\r\n\tby b; Mon, 23 Nov 2026 19:09:20 +0000\r\n"
    b"From: Amal <amal@north.test>\r\nTo: Noor <noor@south.test>,\r\n  more@south.test\r\n"
    b"Subject: two  spaces\t\r\nDate: Mon, 23 Nov 2026 19:09:21 +0000\r\nX-Empty:\r\n"
    b"Comments: one\r\nComments: two\r\n"
    b"\r\nHello  \t there \r\n\t\r\n\r\nlast line\r\n\r\n\r\n"
)
PAIRS = [f"{header}/{body}" for header in ("simple", "relaxed") for body in ("simple", "relaxed")]
KEYS = [rsa_key(bits=2048), ed25519_key()]
# Each with a last line end, as on the wire: what its test mode makes of others is its own.
BODIES = [b"\r\n", b"", b"x\r\n", b"  \r\n\r\n", b"x \r\n y\t\r\n"]


def run_opendkim(folder: Path, message: bytes, **settings: str) -> tuple[str, str]:
    """Let it look at one message; gives what it prints and what it says."""
    opendkim = need_program("opendkim")
    lines = {"Syslog": "no", "RequireSafeKeys": "no", **settings}
    conf, file = folder / "opendkim.conf", folder / "message.eml"
    conf.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
    file.write_bytes(message)
    done = subprocess.run(
        [opendkim, "-x", conf, "-t", file], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout, done.stderr


def is_verified(folder: Path, message: bytes, *keys: SigningKey) -> bool:
    records = [f"{key_name(key.domain, key.selector)} {record_of(key)}\n" for key in keys]
    (folder / "keys").write_text("".join(records))
    said = run_opendkim(folder, message, Mode="v", TestPublicKeys=str(folder / "keys"))
    if "succeeded" in "".join(said):
        return True
    assert "verification" in "".join(said), said
    return False


def signed_by_opendkim(folder: Path, message: bytes, key: SigningKey, pair: str) -> bytes:
    (folder / "key.pem").write_bytes(pem_of(key))
    printed, said = run_opendkim(
        folder,
        message,
        Mode="s",
        Domain=key.domain,
        Selector=key.selector,
        KeyFile=str(folder / "key.pem"),
        SignatureAlgorithm=key.algorithm,
        Canonicalization=pair,
        OversignHeaders="From,Subject",
    )
    assert "DKIM-Signature:" in printed, said
    field = printed[printed.index("DKIM-Signature:") :].strip("\n").encode()
    return field.replace(b"\n", b"\r\n") + b"\r\n" + message


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
@pytest.mark.parametrize("pair", PAIRS)
def test_it_verifies_what_we_sign(tmp_path: Path, key: SigningKey, pair: str) -> None:
    # It takes no signature from the future: a full second is cut off.
    signed = sign(LETTER, key, pair, now_s=int(time.time()) - 1)
    assert is_verified(tmp_path, signed, key)
    assert not is_verified(tmp_path, signed.replace(b"last", b"lost"), key)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("how", ["simple", "relaxed"])
def test_it_hashes_odd_bodies_as_we_do(tmp_path: Path, body: bytes, how: str) -> None:
    letter = b"From: amal@north.test\r\nDate: Mon, 23 Nov 2026 19:09:21 +0000\r\n\r\n" + body
    key = KEYS[0]
    signed = sign(letter, key, f"relaxed/{how}", now_s=int(time.time()) - 1)
    assert is_verified(tmp_path, signed, key)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
@pytest.mark.parametrize("pair", PAIRS)
def test_we_verify_what_it_signs(tmp_path: Path, key: SigningKey, pair: str) -> None:
    signed = signed_by_opendkim(tmp_path, LETTER, key, pair)
    (found,) = verify(signed, zone_of(key), int(time.time()))
    if key.algorithm == "ed25519-sha256" and pair.startswith("simple/"):
        # OpenDKIM 2.11.0 signs other bytes than it writes; it says so of itself.
        assert (found.result == "pass") == is_verified(tmp_path, signed, key)
        return
    assert found.result == "pass", (found, signed)
    (found,) = verify(signed.replace(b"last", b"lost"), zone_of(key), int(time.time()))
    assert found.result == "fail"
