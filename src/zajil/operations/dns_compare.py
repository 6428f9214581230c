"""Whether the values of an answer are what a DNS record should say. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from zajil.operations.dns_record import DnsRecord

_POLICIES = ("none", "quarantine", "reject")


def compare(
    record: DnsRecord, values: Sequence[str]
) -> tuple[Literal["found", "missing", "other", "optional"], tuple[str, ...]]:
    """Return the state of a record, and the values that stand in its place.

    Args:
        record: as it should be.
        values: of the answer for its name and type, as ``dns.flow.Answer`` has them.
    """
    wanted = unquote(record.value)
    found = tuple(one for one in values if _is_same_kind(wanted, one))
    if not found:
        return "optional" if record.is_optional else "missing", ()
    if record.is_open:  # the operator knows the address of the server; any is taken
        return "found", found
    is_same = [_normal(record, one) == _normal(record, wanted) for one in found]
    # One of several addresses or mail servers is enough; of policies and keys one may stand there.
    good = any(is_same) if record.type != "TXT" else all(is_same) and len(found) == 1
    return "found" if good else "other", found


def unquote(value: str) -> str:
    """Return the text of a TXT record from its strings in quotes; other values as they are."""
    if not value.startswith('"'):
        return value
    text = value.strip('"').replace('" "', "")
    return text.replace('\\"', '"').replace("\\\\", "\\")


def _is_same_kind(wanted: str, found: str) -> bool:
    """Return whether a value may stand in the place of the wanted one: v=spf1, v=DMARC1 ..."""
    if not wanted.startswith("v="):
        return True
    first = wanted.split(maxsplit=1)[0].rstrip(";").casefold()
    if first == "v=dkim1":  # RFC 6376 section 3.6.1: v= may be left out
        return not found.casefold().startswith("v=") or found.casefold().startswith(first)
    return found.casefold().startswith(first)


def _normal(record: DnsRecord, value: str) -> str:
    """Return what matters of a value.

    That is the host of MX, port and host of SRV, the key of DKIM, that DMARC has a policy and that
    reports of TLS go somewhere.
    """
    text = value.removesuffix(".").casefold()
    if record.type == "MX":
        return text.rpartition(" ")[2]
    if record.type == "SRV":  # port and host; priority and weight are the operator's choice
        return " ".join(text.split()[2:])
    if record.type == "CAA":  # the path of an account's URL has its case
        return "".join(value.split())
    tags = {
        name.strip().casefold(): rest.strip()
        for name, equals, rest in (part.partition("=") for part in value.split(";"))
        if equals
    }
    if "._domainkey." in record.name:
        return "".join(tags.get("p", "").split())
    if record.name.startswith("_dmarc."):
        return "policy" if tags.get("p", "").casefold() in _POLICIES else text
    if record.name.startswith("_smtp._tls."):
        return "reported" if tags.get("rua") else text
    if record.name.startswith("_mta-sts."):
        return tags.get("id", "")
    return " ".join(text.split())
