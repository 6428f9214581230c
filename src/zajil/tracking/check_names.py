"""Display names of the checks; each is a key of the catalogs. Pure."""

from __future__ import annotations


def mark(text: str) -> str:
    """Mark a text for the catalogs; it is translated where it is shown."""
    return text


CHECK_NAMES: dict[str, str] = {
    "format": mark("message format"),
    "iprev": mark("server name (iprev)"),
    "dns lists": mark("DNS blocklists"),
    "spf": mark("sending server (SPF)"),
    "spf helo": mark("name of the sending server (SPF)"),
    "dkim": mark("signatures (DKIM)"),
    "arc": mark("seals of forwarders (ARC)"),
    "dmarc": mark("author domain (DMARC)"),
    "bimi": mark("author logo (BIMI)"),
    "clamav": mark("malware (ClamAV)"),
    "rspamd": mark("spam score (Rspamd)"),
}
"""By the name that a ``check.done`` event has; one that is not here is shown as it is."""
