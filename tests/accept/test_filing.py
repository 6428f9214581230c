"""Filing: INBOX or Junk by the verdict, and whatever else a rule may answer."""

from __future__ import annotations

from kit.address_book import AMAL
from zajil.accept.filing import Filing, choose_mailbox
from zajil.store.mail.intake import Place


def test_good_mail_is_filed_into_inbox() -> None:
    assert choose_mailbox(AMAL, why_junk=None) == Filing(
        (Place(AMAL.inbox, "INBOX"),), "Nothing speaks against it."
    )


def test_junk_is_filed_into_junk_with_its_reason() -> None:
    filing = choose_mailbox(AMAL, why_junk="It names its author more than once.")
    assert filing == Filing((Place(AMAL.junk, "Junk"),), "It names its author more than once.")
    assert choose_mailbox(AMAL, why_junk="").reason
