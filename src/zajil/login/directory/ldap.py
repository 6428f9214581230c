"""The two questions to a directory: who is there, and is this the password of that person?"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from zajil.config.options_directory import DirectoryOptions
from zajil.login.directory.connection import (
    DirectoryUnavailable,
    binds,
    close,
    connected,
    open_service,
    search,
)
from zajil.login.directory.person import (
    DirectoryPerson,
    UnusableEntry,
    attributes_of,
    read_person,
    read_subject,
    subject_filter,
)

_AWAY_SECONDS = 5.0
"""A directory that did not answer is not asked again for so long: others would wait in vain."""
_AT_ONCE = 4
"""Passwords of a worker that are checked at a time; as many connections are kept open."""


@dataclass(frozen=True, slots=True)
class DirectoryPeople:
    """Everybody in the directory."""

    people: tuple[DirectoryPerson, ...]
    left_out: tuple[UnusableEntry, ...]


def read_people(options: DirectoryOptions) -> DirectoryPeople:
    """Return everybody in the directory; waits.

    Raises:
        DirectoryUnavailable: the answer is not whole.
        NoLdapLibrary: the library is not installed.
    """
    people: dict[str, DirectoryPerson] = {}
    left_out: list[UnusableEntry] = []
    with connected(options) as conn:
        disabled = set(_subjects(conn, options, options.disabled_filter))
        admins = _members(conn, options)
        for dn, raw in search(conn, options.base, options.filter, attributes_of(options)):
            person = read_person(dn, raw, options)
            if isinstance(person, UnusableEntry):
                left_out.append(person)
                continue
            people[person.subject] = replace(
                person,
                is_disabled=person.subject in disabled,
                is_admin=None if admins is None else normalize_dn(dn) in admins,
            )
    return DirectoryPeople(tuple(people.values()), tuple(left_out))


def _subjects(conn: Any, options: DirectoryOptions, filter_: str | None) -> Iterator[str]:
    if filter_ is None:
        return
    both = f"(&{options.filter}{filter_})"
    for _, raw in search(conn, options.base, both, [options.id_attribute]):
        yield read_subject({name.lower(): found for name, found in raw.items()}, options)


def _members(conn: Any, options: DirectoryOptions) -> frozenset[str] | None:
    """Return the DNs of the administrators; ``None``: the directory does not say."""
    if options.admin_group is None:
        return None
    found = list(search(conn, options.admin_group, "(objectClass=*)", ["member", "uniqueMember"]))
    own = [raw for dn, raw in found if normalize_dn(dn) == normalize_dn(options.admin_group or "")]
    if not own:
        raise DirectoryUnavailable("the group directory.admin_group does not exist")
    return frozenset(
        normalize_dn(bytes(value).decode("utf-8", "replace"))
        for values in own[0].values()
        for value in values
    )


def normalize_dn(dn: str) -> str:
    """Return a DN in the form in which two spellings of it are equal, for usual names."""
    return ",".join(part.strip().casefold() for part in dn.split(","))


class LdapPasswords:
    """Checks passwords of people, few at a time."""

    def __init__(self, options: DirectoryOptions) -> None:
        self._options = options
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        self._away: tuple[float, str] = (0.0, "")
        """Until when it is not asked, by the monotonic clock, and why."""

    @property
    def remember_ms(self) -> int:
        """How long a right answer may be believed."""
        return self._options.remember_ms

    async def check(self, subject: str, password: str) -> bool:
        """Return whether a password is the one of a person.

        Args:
            subject: what names the person for ever.
            password: prepared, as typed by whoever logs in.

        Raises:
            DirectoryUnavailable: the directory cannot say now.
        """
        if not password:
            return False
        async with self._at_once:
            until, reason = self._away
            if time.monotonic() < until:
                raise DirectoryUnavailable(reason)
            try:
                return await asyncio.to_thread(self._check, subject, password)
            except DirectoryUnavailable as error:
                self._away = time.monotonic() + _AWAY_SECONDS, str(error)
                raise

    async def close(self) -> None:
        """Close the connections that are kept open."""
        with self._lock:
            idle, self._idle = self._idle, []
        for conn in idle:
            await asyncio.to_thread(close, conn)

    def _check(self, subject: str, password: str) -> bool:
        options, conn = self._options, self._take()
        filter_ = subject_filter(subject, options)
        try:
            try:
                found = list(search(conn, options.base, filter_, [options.id_attribute]))
            except DirectoryUnavailable:
                # The connection was idle, and the server may have closed it.
                close(conn)
                conn = open_service(options)
                found = list(search(conn, options.base, filter_, [options.id_attribute]))
            if len(found) != 1 or self._is_disabled(conn, subject):
                return False
            return binds(options, conn, found[0][0], password)
        except BaseException:
            close(conn)
            raise
        finally:
            self._give_back(conn)

    def _is_disabled(self, conn: Any, subject: str) -> bool:
        options = self._options
        if options.disabled_filter is None:
            return False
        both = f"(&{subject_filter(subject, options)}{options.disabled_filter})"
        return bool(list(search(conn, options.base, both, [options.id_attribute])))

    def _take(self) -> Any:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return open_service(self._options)

    def _give_back(self, conn: Any) -> None:
        with self._lock:
            if not conn.closed and len(self._idle) < _AT_ONCE:
                self._idle.append(conn)
                return
        close(conn)
