"""The MTA-STS policy of our domains: what other servers read before they send (RFC 8461). Pure."""

from __future__ import annotations

import hashlib

from zajil.config.options import Configuration

_ID_DIGITS = 16


def policy_text(configuration: Configuration) -> bytes:
    """Return the policy, the same for each domain of ours (RFC 8461 section 3.2).

    It is served at ``https://mta-sts.DOMAIN/.well-known/mta-sts.txt``. Lines end in CRLF.
    """
    options = configuration.mta_sts
    hosts = options.mx or (configuration.server.hostname,)
    lines = ["version: STSv1", f"mode: {options.mode}"]
    if options.mode != "none":
        lines += [f"mx: {host}" for host in hosts]
    lines.append(f"max_age: {options.max_age_ms // 1000}")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def policy_id(configuration: Configuration) -> str:
    """Return the id for the TXT record ``_mta-sts.DOMAIN``: another one for each other policy.

    RFC 8461 section 3.1: 1 to 32 letters and digits.
    """
    return hashlib.sha256(policy_text(configuration)).hexdigest()[:_ID_DIGITS]
