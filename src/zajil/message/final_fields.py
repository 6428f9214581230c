"""The fields that the last server writes for one copy: Return-Path and Delivered-To.

(RFC 5321 section 4.4.) They are kept beside the message, not in it: all copies share its bytes,
and a Bcc must not be told of the others.
"""

from __future__ import annotations

from zajil.core.address import Address


def write_final_fields(reverse_path: Address | None, delivered_to: Address) -> str:
    """Write both fields, each with its CRLF.

    Args:
        reverse_path: of the envelope; ``None`` is the null path.
        delivered_to: the recipient as it was addressed.
    """
    path = str(reverse_path) if reverse_path else ""
    return f"Return-Path: <{path}>\r\nDelivered-To: {delivered_to}\r\n"
