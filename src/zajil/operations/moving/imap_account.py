"""An account at another IMAP server: log-in again after a lost connection, names of mailboxes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import ClassVar, TypeVar

from zajil.core.value_class import value_class
from zajil.imap.mailbox_name import encode_name
from zajil.imap.server_response import Listed, Value, read_listed
from zajil.net.imap_client import ImapClient, LoginRefused, ServerRefused
from zajil.net.imap_connection import ConnectionLost, ImapEndpoint
from zajil.operations.moving.names import read_level
from zajil.sasl.client import ClientMechanism, PlainClient, client_mechanisms

T = TypeVar("T")

PAUSES = (0.0, 1.0, 5.0, 15.0, 30.0, 60.0)
"""Seconds before each try to connect."""
_PASSING = {"UNAVAILABLE", "INUSE", "LIMIT", "THROTTLED", "SERVERBUG"}
"""Response codes of a server that may let us in later."""
ROLES = {
    "\\sent": "sent",
    "\\drafts": "drafts",
    "\\junk": "junk",
    "\\spam": "junk",
    "\\trash": "trash",
    "\\archive": "archive",
}
"""RFC 6154 section 2; the second one for junk is Gmail's of before."""
UNREAL = {
    "\\flagged": "a view of flagged messages, which are in other mailboxes",
    "\\important": "a view of important messages, which are in other mailboxes",
}
_NOT_SELECTABLE = {"\\noselect", "\\nonexistent"}


class XOAuth2Client:
    """The token of Gmail and Outlook in place of a password, in one message."""

    name: ClassVar[str] = "XOAUTH2"
    is_complete = True

    def __init__(self, login: str, token: str) -> None:
        self._message = f"user={login}\x01auth=Bearer {token}\x01\x01".encode()

    def start(self) -> bytes | None:
        """Return the one message."""
        return self._message

    def respond(self, challenge: bytes) -> bytes:
        """Answer the reason of a failure, which ends the exchange."""
        return b""


@value_class(frozen=True, slots=True, kw_only=True)
class ImapAccount:
    """Who logs in, and where."""

    endpoint: ImapEndpoint
    login: str
    password: str = ""
    token: str = ""
    """Of OAuth 2, in place of a password; ``""``: there is none."""
    pauses: tuple[float, ...] = PAUSES

    @property
    def identity(self) -> str:
        """Return what tells this account from others."""
        place = self.endpoint
        port = "" if place.port in (143, 993) else f":{place.port}"
        return f"imap:{self.login}@{place.host.lower()}{port}"

    def mechanisms(self, client: ImapClient) -> list[ClientMechanism]:
        """Return the exchanges to try, the best first."""
        if self.token:
            return [XOAuth2Client(self.login, self.token)]
        offered = {
            one.removeprefix("AUTH=") for one in client.capabilities if one.startswith("AUTH=")
        }
        found = client_mechanisms(offered, self.login, self.password, os.urandom)
        # A user of Dovecot's master log-in ("amal*admin") has no keys of SCRAM.
        return [one for one in found if isinstance(one, PlainClient)] or found


class ForeignSession:
    """A session that is opened again when the connection is lost."""

    def __init__(self, account: ImapAccount) -> None:
        """Log in.

        Raises:
            CannotConnect, LoginRefused, ConnectionLost: it does not work.
        """
        self.account = account
        self._client: ImapClient | None = None
        self._others: tuple[bytes, ...] = ()
        self.delimiter, self.prefix = "/", ""
        self.number = 0
        """Grows with each new connection."""
        self.client()
        self._learn_names()

    def client(self) -> ImapClient:
        """Return the client, logged in; after a lost connection a new one, with pauses.

        Raises:
            CannotConnect, LoginRefused, ConnectionLost: it does not work, after some time.
        """
        if self._client is not None:
            return self._client
        reason: Exception | None = None
        for pause in self.account.pauses:
            time.sleep(pause)
            try:
                self._client = self._connect()
            except ConnectionLost as error:
                reason = error
                continue
            self.number += 1
            return self._client
        raise ConnectionLost(str(reason or "no try was made"))

    def lose(self) -> None:
        """Give up the connection; ``client`` makes a new one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def close(self) -> None:
        """Say good-bye, and close the connection."""
        client, self._client = self._client, None
        if client is None:
            return
        with suppress(ConnectionLost, ServerRefused):
            client.command(b"LOGOUT")
        client.close()

    def list_all(self) -> list[Listed]:
        """Return all mailboxes of the account itself; others' and shared ones are not among them.

        Raises:
            ServerRefused, ConnectionLost: see there.
        """
        client = self.client()
        special = b" RETURN (SPECIAL-USE)" if "SPECIAL-USE" in client.capabilities else b""
        is_extended = "LIST-EXTENDED" in client.capabilities or "IMAP4REV2" in client.capabilities
        rest = b'"" "*"' + (special if is_extended else b"")
        found = [
            one for values in client.command(b"LIST", rest=rest) if (one := read_listed(values))
        ]
        return [
            one
            for one in found
            if not one.attributes & _NOT_SELECTABLE and not self._is_of_others(one)
        ]

    def list_subscribed(self) -> frozenset[bytes]:
        """Return the names of mailboxes that the account is subscribed to.

        Raises:
            ServerRefused, ConnectionLost: see there.
        """
        values = self.client().command(b"LSUB", rest=b'"" "*"')
        return frozenset(one.name for v in values if (one := read_listed(v)) is not None)

    def levels(self, listed: Listed) -> tuple[str, ...]:
        """Return the name of a mailbox from the top, without what stands before all names."""
        name = listed.name
        prefix = self.prefix.encode("latin-1", "replace")
        if prefix and name.startswith(prefix) and len(name) > len(prefix):
            name = name[len(prefix) :]
        parts = name.split(listed.delimiter.encode("latin-1")) if listed.delimiter else [name]
        return tuple(read_level(part) for part in parts if part) or ("INBOX",)

    def name_on_wire(self, levels: Sequence[str]) -> bytes:
        """Return the name of a mailbox as this server writes it."""
        if list(levels) == ["INBOX"]:
            return b"INBOX"
        divider = self.delimiter or "_"
        clean = [one.replace(divider, "_") for one in levels]
        return self.prefix.encode("latin-1", "replace") + encode_name(divider.join(clean))

    def _connect(self) -> ImapClient:
        client = ImapClient(self.account.endpoint)
        try:
            account = self.account
            client.log_in(account.login, account.password, account.mechanisms(client))
            if "ID" in client.capabilities:  # some servers let in nobody who does not say it
                with suppress(ServerRefused):
                    client.command(b"ID", rest=b'("name" "zajil")')
            return client
        except LoginRefused as error:
            client.close()
            if any(f"[{code}" in str(error) for code in _PASSING):
                raise ConnectionLost(str(error)) from None
            raise
        except BaseException:
            client.close()
            raise

    def _learn_names(self) -> None:
        """Learn what divides levels, and what stands in front of all names. (RFC 2342)"""
        client = self.client()
        if "NAMESPACE" in client.capabilities:
            for values in client.command(b"NAMESPACE"):
                if values[:1] == [b"NAMESPACE"] and len(values) >= 4:
                    personal = _namespaces(values[1])
                    if personal:
                        self.prefix, self.delimiter = personal[0]
                    others = [*_namespaces(values[2]), *_namespaces(values[3])]
                    self._others = tuple(one[0].encode("latin-1", "replace") for one in others)
            return
        for values in client.command(b"LIST", rest=b'"" ""'):
            listed = read_listed(values)
            if listed is not None:
                self.delimiter = listed.delimiter

    def _is_of_others(self, listed: Listed) -> bool:
        return any(prefix and listed.name.startswith(prefix) for prefix in self._others)


def retry(session: ForeignSession, work: Callable[[ImapClient], T], times: int = 3) -> T:
    """Return the result of commands, which are sent again after a lost connection.

    Raises:
        ConnectionLost: it was lost each time.
    """
    for left in reversed(range(times)):
        try:
            return work(session.client())
        except ConnectionLost:
            session.lose()
            if not left:
                raise
    raise ConnectionLost("no try was made")


def _namespaces(value: Value) -> list[tuple[str, str]]:
    """Return prefix and delimiter of each namespace."""
    found = []
    for one in value if isinstance(value, list) else []:
        match one:
            case [bytes() as prefix, delimiter, *_]:
                text = delimiter.decode("latin-1")[:1] if isinstance(delimiter, bytes) else ""
                found.append((prefix.decode("latin-1"), text))
    return found
