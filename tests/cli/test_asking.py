"""Commands that ask DNS by themselves, and the messages they read."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.name_server import zone_server
from zajil.cli import message_file
from zajil.cli.asking import ask
from zajil.cli.errors import WrongUsage
from zajil.cli.message_file import NoMessageFile, read_message
from zajil.dns.flow import Answer, Flow, Outcome, Question


def one_question() -> Flow[Answer]:
    answer = yield Question("north.test", "TXT")
    return answer


def test_a_name_server_that_is_away_gives_an_answer_that_failed() -> None:
    answer = ask(one_question(), "127.0.0.1:1", 0.2)
    assert answer.outcome is Outcome.FAILED


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_name_server_may_be_named_by_its_address_or_its_name(host: str) -> None:
    with zone_server({"north.test": {"TXT": ["pigeon"]}}) as server:
        port = server.rpartition(":")[2]
        assert ask(one_question(), f"{host}:{port}", 5).values == ("pigeon",)


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert ask(one_question(), "[::1]:1", 0.2).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "server",
    [
        *("nowhere", "127.0.0.1", "127.0.0.1:x", ":53", "", "127.0.0.1:0", "127.0.0.1:99999"),
        *("\udcff:53", "a..b:53", "127.0.0.1:٥٣", "127.0.0.1:" + "9" * 5000),
    ],
)
def test_a_name_server_has_a_host_and_a_port(server: str) -> None:
    with pytest.raises(WrongUsage, match="--nameserver"):
        ask(one_question(), server, 1)


def test_a_file_with_any_line_ends_is_read_as_on_the_wire(tmp_path: Path) -> None:
    file = tmp_path / "letter.eml"
    file.write_bytes(b"From: a@b.test\nTo: c@d.test\r\n\nText\r\rof it\n")
    assert read_message(str(file)) == b"From: a@b.test\r\nTo: c@d.test\r\n\r\nText\r\rof it\r\n"


def test_a_file_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_file, "MAX_SIZE", 1000)
    with pytest.raises(NoMessageFile, match="larger than"):
        read_message("/dev/zero")


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(NoMessageFile, match="cannot be read"):
        read_message("a\0b")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoMessageFile, match="No such file"):
        read_message(str(tmp_path / "none.eml"))
