"""Journeys, sessions and messages for administrators: ``zajil journey`` and the web's pages."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

from zajil.core.errors import NotFound
from zajil.core.ids import MailId
from zajil.message.address_list import parse_address_list
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.mail_content import find_mail_blob
from zajil.store.mail.refusals import FoundSession
from zajil.store.mail.refusals import find_sessions as search_sessions
from zajil.store.mail.tracking import MailQuery, load_journey
from zajil.store.mail.tracking import find_mails as search_mails
from zajil.tracking import events as tracked
from zajil.tracking.journey import Journey, journey_to_dict, readable


class NoSuchMail(NotFound):
    """There is no mail with this id."""


def show_journey(conn: Snapshot, mail_id: MailId) -> dict[str, Any]:
    """Return the whole journey of a mail, as ``zajil journey show --json`` prints it.

    Args:
        conn: a read of the store: ``store.read(lambda conn: show_journey(conn, mail_id))``.
        mail_id: the id in our ``Received`` field or 250 reply.

    Raises:
        NoSuchMail: the id is unknown.
    """
    return journey_to_dict(get_journey(conn, mail_id))


def get_journey(conn: Snapshot, mail_id: MailId) -> Journey:
    """Return the whole journey of a mail.

    Raises:
        NoSuchMail: the id is unknown.
    """
    journey = load_journey(conn, mail_id)
    if journey is None:
        raise NoSuchMail(f"mail {mail_id} does not exist on this server")
    return journey


def find_mails(
    conn: Snapshot,
    *,
    to: str | None = None,
    sender: str | None = None,
    message_id: str | None = None,
    since_ms: int | None = None,
    refused: bool = False,
    limit: int = 100,
) -> dict[str, Any]:
    """Return mails that match, newest first, as ``zajil journey find --json`` prints them.

    Args:
        conn: a read of the store.
        to: address of a recipient or of the alias it was sent to, or a part of one.
        sender: the reverse path or the From address, or a part of one.
        message_id: with or without angle brackets.
        since_ms: accepted or refused at this time or later.
        refused: only mails of which a recipient, or the whole, was refused.
        limit: maximum number of mails.
    """
    query = MailQuery(
        to=to,
        sender=sender,
        message_id=message_id,
        since_ms=since_ms,
        account_id=None,
        refused=refused,
        limit=limit,
    )
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


def read_message(store: Store, conn: Snapshot, mail_id: MailId) -> bytes:
    """Return a mail as every copy of it has it, with the trace fields of this server.

    What differs per recipient (Return-Path, Delivered-To) is not in it.

    Raises:
        NoSuchMail: the id is unknown, or no copy is left.
    """
    blob_id = find_mail_blob(conn, mail_id)
    if blob_id is None:
        raise NoSuchMail(f"no copy of a mail {mail_id} is here")
    return store.blobs.read(conn, blob_id)


_MOST_READ = 10_000
"""Maximum number of session records that a search reads."""


def find_sessions(
    conn: Snapshot, *, text: str | None = None, since_ms: int = 0, limit: int = 100
) -> dict[str, Any]:
    """List sessions without a mail in which something was refused or failed, newest first.

    Failed log-ins, refused commands and connections; as ``zajil journey sessions --json`` prints
    them. Refused recipients and mails are found by ``find_mails``.

    Args:
        conn: a read of the store.
        text: a part of the client's address, of the login name, or of what happened.
        since_ms: at this time or later.
        limit: maximum number of sessions; only the newest ``_MOST_READ`` are searched.
    """
    told = (_tell_session(one) for one in search_sessions(conn, since_ms, _MOST_READ))
    wanted = (text or "").casefold()
    found = (one for one in told if one["happened"] and wanted in _searched(one))
    return {"sessions": list(islice(found, limit))}


def _searched(session: dict[str, Any]) -> str:
    values = (session["peer"], session["service"], session["login"], *session["happened"])
    return "\n".join(map(str, values)).casefold()


def _tell_session(found: FoundSession) -> dict[str, Any]:
    session: dict[str, Any] = {
        "session_id": found.session_id,
        "at_ms": found.at_ms,
        "peer": "",
        "service": "",
        "login": "",
    }
    happened: list[str] = []
    for event in found.events:
        match event:
            case tracked.SessionOpened(service=service, peer=peer):
                session |= {"peer": peer, "service": service}
            case tracked.LoggedIn(login=login):
                session["login"] = login
            case tracked.LoginFailed(login=login, peer=peer, service=service):
                session["login"] = login or ""
                session |= {"peer": peer, "service": service} if peer else {}
                happened.append(f"log-in failed: {event.reason}")
            case tracked.CommandRefused(command=command, reply=reply):
                happened.append(f"{command}: {reply}")
            case tracked.RecipientRefused(recipient=recipient, reply=reply):
                happened.append(f"RCPT {readable(recipient)}: {reply}")
            case tracked.ConnectionsRefused(peer=peer, service=service, count=count):
                session |= {"peer": peer, "service": service}
                happened.append(f"{count} connections refused: {event.reason}")
            case tracked.RefusalsMerged(peer=peer, what=what, count=count):
                session["peer"] = peer
                happened.append(f"{count} more {what}")
            case tracked.SessionClosed(reason=reason, mails=0) if session["peer"]:
                happened.append(f"closed: {reason}")
    return {**session, "happened": happened}


def _address_of(header_from: str) -> str:
    people = parse_address_list(header_from).people
    return people[0].spec if people else header_from
