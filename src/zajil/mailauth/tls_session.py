"""How the TLS of one outgoing connection went, in the words of TLS reports (RFC 8460)."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple


class TlsFailure(StrEnum):
    """Why a connection was not as secure as the other domain wants it (RFC 8460 section 4.3)."""

    NO_STARTTLS = "starttls-not-supported"
    HOST_MISMATCH = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"
    NOT_TRUSTED = "certificate-not-trusted"
    OTHER = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    POLICY_FETCH = "sts-policy-fetch-error"
    POLICY_INVALID = "sts-policy-invalid"


class TlsPolicy(NamedTuple):
    """What a domain demanded of the connection (RFC 8460 section 4.4)."""

    type: str
    """``sts``, ``tlsa`` or ``no-policy-found``."""
    text: tuple[str, ...] = ()
    """Lines of the MTA-STS policy, or TLSA records as in a zone file."""
    hosts: tuple[str, ...] = ()
    """Host names and patterns of the MTA-STS policy."""


NO_POLICY = TlsPolicy("no-policy-found")


class TlsProblem(NamedTuple):
    """Why a connection was not as secure as it should be."""

    failure: TlsFailure
    reason: str = ""
    """A word or a sentence for what exactly failed."""


class TlsSession(NamedTuple):
    """One connection, or one that could not be made for a reason of TLS."""

    policy: TlsPolicy
    problem: TlsProblem | None = None
    """``None``: it was as secure as the policy demands."""
    host: str = ""
    """Name of the mail server; only beside a problem."""
    address: str = ""
    """Its IP address; only beside a problem."""


NoteTlsSession = Callable[[int, str, TlsSession], None]
"""Counts a connection: the time in ms, the domain that the mail is for, and how it went."""
