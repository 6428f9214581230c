"""Quotas as commands take and print them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zajil.cli.errors import WrongUsage
from zajil.cli.output import spell_size

if TYPE_CHECKING:
    from zajil.store.mail.room import Usage
    from zajil.store.people.accounts import AccountRow

_NONE, _DEFAULT = "none", "default"


def parse_quota_size(text: str) -> int | str:
    """Return the bytes of ``--quota``: 0 for ``none``, or the word ``default``.

    Raises:
        WrongUsage: it is neither a word nor a size.
    """
    from zajil.core.units import parse_short_size

    if text in (_NONE, _DEFAULT):
        return 0 if text == _NONE else text
    try:
        return _limited(parse_short_size(text), "--quota")
    except ValueError as error:
        raise WrongUsage(f"--quota: {error}") from None


def parse_quota_messages(text: str) -> int | str:
    """Return the number of ``--quota-messages``, as ``parse_quota_size``.

    Raises:
        WrongUsage: it is neither a word nor a number.
    """
    if text in (_NONE, _DEFAULT):
        return 0 if text == _NONE else text
    if not text.isascii() or not text.isdigit():
        raise WrongUsage(f"--quota-messages: {text!r} is not a number")
    return _limited(int(text), "--quota-messages")


def _limited(value: int, option: str) -> int:
    if not 0 < value < 1 << 60:
        raise WrongUsage(f"{option}: give a number from 1 to {(1 << 60) - 1}, or 'none'")
    return value


def spell_own_quota(row: AccountRow) -> str:
    """Return the limits that were set for an account."""
    size, messages = row.quota_size, row.quota_messages
    shown = _DEFAULT if size is None else spell_size(size) if size else _NONE
    count = _DEFAULT if messages is None else str(messages) if messages else _NONE
    return f"quota {shown}, messages {count}"


def spell_usage(usage: Usage) -> str:
    """Return what an account may have, and how much of it is used."""
    size = spell_size(usage.most_size) if usage.most_size else "no limit of size"
    messages = f"{usage.most_messages} messages" if usage.most_messages else "no limit of messages"
    return f"{size}, {messages}, {usage.percent} % used"


def usage_to_dict(usage: Usage) -> dict[str, Any]:
    """Return the same for ``--json``; a limit of ``null`` is none."""
    return {
        "quota_size": usage.most_size or None,
        "quota_messages": usage.most_messages or None,
        "deleted_messages": usage.deleted_messages,
        "deleted_size": usage.deleted_size,
    }
