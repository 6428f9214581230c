"""Filing: INBOX or Junk by the verdict, and whatever else a rule may answer."""

from __future__ import annotations

from kit.address_book import AMAL
from zajil.accept.filing import Filing, choose_mailbox
from zajil.store.mail.intake import Place


def test_good_mail_is_filed_into_inbox() -> None:
    assert choose_mailbox(AMAL, why_junk=None) == Filing(
        (Place(AMAL.inbox, "INBOX"),), "The message passed the checks."
    )


def test_junk_is_filed_into_junk_with_its_reason() -> None:
    filing = choose_mailbox(AMAL, why_junk="The message has more than one From field.")
    assert filing == Filing(
        (Place(AMAL.junk, "Junk"),), "The message has more than one From field."
    )
    assert choose_mailbox(AMAL, why_junk="").reason
