"""Who changes the state of the server, and from where."""

from __future__ import annotations

from enum import StrEnum

from zajil.core.ids import AccountId
from zajil.core.value_class import value_class


class Interface(StrEnum):
    """The interface that a change came through."""

    COMMAND_LINE = "command line"
    WEB = "web"
    IMAP = "imap"
    DIRECTORY = "directory"
    """No person: the accounts follow the directory of the organisation."""
    SIGN_ON = "single sign-on"
    """A person whom an OpenID provider vouches for, before the account is known."""


@value_class(frozen=True, slots=True)
class Actor:
    """Who asks for an operation."""

    name: str
    """Login name of the account; on the command line, the user of this machine."""
    origin: Interface
    peer: str = ""
    """IP address of the client; empty on the command line."""
    account_id: AccountId | None = None
    """``None``: not an account of this server."""
    is_admin: bool = False
    """May change the whole server, not only its own account."""
    domains: frozenset[str] = frozenset()
    """Domains (ASCII form) whose accounts and aliases it may change."""


def command_line_actor(name: str) -> Actor:
    """Return the actor of a command: whoever can open the store may change everything."""
    return Actor(name, Interface.COMMAND_LINE, is_admin=True)


def directory_actor() -> Actor:
    """Return the actor of the chore that makes accounts of people of a directory."""
    return Actor("directory", Interface.DIRECTORY, is_admin=True)
