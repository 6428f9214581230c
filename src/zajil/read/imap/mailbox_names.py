"""Names of mailboxes, and how a LIST response writes one. (RFC 9051 section 7.3.1, RFC 5258)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zajil.core.value_class import value_class
from zajil.imap.mailbox_name import SEPARATOR
from zajil.imap.response import mailbox, parenthesized, untagged
from zajil.read.imap.context import Context
from zajil.store.mail.mailboxes import INBOX, Mailbox, list_mailboxes, list_shared
from zajil.store.mail.subscriptions import list_subscriptions

ROLES = {
    "drafts": "\\Drafts",
    "sent": "\\Sent",
    "junk": "\\Junk",
    "trash": "\\Trash",
    "archive": "\\Archive",
}
"""Attributes of RFC 6154 section 2; INBOX needs none."""
ROLES_BY_USE = {use.lower(): role for role, use in ROLES.items()}
QUOTED_SEPARATOR = b'"' + SEPARATOR.encode("ascii") + b'"'


@value_class(frozen=True, slots=True)
class ListedName:
    """One name of the hierarchy."""

    name: str
    box: Mailbox | None = None
    """``None``: no mailbox has the name; some lie below it, or the account is subscribed to it."""
    has_children: bool = False
    """Mailboxes lie below it."""
    subscribed: bool = False
    subscribed_below: bool = False

    @property
    def is_there(self) -> bool:
        """A mailbox has this name, or lies below it; else there is no more than a subscription."""
        return self.box is not None or self.has_children

    @property
    def use(self) -> bytes:
        """The attribute of RFC 6154 section 2; empty: none, as all mailboxes of others."""
        if self.box is None or self.box.is_shared:
            return b""
        return ROLES.get(self.box.role or "", "").encode("ascii")


async def load_names(context: Context) -> tuple[list[ListedName], frozenset[str]]:
    """Return every name, also those that no mailbox has, and the subscriptions.

    INBOX is first, the others are sorted.
    """
    account_id = context.account.account_id
    found, subscribed = await context.read(
        lambda conn: (
            [*list_mailboxes(conn, account_id), *list_shared(conn, account_id)],
            list_subscriptions(conn, account_id),
        )
    )
    boxes = {box.name: box for box in found}
    above = {name for box in boxes for name in names_above(box)}
    above_subscribed = {parent for name in subscribed for parent in names_above(name)}
    names = [
        ListedName(
            name, boxes.get(name), name in above, name in subscribed, name in above_subscribed
        )
        for name in sorted(
            {*boxes, *subscribed, *above, *above_subscribed},
            key=lambda name: (name != INBOX, name),
        )
    ]
    return names, subscribed


def names_above(name: str) -> Iterator[str]:
    """Return the names of the levels above a name."""
    end = name.find(SEPARATOR)
    while end >= 0:
        yield name[:end]
        end = name.find(SEPARATOR, end + 1)


def list_line(
    name: ListedName,
    *,
    utf8: bool,
    knows_nonexistent: bool = True,
    tells_subscribed: bool = True,
    child_info: Sequence[str] = (),
    old_name: str = "",
) -> bytes:
    """Write the LIST response of a name.

    Args:
        name: of the hierarchy.
        utf8: the client takes names in UTF-8.
        knows_nonexistent: the client knows this attribute, which is of RFC 5258; it implies
            ``\\Noselect``, which all know.
        tells_subscribed: also whether the account is subscribed to it.
        child_info: selection options that hold for a name below it (RFC 5258 section 5).
        old_name: it was called so, or the client wrote it so (RFC 9051 section 6.3.9.7).
    """
    attributes: list[bytes] = []
    if name.box is None:
        # RFC 9051 section 9, mbx-list-sflag: one of the two.
        attributes.append(b"\\NonExistent" if knows_nonexistent else b"\\Noselect")
    elif "r" not in name.box.rights:
        attributes.append(b"\\Noselect")
    attributes.append(b"\\HasChildren" if name.has_children else b"\\HasNoChildren")
    if name.subscribed and tells_subscribed:
        attributes.append(b"\\Subscribed")
    if name.use:
        attributes.append(name.use)
    words = [b"LIST", parenthesized(attributes), QUOTED_SEPARATOR, mailbox(name.name, utf8=utf8)]
    extended: list[bytes] = []
    if child_info:
        options = " ".join([f'"{option}"' for option in child_info])
        extended.append(b'"CHILDINFO" (' + options.encode("ascii") + b")")
    if old_name:
        extended.append(b'"OLDNAME" (' + mailbox(old_name, utf8=utf8) + b")")
    if extended:
        words.append(parenthesized(extended))
    return untagged(*words)


async def tell_name(context: Context, name: str, old_name: str = "") -> None:
    """Send the LIST response of one mailbox to a client of IMAP4rev2, as it is now.

    Args:
        context: its session.
        name: of a mailbox, or of one that is gone.
        old_name: as ``list_line`` takes it.
    """
    names, _ = await load_names(context)
    listed = next((one for one in names if one.name == name), ListedName(name))
    context.engine.untagged(list_line(listed, utf8=True, old_name=old_name))
