"""What the checks are called in a story; a key of the catalogs each. Pure."""

from __future__ import annotations


def mark(text: str) -> str:
    """Mark a text for the catalogs; it is translated where it is shown."""
    return text


CHECK_NAMES: dict[str, str] = {
    "format": mark("message format"),
    "iprev": mark("the server's name (iprev)"),
    "dns lists": mark("lists of bad servers (DNS)"),
    "spf": mark("may this server send it (SPF)"),
    "spf helo": mark("is the server who it says (SPF)"),
    "dkim": mark("signatures (DKIM)"),
    "arc": mark("seals of forwarders (ARC)"),
    "dmarc": mark("the author's domain (DMARC)"),
    "bimi": mark("the author's logo (BIMI)"),
    "clamav": mark("malware (ClamAV)"),
    "rspamd": mark("a second opinion (Rspamd)"),
}
"""By the name that a ``check.done`` event has; one that is not here is shown as it is."""
