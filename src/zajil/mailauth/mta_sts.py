"""The MTA-STS policies of other domains: TXT record and policy file (RFC 8461). Pure.

Law: linear in the text; raises ``BadStsPolicy`` and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from zajil.core.errors import Malformed
from zajil.core.value_class import value_class

MAX_POLICY_SIZE = 65_536
"""Bytes of a policy; RFC 8461 section 3.3 suggests this limit."""
MAX_AGE_SECONDS = 31_557_600
"""RFC 8461 section 3.2: about a year; more counts as this."""
_MAX_MX = 500
"""Patterns of a policy; large domains have about ten."""

StsMode = Literal["enforce", "testing", "none"]

_MODES: dict[str, StsMode] = {"enforce": "enforce", "testing": "testing", "none": "none"}
# RFC 8461 section 3.1.
_RECORD = re.compile(r"v=STSv1[ \t]*(?:;.*)?", re.DOTALL)
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
# RFC 8461 section 3.2: letters, digits and hyphens, with one "*" as the whole first label.
_MX = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_AGE = re.compile(r"[0-9]{1,10}")


class BadStsPolicy(Malformed, ValueError):
    """The file is no policy; the message says why."""


@value_class(frozen=True, slots=True)
class StsPolicy:
    """What a domain demands of whoever sends it mail."""

    mode: StsMode
    mx: tuple[str, ...]
    """Host names in lower case, or ``*.example.net`` for one label more."""
    max_age_seconds: int

    def permits(self, host: str) -> bool:
        """Return whether a host may take the domain's mail (RFC 8461 section 4.1)."""
        name = host.lower().rstrip(".")
        parent = f"*.{name.partition('.')[2]}"
        return "*" not in name and (name in self.mx or parent in self.mx)


def parse_sts_record(values: Iterable[str]) -> str | None:
    """Return the id in the TXT records of ``_mta-sts.DOMAIN``; ``None``: it has no policy.

    RFC 8461 section 3.1: other records are ignored, and several count as none.
    """
    records = [value for value in values if _RECORD.fullmatch(value)]
    if len(records) != 1:
        return None
    for field in records[0].split(";")[1:]:
        name, equals, value = field.partition("=")
        if equals and name.strip() == "id":
            value = value.strip()
            return value if _ID.fullmatch(value) else None
    return None


def parse_sts_policy(data: bytes) -> StsPolicy:
    """Read the file ``/.well-known/mta-sts.txt`` (RFC 8461 section 3.2).

    Raises:
        BadStsPolicy: it is no valid policy.
    """
    if len(data) > MAX_POLICY_SIZE:
        raise BadStsPolicy("it is too large")
    try:
        lines = data.decode("utf-8", "strict").split("\n")
    except UnicodeDecodeError:
        raise BadStsPolicy("it is not UTF-8") from None
    fields: dict[str, str] = {}
    hosts: dict[str, None] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        key, value = name.strip(), value.strip()
        if key == "mx" and colon:
            hosts[_read_mx(value)] = None
        elif colon:
            fields.setdefault(key, value)  # of a field that comes twice, the first one counts
    if fields.get("version") != "STSv1":
        raise BadStsPolicy("its version is not STSv1")
    mode = _MODES.get(fields.get("mode", ""))
    if mode is None:
        raise BadStsPolicy("it has no valid mode")
    age = fields.get("max_age", "")
    if not _AGE.fullmatch(age):
        raise BadStsPolicy("it has no valid max_age")
    if len(hosts) > _MAX_MX or (mode != "none" and not hosts):
        raise BadStsPolicy("it names no mail server, or too many")
    return StsPolicy(mode, tuple(hosts), min(int(age), MAX_AGE_SECONDS))


def _read_mx(value: str) -> str:
    name = value.lower().rstrip(".")
    if not _MX.fullmatch(name):
        raise BadStsPolicy("a mail server in it is not a host name")
    return name
