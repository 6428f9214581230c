"""Replies and their wire form."""

from __future__ import annotations

import pytest

from zajil.smtp.codes import Code, EnhancedStatus
from zajil.smtp.extensions import Capabilities, parse_capabilities
from zajil.smtp.reply import Reply, sanitize


def test_wire_form() -> None:
    assert Reply(250, ("2.0.0 ok",)).to_bytes() == b"250 2.0.0 ok\r\n"
    assert Reply(Code.OK, ("a", "b", "c")).to_bytes() == b"250-a\r\n250-b\r\n250 c\r\n"
    assert str(Reply(Code.OK, (f"{EnhancedStatus.OK} ok",))) == "250 2.0.0 ok"


@pytest.mark.parametrize("text", ["a\r\nb", "a\nb", "a\rb", "a\0", "\x1b[2J", "a\x7f", "a\u2028b"])
def test_controls_are_refused(text: str) -> None:
    """Attack: response injection by what a peer sent."""
    with pytest.raises(ValueError, match="control"):
        Reply(250, (text,))
    assert Reply(250, (sanitize(text),))


@pytest.mark.parametrize(("code", "lines"), [(199, ("x",)), (600, ("x",)), (250, ())])
def test_what_is_no_reply(code: int, lines: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="a reply has"):
        Reply(code, lines)


def test_accepts_and_is_temporary() -> None:
    assert Reply(354, ("go",)).accepts
    assert not Reply(450, ("x",)).accepts
    assert Reply(450, ("x",)).is_temporary
    assert not Reply(550, ("x",)).is_temporary


def test_the_offer_is_rendered_once() -> None:
    offer = Capabilities(
        hostname="mx.example.org",
        max_message_size=5,
        starttls=True,
        auth_mechanisms=("PLAIN", "LOGIN"),
    )
    assert offer.ehlo_reply(False) is offer.ehlo_reply(False)
    plain = parse_capabilities(offer.ehlo_reply(False))
    encrypted = parse_capabilities(offer.ehlo_reply(True))
    assert "STARTTLS" in plain
    assert "AUTH" not in plain
    assert "STARTTLS" not in encrypted
    assert encrypted["AUTH"] == "PLAIN LOGIN"
    assert encrypted["SIZE"] == "5"
