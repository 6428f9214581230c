"""A server connection that tells its dialogue, for a log at ``debug``.

Security: never told are the arguments of LOGIN, AUTHENTICATE exchanges, literals, messages and
answers with data of a mailbox, nor lines that are no command: one of them may be a password that
lost its way.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from zajil.imap.command import Event
from zajil.imap.literal import find_literal
from zajil.imap.parse import COMMANDS
from zajil.imap.response import Completion
from zajil.imap.server import ImapServerConnection

_MOST = 500
"""Characters of one line; the rest is cut."""
_TAG = re.compile(rb"[A-Za-z0-9.]{1,16}\Z")
_SECRET = ("LOGIN", "AUTHENTICATE")


class TracedImapConnection(ImapServerConnection):
    """Tells ``C:`` lines of the client and the completions of ours to ``trace``."""

    trace: Callable[[str], None]
    """Set before the first event is asked for."""

    def _read_command(self, line: bytes) -> Event | None:
        if self._command or self._append is not None:
            self.trace(f"C: (literal, and {len(line)} bytes)")
        else:
            self.trace(f"C: {describe(line)}")
        return super()._read_command(line)

    def _read_auth_response(self, line: bytes) -> Event | None:
        self.trace("C: (AUTHENTICATE response)")
        return super()._read_auth_response(line)

    def complete(self, tag: bytes, completion: Completion) -> None:
        """See ``ImapServerConnection.complete``."""
        shown = tag if _TAG.match(tag) else b"(tag)"
        text = completion.to_bytes(shown).decode("utf-8", "replace").removesuffix("\r\n")
        self.trace(f"S: {text[:_MOST]}")
        super().complete(tag, completion)

    def close(self, text: str, reason: str) -> None:
        """See ``ImapServerConnection.close``."""
        self.trace(f"S: * BYE {text}")
        super().close(text, reason)


def describe(line: bytes) -> str:
    """Return what may be shown of a line that begins a command."""
    words = line.decode("utf-8", "replace").split(" ")
    verb = words[1].upper() if len(words) > 1 else ""
    if verb not in COMMANDS or not _TAG.match(words[0].encode()):
        return f"(unknown command of {len(line)} bytes)"
    if verb in _SECRET:
        return f"{words[0]} {verb} (hidden)"
    if find_literal(line) is not None:
        return f"{words[0]} {verb} (with a literal)"
    return " ".join(words)[:_MOST]
