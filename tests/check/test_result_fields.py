from __future__ import annotations

from zajil.check.result_fields import forged_ranges, result_field
from zajil.message.fields import cut_ranges
from zajil.testing.facts import make_facts
from zajil.testing.mail import make_letter

FORGED = b"Authentication-Results: mx.north.test;\r\n\tdkim=pass\r\n"
FOREIGN = b"Authentication-Results: mx.south.test; spf=pass\r\n"


def test_forged_fields_are_cut_and_foreign_ones_stay() -> None:
    """RFC 8601 section 5."""
    letter = make_letter(extra=b"X: y\r\n")
    facts = make_facts(FORGED + FOREIGN + FORGED + letter)
    body = facts.body if isinstance(facts.body, bytes) else facts.body.read_at(0, facts.size)
    assert cut_ranges(facts.header, forged_ranges(facts)) + body == FOREIGN + letter


def test_a_submission_does_not_give_the_log_in_name_away() -> None:
    """RFC 8601 section 2.7.4: smtp.auth may be told; every recipient would read it."""
    field = result_field(make_facts(make_letter(), login="secret-login"), ())
    assert b"auth=pass smtp.mailfrom=" in field
    assert b"secret-login" not in field


def test_foreign_mail_has_no_results_yet() -> None:
    field = result_field(make_facts(make_letter()), ())
    assert field == b"Authentication-Results: mx.north.test; none\r\n"
