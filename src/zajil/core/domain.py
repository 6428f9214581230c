"""Domain names in mail: U-labels for display, A-labels on the wire (RFC 5890).

A domain is stored and compared in its ASCII form, in lower case, without a trailing dot;
``to_unicode`` returns the display form. IDNA 2008 (RFC 5891) with the mapping of UTS 46 for input.
"""

from __future__ import annotations

import re

import idna

from zajil.core.errors import Invalid


class BadDomain(Invalid, ValueError):
    """Not a domain name that mail can go to."""


# LDH labels as RFC 5321 section 4.1.2 has them, and the underscore that DNS names use.
_ASCII_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*\Z"
)


def to_ascii(domain: str) -> str:
    """Return the A-label form, lower case, without a final dot.

    Raises:
        BadDomain: empty, too long, or not a name by IDNA 2008.
    """
    name = domain.removesuffix(".")
    # Security: what is longer is no name in any form, and IDNA takes its time with long input.
    if len(name) > 253:
        raise BadDomain("a domain name must have at most 253 characters")
    if name.isascii():
        name = name.lower()
        if not _ASCII_DOMAIN.match(name):
            raise BadDomain(f"not a domain name: {domain!r}")
        if "xn--" not in name:
            return name
    try:
        # The mapping makes dots of other marks too: U+3002 at the end is a final dot.
        name = idna.encode(name, uts46=True).decode("ascii").removesuffix(".")
    except (idna.IDNAError, UnicodeError) as error:
        raise BadDomain(f"not a domain name: {domain!r}: {error}") from None
    if not _ASCII_DOMAIN.match(name):
        raise BadDomain(f"not a domain name: {domain!r}")
    return name


def to_dns_name(domain: str) -> str:
    """Return the A-label form of a name that others publish, lower case, without a final dot.

    What is ASCII is taken as it stands: DNS has names that are none by IDNA 2008 (``xn--ls8h``).

    Raises:
        BadDomain: empty, too long, or not a name.
    """
    name = domain.removesuffix(".").lower()
    return name if _ASCII_DOMAIN.match(name) else to_ascii(domain)


def to_unicode(domain: str) -> str:
    """Return the form that people read; a name that has none is returned as it is."""
    if "xn--" not in domain:
        return domain
    try:
        return idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return domain


def is_public_name(ascii_name: str) -> bool:
    """Whether a name can be one that others look up: a full one, and not this machine's own.

    Args:
        ascii_name: of ``to_ascii``.

    Returns:
        False for a single label, an address (no top-level domain is all digits), and localhost
        with what is below it (RFC 6761 section 6.3).
    """
    labels = ascii_name.split(".")
    is_local = labels[-1] in ("localhost", "localdomain")
    return len(labels) > 1 and not labels[-1].isdigit() and not is_local
