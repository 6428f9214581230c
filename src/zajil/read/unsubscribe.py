"""How a mailing list is left: List-Unsubscribe (RFC 2369), in one click where that is safe. Pure.

Security: one click sends a request to an address that the message names. It is offered only if
the message says so (RFC 8058), and a signature that this server found valid covers both fields;
else whoever changes a mail on its way could have this server send requests.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import parse_qs, unquote

from zajil.core.value_class import value_class
from zajil.mailauth.authres import FIELD_NAME
from zajil.mailauth.authres_read import read_results
from zajil.mailauth.tag_list import BadTagList, parse_tag_list
from zajil.message.fields import Field, unfold
from zajil.read.links import read_target

ONE_CLICK = b"List-Unsubscribe=One-Click"
"""Body of the request (RFC 8058 section 3.2)."""
_LONGEST = 8000
_MOST_URLS = 10
_URL = re.compile(r"<\s*([^<>]{1,4000}?)\s*>")


@value_class(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """The ways that a message offers, each ``""`` where there is none."""

    one_click: str = ""
    """``https`` URL for the request that takes nothing but a click."""
    address: str = ""
    """Whom to write to."""
    subject: str = ""
    """What to write to it."""
    page: str = ""
    """``https`` or ``http`` URL of a page to visit."""

    @property
    def is_empty(self) -> bool:
        """Whether the message offers none."""
        return not (self.one_click or self.address or self.page)


def read_unsubscribe(fields: Sequence[Field], authserv_id: str) -> Unsubscribe:
    """Return how a message lets its reader go.

    Args:
        fields: of the message, as it lies in the mailbox.
        authserv_id: the name of this server; ``""``: no results in its name can be believed.
    """
    value = _only(fields, b"list-unsubscribe")
    if not value:
        return Unsubscribe()
    page = address = subject = ""
    for url in _URL.findall(value[:_LONGEST])[:_MOST_URLS]:
        target = read_target(url)
        if target is None:
            continue
        if target.url.startswith("mailto:"):
            if not address:
                address, subject = target.host, _subject(url)
        elif not page or (target.url.startswith("https:") and page.startswith("http:")):
            page = target.url
    post = _only(fields, b"list-unsubscribe-post").strip().lower()
    is_safe = post == ONE_CLICK.decode("ascii").lower() and page.startswith("https:")
    one_click = page if is_safe and _is_signed(fields, authserv_id) else ""
    return Unsubscribe(one_click=one_click, address=address, subject=subject, page=page)


def _only(fields: Sequence[Field], name: bytes) -> str:
    """Return the value of a field; of several, none can be told from a forged one."""
    values = [field.value for field in fields if field.name == name]
    return unfold(values[0]).decode("utf-8", "replace") if len(values) == 1 else ""


def _subject(mailto: str) -> str:
    found = parse_qs(mailto.partition("?")[2][:2000], max_num_fields=20).get("subject", [""])[0]
    return " ".join(unquote(found).split())[:200]


def _is_signed(fields: Sequence[Field], authserv_id: str) -> bool:
    """Check whether a valid signature covers both fields (RFC 8058 section 4)."""
    valid = _valid_signatures(fields, authserv_id)
    return any(_covers(field.value, valid) for field in fields if field.name == b"dkim-signature")


def _covers(signature: bytes, valid: set[tuple[str, str]]) -> bool:
    try:
        tags = parse_tag_list(signature)
    except BadTagList:
        return False
    values = {
        name: "".join(tag.value.decode("utf-8", "replace").split()) for name, tag in tags.items()
    }
    names = set(values.get(b"h", "").lower().split(":"))
    if not {"list-unsubscribe", "list-unsubscribe-post"} <= names:
        return False
    return (values.get(b"d", "").lower(), values.get(b"b", "")[:8]) in valid


def _valid_signatures(fields: Sequence[Field], authserv_id: str) -> set[tuple[str, str]]:
    """Return domain and beginning of the signatures that this server found valid."""
    for field in fields:
        if authserv_id and field.name == FIELD_NAME:
            found = read_results(field.value)
            if found is not None and found.authserv_id.lower() == authserv_id.lower():
                passed = [one for one in found.results_of("dkim") if one.result == "pass"]
                told = [dict(one.properties) for one in passed]
                return {
                    (one.get("header.d", "").lower(), one["header.b"])
                    for one in told
                    if "header.b" in one
                }
    return set()
