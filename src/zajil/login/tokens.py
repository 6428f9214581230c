"""Verification of access tokens: ``TokenJudge`` turns a token into a login name.

Its implementation here is ``login.introspection``.
"""

from __future__ import annotations

from typing import Protocol

from zajil.core.errors import Unavailable


class JudgeUnavailable(Unavailable):
    """Nobody can say now; the client is told to come again."""


class TokenJudge(Protocol):
    """Says whose a token is."""

    async def judge(self, token: str) -> str | None:
        """Return the login name or address of its owner; ``None``: it opens nothing.

        Raises:
            JudgeUnavailable: the answer is not known now.
        """
