"""Names below a domain of ours that other servers and mail programs ask over HTTPS. Pure."""

from __future__ import annotations

POLICY_LABEL = "mta-sts"
"""``mta-sts.DOMAIN`` serves the MTA-STS policy (RFC 8461 section 3.3)."""
SETTINGS_LABELS = ("autoconfig", "autodiscover")
"""``autoconfig.DOMAIN`` (Thunderbird and others) and ``autodiscover.DOMAIN`` (Outlook) serve the
settings of mail programs."""


def public_names(domain: str) -> tuple[str, ...]:
    """Return the names that HTTPS serves for a domain, beside the name of the server.

    Args:
        domain: in A-labels.
    """
    return tuple(f"{label}.{domain}" for label in (POLICY_LABEL, *SETTINGS_LABELS))
