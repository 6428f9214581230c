"""Where a message of Gmail belongs: it has labels there, and here it is in one mailbox.

Law: Trash and Spam come first, then what the owner still had in the inbox, then the first label of
the owner's own; what has none is archived. The other labels become labels here.
"""

from __future__ import annotations

from collections.abc import Sequence

from zajil.operations.moving.model import LabelPlace

_ROLES = (
    ("trash", ("trash", "papierkorb", "corbeille", "المهملات", "سلة المهملات")),
    ("junk", ("spam", "pourriel", "الرسائل غير المرغوب فيها", "غير مرغوب فيها")),
    ("drafts", ("draft", "drafts", "entwurf", "entwürfe", "brouillon", "brouillons", "المسودات")),
    ("inbox", ("inbox", "posteingang", "boîte de réception", "البريد الوارد", "صندوق الوارد")),
    ("sent", ("sent", "gesendet", "messages envoyés", "البريد المرسل", "المرسلة")),
)
"""Role, and the names of the label that means it, as Takeout writes it in several languages."""
_STATES = {
    *("unread", "opened", "starred", "important", "archived", "chat", "muted", "snoozed"),
    *("ungelesen", "geöffnet", "markiert", "wichtig", "archiviert"),
    *("non lus", "ouvert", "suivis", "importants", "messages archivés"),
    *("غير مقروءة", "مفتوحة", "مميزة بنجمة", "مهمة", "مؤرشفة"),
}
"""Labels that tell a state, not a place."""


def place_by_labels(labels: Sequence[str]) -> LabelPlace:
    """Return where a message with these labels goes."""
    lower = {one.casefold() for one in labels}
    role = next((role for role, names in _ROLES if lower.intersection(names)), None)
    own = [one for one in labels if not _is_system(one.casefold())]
    if role in ("trash", "junk", "drafts", "inbox") or (role == "sent" and not own):
        return LabelPlace((role.capitalize(),), role, tuple(own))
    if own:
        return LabelPlace(tuple(own[0].split("/")), None, tuple(own[1:]))
    return LabelPlace(("Archive",), "archive")


def _is_system(name: str) -> bool:
    return name in _STATES or name.startswith("category ") or any(name in n for _, n in _ROLES)
