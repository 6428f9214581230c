"""All wire scripts, whole, byte by byte, and cut at random."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.smtp_wire import SmtpPlayer
from kit.wire_script import CHOPS, Chop, WireMismatch, load_script, scripts, whole


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("script", scripts("smtp"), ids=lambda path: path.stem)
def test_script(script: Path, chop: Chop) -> None:
    SmtpPlayer(load_script(script), chop).play()


def test_a_script_that_wants_something_else_fails(tmp_path: Path) -> None:
    script = tmp_path / "wrong.wire"
    script.write_text("S: 220 mx.example.org ESMTP\nC: NOOP\nS: 251 other\n")
    with pytest.raises(WireMismatch, match=r"wrong.wire:3: wanted '251 other', got '250 2.0.0 ok'"):
        SmtpPlayer(load_script(script), whole).play()
