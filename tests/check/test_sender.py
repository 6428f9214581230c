from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kit.facts import make_facts
from kit.zone import Zone, ZoneResolver, answer_from_zone
from zajil.accept.forward_seal import chain_state
from zajil.check.sender.findings import SenderFindings
from zajil.check.sender.forwarding import find_override
from zajil.check.sender.peer import Iprev, PeerFindings
from zajil.check.sender.sender import check_sender
from zajil.check.verdict.verdict import Action, Thresholds, decide
from zajil.config.options_check import CheckOptions, SenderOptions
from zajil.dns.flow import Answer, Question
from zajil.mailauth.arc_seal import SEAL_NEED, seal_arc
from zajil.mailauth.authres import write_field
from zajil.mailauth.dkim_body import BodyDigests, body_needs
from zajil.mailauth.dkim_sign import SigningKey, sign_dkim
from zajil.message.fields import read_fields, split_message
from zajil.net.peer import LOCAL, Peer

LETTER = (
    b"From: Sami <sami@south.test>\r\nTo: amal@north.test\r\nSubject: hi\r\n"
    b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\nHello.\r\n"
)


def make_key(domain: str, number: int = 1) -> tuple[SigningKey, dict[str, Any]]:
    private = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    record = f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}"
    zone = {f"key._domainkey.{domain}": {"TXT": [record]}}
    return SigningKey(domain, "key", "ed25519-sha256", private), zone


def sign(message: bytes, key: SigningKey) -> bytes:
    end, start = split_message(message)
    digests = BodyDigests([SEAL_NEED])
    digests.feed(message[start:])
    return sign_dkim(message[:end], read_fields(message[:end]), digests, key, now_s=1) + message


def seal(message: bytes, key: SigningKey, results: bytes, cv: str = "none") -> bytes:
    end, start = split_message(message)
    header = message[:end]
    digests = BodyDigests([SEAL_NEED])
    digests.feed(message[start:])
    sealed = seal_arc(
        header,
        read_fields(header),
        digests,
        key,
        authserv_id="lists.test",
        results=results,
        cv=cv,
        now_s=1,
    )
    return sealed + message


def check(
    message: bytes,
    zone: Zone,
    *,
    login: str | None = None,
    options: Mapping[str, Any] | None = None,
    name: str | None = None,
    **changes: Any,
) -> SenderFindings:
    facts = replace(make_facts(message, login=login), **changes)
    _, start = split_message(message)
    digests = BodyDigests(body_needs(facts.fields))
    digests.feed(message[start:])
    peer = None
    if name is not None:
        peer = PeerFindings(Iprev("pass", name, "", ()), (), (), (), ())
    return asyncio.run(
        check_sender(
            facts,
            digests,
            ZoneResolver(zone).resolve,
            CheckOptions.model_validate({"sender": options or {}}),
            peer,
        )
    )


def signals(found: SenderFindings) -> list[str]:
    return sorted(reason.signal for reason in found.reasons)


SPF = {"south.test": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}}
THERE: dict[str, Any] = {"south.test": {}}
NO_SPF = {"south.test": {"TXT": ["v=spf1 -all"]}}
REJECT = {"_dmarc.south.test": {"TXT": ["v=DMARC1; p=reject"]}}
QUARANTINE = {"_dmarc.south.test": {"TXT": ["v=DMARC1; p=quarantine"]}}


def test_a_mail_that_is_proven() -> None:
    found = check(LETTER, {**SPF, **REJECT})
    assert signals(found) == ["dmarc.pass"]
    assert decide(found.reasons, Thresholds()).action is Action.ACCEPT
    assert [(one.method, one.result) for one in found.results] == [
        ("spf", "pass"),
        ("dkim", "none"),
        ("arc", "none"),
        ("dmarc", "pass"),
    ]
    assert write_field("mx.north.test", found.results).decode() == (
        "Authentication-Results: mx.north.test;\r\n"
        "\tspf=pass smtp.mfrom=sami@south.test;\r\n"
        "\tdkim=none;\r\n\tarc=none;\r\n"
        "\tdmarc=pass header.from=south.test policy.dmarc=reject\r\n"
    ).replace("mfrom", "mailfrom")
    assert [event.check for event in found.events] == ["spf", "dkim", "dmarc"]
    assert found.events[0].inputs


def test_a_refusing_policy_alone_makes_junk() -> None:
    """RFC 9989 section 7.4: ``p=reject`` alone never rejects."""
    found = check(LETTER, {**NO_SPF, **REJECT})
    assert signals(found) == ["dmarc.fail-reject", "spf.fail"]
    assert decide(found.reasons, Thresholds()).action is Action.JUNK


def test_a_suspecting_policy_makes_junk() -> None:
    found = check(LETTER, {**NO_SPF, **QUARANTINE})
    assert decide(found.reasons, Thresholds()).action is Action.JUNK


def test_without_any_policy_nothing_is_said() -> None:
    found = check(LETTER, THERE)
    assert found.reasons == ()
    assert found.dmarc is not None
    assert found.dmarc.result == "none"


@pytest.mark.parametrize("name", ["south.test", "_dmarc.south.test", "_dmarc.test"])
def test_what_dns_does_not_say_counts_nothing(name: str) -> None:
    """Decision 0007, law 3."""
    assert check(LETTER, {name: None}).reasons == ()


def test_a_submission_is_not_checked() -> None:
    assert check(LETTER, {**NO_SPF, **REJECT}, login="amal") == SenderFindings()


def test_it_can_be_turned_off() -> None:
    assert check(LETTER, {**NO_SPF, **REJECT}, options={"enabled": False}) == SenderFindings()


def test_the_null_path_is_checked_by_the_name_in_ehlo() -> None:
    """RFC 7208 section 2.4; written down as smtp.helo, for there is no other name."""
    zone = {"mx.south.test": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}, **REJECT}
    found = check(LETTER, zone, reverse_path=None)
    assert found.spf is not None
    assert (found.spf.result, found.spf_helo) == ("pass", None)
    assert found.results[0].properties == (("smtp.helo", "mx.south.test"),)
    assert found.dmarc is not None
    assert found.dmarc.result == "pass"


def test_a_server_that_lies_about_its_name() -> None:
    found = check(LETTER, {**THERE, "mx.south.test": {"TXT": ["v=spf1 -all"]}})
    assert signals(found) == ["spf.helo-fail"]


def test_a_signature_is_told_with_all_its_names() -> None:
    """RFC 8601 section 2.7.1, and RFC 6008 section 4 for ``header.b``."""
    key, zone = make_key("south.test")
    message = sign(LETTER, key)
    found = check(message, {**NO_SPF, **REJECT, **zone})
    assert signals(found) == ["dmarc.pass"]  # forwarding breaks SPF, and it does not matter
    (dkim,) = [one for one in found.results if one.method == "dkim"]
    assert dkim.result == "pass"
    assert [name for name, _ in dkim.properties] == [
        "header.d",
        "header.i",
        "header.s",
        "header.a",
        "header.b",
    ]
    assert dkim.properties[-1][1].encode() in message


def test_a_changed_body_is_told_in_a_sentence() -> None:
    key, zone = make_key("south.test")
    found = check(sign(LETTER, key).replace(b"Hello.", b"Pay me."), {**THERE, **zone})
    assert signals(found) == ["dkim.fail-body"]
    assert found.reasons[0].text == (
        "The DKIM signature of south.test is invalid: the body was changed."
    )
    (event,) = [event for event in found.events if event.check == "dkim"]
    assert event.reason == "The body was changed after south.test signed it (body hash mismatch)."


@pytest.mark.parametrize("peer", [None, Peer(LOCAL, 0, "unix:/x")])
def test_where_spf_cannot_be_asked_dmarc_fails_nobody(peer: Peer | None) -> None:
    """A program in front of us (LMTP) knows the peer; half of the proofs are missing here."""
    found = check(LETTER, {**SPF, **REJECT}, peer=peer)
    assert (found.spf, signals(found)) == (None, [])
    assert found.dmarc is not None
    assert (found.dmarc.result, found.dmarc.policy) == ("temperror", "reject")
    assert "only a signature can authenticate the message" in found.dmarc.reason
    key, zone = make_key("south.test")
    assert signals(check(sign(LETTER, key), {**zone, **REJECT}, peer=peer)) == ["dmarc.pass"]


def test_two_signatures_that_broke_alike_are_told_once() -> None:
    key, zone = make_key("south.test")
    twice = sign(sign(LETTER, key), key).replace(b"Hello.", b"Pay me.")
    (event,) = [event for event in check(twice, {**zone}).events if event.check == "dkim"]
    assert event.reason == "The body was changed after south.test signed it (body hash mismatch)."


def test_a_changed_header_section_is_told_in_a_sentence() -> None:
    key, zone = make_key("south.test")
    found = check(sign(LETTER, key).replace(b"Subject: ", b"Subject: Re: "), {**THERE, **zone})
    assert signals(found) == ["dkim.fail"]
    assert "the header section was changed" in found.reasons[0].text


def forwarded() -> tuple[bytes, dict[str, Any]]:
    """Give a mail that a list changed and sealed, and DNS."""
    key, zone = make_key("lists.test", 2)
    told = b"dmarc=pass header.from=south.test; spf=pass smtp.mailfrom=sami@south.test"
    changed = LETTER.replace(b"Hello.", b"Hello.\r\n-- \r\nthe list")
    return seal(changed, key, told), {**NO_SPF, **REJECT, **zone}


def test_a_chain_that_dns_does_not_tell_of_is_not_called_broken() -> None:
    """Who forwards the mail would close it for good (RFC 8617 section 5.1.2)."""
    message, zone = forwarded()
    silent = {name: None if "_domainkey" in name else records for name, records in zone.items()}
    found = check(message, silent)
    assert "arc" not in [one.method for one in found.results]
    value = write_field("mx.north.test", found.results).partition(b":")[2]
    assert chain_state(value, make_facts(message).fields) is None
    (event,) = [event for event in found.events if event.check == "arc"]
    assert (event.result, "DNS lookup of" in event.reason) == ("fail", True)


def test_a_trusted_sealer_overrides() -> None:
    message, zone = forwarded()
    assert "dmarc.fail-reject" in signals(check(message, zone))
    found = check(message, zone, options={"trusted_sealers": ["lists.test"]})
    assert signals(found) == ["arc.trusted"]
    assert found.override is not None
    assert (found.override.kind, found.override.comment) == (
        "local_policy",
        "arc=pass as[1].d=lists.test",
    )
    assert decide(found.reasons, Thresholds()).action is Action.ACCEPT


@pytest.mark.parametrize(
    ("trusted", "answers", "result"),
    [(True, False, "temperror"), (False, False, "fail"), (True, True, "fail")],
)
def test_dns_that_hides_a_trusted_seal_decides_nothing(
    trusted: bool, answers: bool, result: str
) -> None:
    """Decision 0007, law 3. A key that is not there at all is no excuse."""
    message, zone = forwarded()
    key = next(name for name in zone if "_domainkey" in name)
    records: Zone = {**zone, key: {} if answers else None}
    options = {"trusted_sealers": ["lists.test"] if trusted else []}
    found = check(message, records, options=options)
    assert found.dmarc is not None
    assert found.dmarc.result == result
    assert ("dmarc.fail-reject" in signals(found)) == (result == "fail")


def test_the_silent_dns_of_a_stranger_is_no_excuse() -> None:
    """A seal that claims to be by somebody we trust, over a signature that nobody can look up."""
    message, zone = forwarded()
    forged = message.replace(
        b"c=relaxed/relaxed;\r\n d=lists.test", b"c=relaxed/relaxed; d=evil.test"
    )
    assert forged != message
    records: Zone = {**zone, "key._domainkey.evil.test": None}
    found = check(forged, records, options={"trusted_sealers": ["lists.test"]})
    assert found.arc is not None
    assert (found.arc.cv, found.arc.silent_domain) == ("fail", "evil.test")
    assert "dmarc.fail-reject" in signals(found)


@pytest.mark.parametrize(
    "told",
    [
        b"dmarc=fail header.from=south.test",
        b"dmarc=pass header.from=evil.test",
        b"dmarc=pass",
        b"dmarc=none (dmarc=pass header.from=south.test)",
        b'spf=none reason="; dmarc=pass header.from=south.test"',
    ],
)
def test_a_trusted_sealer_that_saw_no_pass_overrides_nothing(told: bytes) -> None:
    key, zone = make_key("lists.test", 2)
    found = check(
        seal(LETTER, key, told),
        {**NO_SPF, **REJECT, **zone},
        options={"trusted_sealers": ["lists.test"]},
    )
    assert found.override is None


def test_a_seal_that_leaves_something_open_vouches_for_nothing() -> None:
    """Anybody may have put another author, or more text, beside what was sealed."""
    message, zone = forwarded()
    options = SenderOptions(trusted_sealers=("lists.test",))
    found = check(message, zone, options={"trusted_sealers": ["lists.test"]})
    assert found.arc is not None
    assert found.dmarc is not None
    facts = make_facts(message)
    whole = find_override(facts, options, None, found.spf, found.arc, found.dmarc)
    assert whole is not None
    for part in (replace(found.arc, covers_from=False), replace(found.arc, covers_body=False)):
        assert find_override(facts, options, None, found.spf, part, found.dmarc) is None


def test_a_stranger_above_a_trusted_sealer_ends_the_trust() -> None:
    message, zone = forwarded()
    evil, evil_zone = make_key("evil.test", 3)
    again = seal(message, evil, b"dmarc=pass header.from=south.test", "pass")
    zone = {**zone, **evil_zone}
    found = check(again, zone, options={"trusted_sealers": ["lists.test"]})
    assert found.arc is not None
    assert (found.arc.cv, found.arc.sealers) == ("pass", ("lists.test", "evil.test"))
    assert found.override is None
    both = check(again, zone, options={"trusted_sealers": ["lists.test", "evil.test"]})
    assert both.override is not None


@pytest.mark.parametrize(
    "options",
    [
        {"trusted_forwarders": ["192.0.2.0/24"]},
        {"trusted_forwarder_names": ["forwarder.test"]},
    ],
)
def test_a_trusted_forwarder_overrides(options: dict[str, Any]) -> None:
    found = check(LETTER, {**NO_SPF, **REJECT}, options=options, name="mx.forwarder.test")
    assert signals(found) == ["dmarc.trusted-forwarder"]
    assert found.override is not None
    assert found.override.kind == "trusted_forwarder"


def test_a_name_that_is_not_confirmed_is_nobody() -> None:
    options = {"trusted_forwarder_names": ["forwarder.test"]}
    found = check(LETTER, {**NO_SPF, **REJECT}, options=options, claimed_name="mx.forwarder.test")
    assert found.override is None


def test_too_many_authors_are_refused() -> None:
    """RFC 9989 section 11.5."""
    crowd = b", ".join(b"a@a%d.test" % number for number in range(9))
    found = check(LETTER.replace(b"Sami <sami@south.test>", crowd), {})
    assert signals(found) == ["dmarc.many-authors"]
    assert decide(found.reasons, Thresholds()).action is Action.REJECT


def test_the_second_from_does_not_hide_behind_the_first() -> None:
    found = check(b"From: <a@evil.test>\r\n" + LETTER, {**NO_SPF, **REJECT})
    assert "dmarc.fail-reject" in signals(found)


def test_questions_are_asked_side_by_side() -> None:
    """While SPF waits, DKIM asks for its key."""
    key, zone = make_key("south.test")
    message = sign(LETTER, key)
    facts = make_facts(message)
    digests = BodyDigests(body_needs(facts.fields))
    digests.feed(b"Hello.\r\n")
    waiting: list[str] = []
    most = 0

    async def resolve(question: Question) -> Answer:
        nonlocal most
        waiting.append(question.name)
        most = max(most, len(waiting))
        await asyncio.sleep(0)
        waiting.remove(question.name)
        return answer_from_zone({**SPF, **REJECT, **zone}, question)

    found = asyncio.run(check_sender(facts, digests, resolve, CheckOptions(), None))
    assert found.dmarc is not None
    assert found.dmarc.alignment == ("spf", "dkim")
    assert most >= 3
