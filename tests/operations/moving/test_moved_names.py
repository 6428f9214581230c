"""What foreign mailboxes are called here, and which roles they have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.imap.mailbox_name import is_shared_name, normal_name
from zajil.operations.moving.names import own_name, read_level, role_of


@pytest.mark.parametrize(
    ("levels", "role"),
    [
        (("INBOX",), "inbox"),
        (("Inbox",), "inbox"),
        (("Sent Items",), "sent"),
        (("INBOX", "Sent"), "sent"),
        (("[Gmail]", "Sent Mail"), "sent"),
        (("العناصر المحذوفة",), "trash"),
        (("المسودات",), "drafts"),
        (("البريد غير المرغوب فيه",), "junk"),
        (("Éléments envoyés",), "sent"),
        (("Gelöschte Elemente",), "trash"),
        (("Архив",), "archive"),
        (("Work", "Sent"), None),
        (("Projects",), None),
        ((), None),
    ],
)
def test_roles_by_name(levels: tuple[str, ...], role: str | None) -> None:
    """RFC 6154 has attributes; what has none is known by its name."""
    assert role_of(levels) == role


@given(st.lists(st.text(), max_size=30), st.lists(st.text(max_size=5), max_size=2))
def test_every_name_has_a_form_here(levels: list[str], prefix: list[str]) -> None:
    name = own_name(levels, prefix)
    assert normal_name(name) == name
    assert not is_shared_name(name)


@given(st.binary())
def test_every_name_of_a_file_is_read(raw: bytes) -> None:
    read_level(raw.replace(b"/", b"").replace(b"\0", b""))


def test_long_names_stay_different() -> None:
    one, two = own_name(["a" * 300 + "1"]), own_name(["a" * 300 + "2"])
    assert one != two
    assert len(one) <= 255
