"""``zajil dkim verify|sign`` on files, with a name server of the test."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.dkim import NOW_S, ed25519_key, pem_of, results_of, rsa_key, zone_of
from kit.name_server import zone_server
from zajil.cli.main import main

LETTER = b"From: amal@north.test\nTo: noor@south.test\nSubject: x\n\nhello\n"
KEYS = [rsa_key(selector="s"), ed25519_key(selector="s")]

Run = Callable[..., tuple[int, bytes, str]]


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    def run_(*arguments: object, stdin: bytes = b"") -> tuple[int, bytes, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main(["dkim", *map(str, arguments)])
        said = capfdbinary.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err.decode()

    return run_


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    file = tmp_path / "letter.eml"
    file.write_bytes(LETTER)
    return file


def key_options(tmp_path: Path, key: int = 0) -> list[str]:
    file = tmp_path / "key.pem"
    file.write_bytes(pem_of(KEYS[key]))
    return ["--domain", "North.test", "--selector", "s", "--key", str(file)]


@pytest.mark.parametrize("key", [0, 1])
def test_sign_then_verify(run: Run, tmp_path: Path, letter: Path, key: int) -> None:
    options = [*key_options(tmp_path, key), "--algorithm", KEYS[key].algorithm]
    options += ["--canonicalization", "simple/relaxed", "--headers", "from:to:subject:x"]
    options += ["--timestamp", str(NOW_S)]
    status, signed, _ = run("sign", letter, *options)
    assert status == 0
    assert signed.endswith(LETTER.replace(b"\n", b"\r\n"))
    assert b"c=simple/relaxed;" in signed
    assert b"h=from:to:subject:x;" in signed
    assert results_of(signed, zone_of(KEYS[key])) == ["pass"]
    assert run("sign", "-", *options, stdin=LETTER)[1] == signed  # reproducible
    with zone_server(zone_of(KEYS[key])) as server:
        asked = ("--nameserver", server, "--timestamp", NOW_S)
        status, printed, _ = run("verify", "-", *asked, "--json", stdin=signed)
        (found,) = json.loads(printed)["signatures"]
        assert status == 0
        assert (found["domain"], found["selector"], found["result"]) == ("north.test", "s", "pass")
        assert found["algorithm"] == KEYS[key].algorithm
        status, printed, _ = run("verify", "-", *asked, stdin=signed + b"more\r\n")
        assert status == 1
        assert b"the body was changed after north.test signed it" in printed.lower()


def test_a_message_without_a_signature(run: Run, letter: Path) -> None:
    assert run("verify", letter, "--json") == (1, b'{"signatures": []}\n', "")
    status, printed, _ = run("verify", letter)
    assert (status, printed) == (1, b"none: the message has no DKIM signature.\n")


def test_dns_that_does_not_answer(run: Run, tmp_path: Path, letter: Path) -> None:
    _, signed, _ = run("sign", letter, *key_options(tmp_path))
    with zone_server({"s._domainkey.north.test": None}) as server:
        options = ("--nameserver", server, "--timeout", "0.5", "--json")
        status, printed, _ = run("verify", "-", *options, stdin=signed)
    assert status == 1
    assert json.loads(printed)["signatures"][0]["result"] == "temperror"


def test_what_cannot_be_done(run: Run, tmp_path: Path, letter: Path) -> None:
    options = key_options(tmp_path)
    for more, status, reason in (
        (["--key", tmp_path / "none.pem"], 1, "cannot be read: No such file"),
        (["--key", letter], 1, "no private key in PEM"),
        (["--algorithm", "ed25519-sha256"], 1, "one for rsa-sha256"),
        (["--headers", "to"], 1, "From must be among"),
        (["--algorithm", "rsa-sha1"], 2, "rsa-sha256, ed25519-sha256"),
        (["--canonicalization", "nofws"], 2, "no canonicalization"),
        (["--domain", "no domain"], 2, "not a domain name"),
        (["--timestamp", "-1"], 2, "--timestamp"),
        (["--timestamp", "9" * 13], 2, "--timestamp"),
        (["--domain", "test"], 2, "two labels"),
        (["--selector", "a;b"], 2, "not a domain name"),
        (["--headers", "from:\udcff"], 1, "no name of a field"),
        (["--headers", "from:\u062a"], 1, "'\u062a' is no name of a field"),
    ):
        found, printed, said = run("sign", letter, *options, *more)
        assert (found, printed) == (status, b""), more
        assert reason in said
    assert run("sign", tmp_path / "none.eml", *options)[0] == 1
    letter.write_bytes(b"To: x\n\ny\n")
    assert "no From field" in run("sign", letter, *options)[2]
