"""Journeys for admins: what ``zajil journey`` and the admin's pages show (design section 6)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from zajil.core.ids import MailId
from zajil.message.address_list import parse_address_list
from zajil.store.tracking import MailQuery, load_journey
from zajil.store.tracking import find_mails as search_mails
from zajil.tracking.journey import Journey, journey_to_dict, readable


class NoSuchMail(Exception):
    """No mail of ours has this id."""


def show_journey(conn: Any, mail_id: MailId) -> dict[str, Any]:
    """Give the whole journey of a mail, as ``zajil journey show --json`` prints it.

    Args:
        conn: a read of the store: ``store.read(lambda conn: show_journey(conn, mail_id))``.
        mail_id: our own id, from ``Received`` or from the 250.

    Raises:
        NoSuchMail: the id is unknown.
    """
    return journey_to_dict(get_journey(conn, mail_id))


def get_journey(conn: Any, mail_id: MailId) -> Journey:
    """Give the whole journey of a mail, to be told.

    Raises:
        NoSuchMail: the id is unknown.
    """
    journey = load_journey(conn, mail_id)
    if journey is None:
        raise NoSuchMail(f"no mail here has the id {mail_id}")
    return journey


def find_mails(
    conn: Any,
    *,
    to: str | None = None,
    sender: str | None = None,
    message_id: str | None = None,
    since_ms: int | None = None,
    limit: int = 100,
) -> dict[str, Any]:
    """Search mails, newest first, as ``zajil journey find --json`` prints them.

    Args:
        conn: a read of the store.
        to: a recipient's address, or a piece of one.
        sender: the reverse path or the From address, or a piece of one.
        message_id: with or without angle brackets.
        since_ms: accepted at this time or later.
        limit: at most so many.
    """
    query = MailQuery(to, sender, message_id, since_ms, None, limit)
    return {
        "mails": [
            {
                "mail_id": mail.mail_id,
                "from": _address_of(mail.header_from),
                "message_id": mail.message_id,
                "at_ms": mail.at_ms,
                "size": mail.size,
                "recipients": [readable(address) for address, _ in mail.recipients],
                "states": dict(Counter(state for _, state in mail.recipients)),
            }
            for mail in search_mails(conn, query)
        ]
    }


def _address_of(header_from: str) -> str:
    people = parse_address_list(header_from).people
    return people[0].spec if people else header_from
