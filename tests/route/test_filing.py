from __future__ import annotations

from kit.address_book import AMAL
from zajil.route.filing import Filing, choose_mailbox


def test_good_mail_lies_in_inbox() -> None:
    """Design D12."""
    assert choose_mailbox(AMAL, is_junk=False) == Filing(
        AMAL.inbox, "INBOX", "Nothing speaks against it."
    )


def test_junk_lies_in_junk_with_its_reason() -> None:
    filing = choose_mailbox(AMAL, is_junk=True, why_junk="It names its author more than once.")
    assert filing == Filing(AMAL.junk, "Junk", "It names its author more than once.")
    assert choose_mailbox(AMAL, is_junk=True).reason
