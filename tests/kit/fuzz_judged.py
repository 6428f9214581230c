"""Targets of the fuzzer for all checks of a mail together, with a DNS that answers late."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx

from kit.dkim import ed25519_key, sign, zone_of
from kit.fuzz import Target
from kit.fuzz_seeds import (
    DECEIVING,
    MAIL_WORDS,
    WELL_KNOWN,
    WITH_FILES,
    fixed_rsa_key,
)
from kit.mail import NOON_MS, make_message
from kit.zone import Zone, ZoneResolver, answer_from_zone
from zajil.check.content.phishing import Protected
from zajil.check.content.run import look_inside, view_of
from zajil.check.facts import MessageFacts, facts_of_file
from zajil.check.learned.classifier import classify, telling_words
from zajil.check.learned.greylist import ways_of
from zajil.check.learned.measure import cross_validate
from zajil.check.learned.model import WordFindings, deceives, reasons_of
from zajil.check.learned.reputation import lesson_of, weigh
from zajil.check.learned.tokens import find_tokens
from zajil.check.scanners.rspamd import Rspamd
from zajil.check.sender.correspondent import UNKNOWN, Correspondent, identify, prove
from zajil.check.sender.dns_lists import DnsLists
from zajil.check.sender.result_fields import all_result_ranges
from zajil.check.step import Checked, Checks, thresholds_of
from zajil.check.verdict.explain import spell_change, spell_verdict, what_would_change
from zajil.config.options_check import CheckOptions
from zajil.core.address import Address, parse_address
from zajil.core.ids import AccountId
from zajil.dns.flow import Answer, Question
from zajil.mailauth.arc_seal import SEAL_NEED, merge_results, seal_arc
from zajil.mailauth.dkim_body import BodyDigests, body_needs
from zajil.mailauth.dkim_sign import SigningKey
from zajil.message.fields import read_fields, split_message
from zajil.net.peer import LOCAL, Peer
from zajil.reports.dmarc.counts import DmarcCounts
from zajil.store.feedback.reputation import INSTALLATION, CorrespondentCounts, Did
from zajil.store.reports.intervals import CountedInterval
from zajil.tracking.events import FaultHappened

_NOW_S = NOON_MS // 1000
_RSA, _ED = fixed_rsa_key(), ed25519_key()
_SEALER, _LIST = ed25519_key("seal.test", "s"), ed25519_key("list.test", "s")
_ZONE: Zone = {
    **zone_of(_RSA, _ED, _SEALER, _LIST),
    "north.test": {"MX": ["10 mx.north.test"], "TXT": ["v=spf1 mx a:mx.north.test ~all"]},
    "mx.north.test": {"A": ["192.0.2.7"]},
    "_dmarc.north.test": {"TXT": ["v=DMARC1; p=reject; rua=mailto:r@north.test"]},
    "bank.test": {"TXT": ["v=spf1 include:south.test ip4:192.0.2.1 -all"]},
    "south.test": {"TXT": ["v=spf1 exists:%{i}.%{d} ptr redirect=north.test"], "A": ["192.0.2.1"]},
    "_dmarc.bank.test": {"TXT": ["v=DMARC1; p=quarantine; t=y; rua=mailto:r@bank.test"]},
    "_dmarc.silent.test": None,
    "fwd.test": {"TXT": ["v=spf1 ip4:198.51.100.0/24 -all"]},
    "1.2.0.192.in-addr.arpa": {"PTR": ["mx.south.test"]},
    "9.100.51.198.in-addr.arpa": {"PTR": ["mail.fwd.test"]},
    "9.113.0.203.in-addr.arpa": {"PTR": ["liar.test"]},
    "mail.fwd.test": {"A": ["198.51.100.9", "bad"]},
    "mx.south.test": {"A": ["192.0.2.1"]},
    "2.0.0.127.list.example": {"A": ["127.0.0.2"]},
    "1.2.0.192.list.example": {"A": ["127.0.0.10"]},
    "2.0.0.127.good.example": {"A": ["127.0.0.2"]},
    "9.100.51.198.good.example": {"A": ["127.0.0.2", "x"]},
}
_KNOWN_LISTS = DnsLists({"list.example": 3.0, "good.example": -1.0}, ZoneResolver(_ZONE).resolve)
_OPTIONS = CheckOptions.model_validate(
    {
        "weights": {"format.no-date": 1.5, "spf.fail": 0.5},
        "sender": {
            "trusted_sealers": ["seal.test"],
            "trusted_forwarders": ["203.0.113.0/24"],
            "trusted_forwarder_names": ["fwd.test"],
        },
        "attachments": {"refuse": ["program", "macros"]},
    }
)
_PROTECTED = Protected(["north.test"], "amal haddad".__eq__, ["bank.test"])
_WORDS = telling_words([("viagra", 9, 0), ("hello", 9, 0), ("meeting", 0, 9)], 10, 10)
_ACCOUNT = AccountId(1)
_ENVELOPES: tuple[tuple[str, str, str | None], ...] = (
    ("192.0.2.1", "mx.south.test", "x@bank.test"),
    ("198.51.100.9", "[198.51.100.9]", "list@fwd.test"),
    ("203.0.113.9", "mx.north.test", "x@north.test"),
    ("2001:db8::1", "2001:db8::1", "x@north.test"),
    ("10.0.0.1", "printer", None),
    (LOCAL, "local", None),
)


def seal(message: bytes, key: SigningKey, cv: str, found: bytes = b"") -> bytes:
    """Return a message with one more ARC set."""
    end, start = split_message(message)
    fields = read_fields(message[:end])
    digests = BodyDigests((*body_needs(fields), SEAL_NEED))
    digests.feed(message[start:])
    told = found or merge_results(fields, "mx.a.test")
    named = {"authserv_id": "mx.a.test", "results": told, "cv": cv, "now_s": _NOW_S}
    return seal_arc(message[:end], fields, digests, key, **named) + message  # type: ignore[arg-type]


def _sealed() -> tuple[bytes, ...]:
    """Return mails whose chain holds: of one we trust, of a list below it, of a list alone."""
    letter = make_message("amal@north.test", text="Hello all.\r\n")
    passed = b"spf=pass smtp.mailfrom=x@north.test; dkim=fail; dmarc=pass header.from=north.test"
    by_dkim = b"arc=none; spf=pass smtp.mailfrom=x.test; dkim=pass header.d=north.test"
    one = seal(letter, _SEALER, "none", passed)
    return (
        *(one, seal(letter, _SEALER, "none", by_dkim), seal(letter, _LIST, "none", passed)),
        *(seal(one, _LIST, "pass", passed), seal(seal(letter, _LIST, "none"), _SEALER, "pass")),
        seal(b"Subject: [list] changed\r\n" + one, _LIST, "fail"),
    )


def judged_targets() -> list[Target]:
    """Return the targets."""
    letter = make_message(html="<p>Hello <b>there</b></p>")
    signed = (
        sign(sign(letter, _RSA), _ED, "simple/relaxed"),
        sign(letter, _ED, headers=[b"from"], expires_s=_NOW_S - 9999),
        sign(letter, fixed_rsa_key("bank.test", "unknown"), "simple/simple"),
        sign(letter, _ED, now_s=_NOW_S),
    )
    seeds = (*signed, *_sealed(), *DECEIVING, *WELL_KNOWN)
    return [
        Target("judged-mail", _judge, (*seeds, *WITH_FILES), MAIL_WORDS, cost=8),
        Target("measured-mail", _measure, (*DECEIVING[:4], *signed[:1]), MAIL_WORDS, cost=2),
        Target("late-parts", _look_late, (*WELL_KNOWN, *WITH_FILES[:1]), MAIL_WORDS, cost=4),
        Target("rspamd-question", _ask_rspamd, (b'{"score": 1}', letter), (b"\r\n", b"\xd8\xb3")),
    ]


class _Late:
    """A zone whose every third answer has to be waited for."""

    def __init__(self) -> None:
        self._asked = 0

    async def resolve(self, question: Question) -> Answer:
        self._asked += 1
        if self._asked % 3 == 0:
            await asyncio.sleep(0)
        return answer_from_zone(_ZONE, question)


def _facts(data: bytes, host: str, path: str | None) -> MessageFacts:
    reverse_path = parse_address(path) if path else None
    return replace(
        facts_of_file(data, NOON_MS, Peer(host, 4711, "192.0.2.25:25"), "", reverse_path),
        authserv_id="mx.north.test",
        accounts={_ACCOUNT: parse_address("amal@north.test")},
        leaves=len(data) % 2 == 0,
    )


def _judge(data: bytes) -> None:
    """No check fails, whatever comes from whomever, and what is said of it can be told."""
    asyncio.run(_judge_all(data))


async def _judge_all(data: bytes) -> None:
    seen: list[tuple[CountedInterval, ...]] = []
    counts = DmarcCounts(seen.append, 3_600_000)
    checks = Checks(
        *(_OPTIONS, _Late().resolve, "mx.north.test", "north.test".__eq__, None, _PROTECTED)
    )
    checks.lists = _KNOWN_LISTS
    for host, name, path in _ENVELOPES:
        facts = replace(_facts(data, host, path), claimed_name=name)
        peer = Peer(host, 4711, "192.0.2.25:25")
        for login in (None, "amal") if host == LOCAL else (None,):
            facts = replace(facts, login=login, smtputf8=host == LOCAL)
            looked = checks.look_at(peer, name, NOON_MS)
            checked = await checks.check_message(facts, looked)
            _tell(checked, facts)
            await Checks(CheckOptions(), _Late().resolve, "mx.north.test").check_message(facts)
            counts.note(checked.sender, facts, checked.action)
    counts.flush()
    for rows in seen:
        assert all(row.domain.isascii() for row in rows)


def _tell(checked: Checked, facts: MessageFacts) -> None:
    faults = [event for event in checked.events if isinstance(event, FaultHappened)]
    assert not faults, faults[0].traceback
    (field,) = read_fields(checked.results)
    assert field.name == b"authentication-results"
    for reason in checked.verdict.reasons:
        assert reason.text.isprintable(), reason
    spell_verdict(checked.verdict)
    for change in what_would_change(checked.verdict, thresholds_of(_OPTIONS)):
        spell_change(change)
    deceives(checked.verdict.reasons)
    ways_of(facts)
    for start, end in all_result_ranges(facts):
        assert 0 <= start < end <= len(facts.header)
    sender = checked.sender
    host = facts.peer.host if facts.peer else None
    who = identify(facts.fields, host, prove(sender.spf, sender.dkim, sender.dmarc))
    _weigh_history(who, facts)
    found = reasons_of(classify(find_tokens(view_of(facts)), _WORDS), own=False)
    WordFindings(found, {_ACCOUNT: found}).without_praise()
    if sender.dmarc is not None:
        assert set(sender.dmarc.report_to) >= set()
        assert sender.dmarc.psd in "yun"
        assert isinstance(sender.dmarc.failure_to, tuple)


def _weigh_history(who: Correspondent, facts: MessageFacts) -> None:
    assert set(who.lasting_keys) <= set(who.keys)
    for counts in (
        CorrespondentCounts(9, 0, 0, 3),
        CorrespondentCounts(0, 1, 9, 9),
        CorrespondentCounts(),
    ):
        known = {(one, key): counts for one in (INSTALLATION, _ACCOUNT) for key in who.keys}
        for reason in weigh(who, known, [_ACCOUNT]).for_all:
            assert reason.text.isprintable(), reason
    weigh(UNKNOWN, {}, [_ACCOUNT])
    lesson_of(_ACCOUNT, facts.fields, "mx.north.test", Did.JUNKED, NOON_MS)


def _measure(data: bytes) -> None:
    wanted = [("a", make_message()), ("b", data)]
    measured = cross_validate(wanted, [("c", data), ("d", b"")], 2)
    assert 0 <= measured.words.precision <= 1
    measured.to_dict()


class Large:
    """A message on the disk, much larger than what is read of it."""

    def __init__(self, data: bytes, gap: int) -> None:
        self._whole = data + (b"x" * 62 + b"\r\n") * (gap // 64) + data
        self.size = len(self._whole)

    def read_at(self, offset: int, size: int) -> bytes:
        """Give up to ``size`` bytes."""
        return self._whole[offset : offset + size]


def _look_late(data: bytes) -> None:
    """What lies behind the part that is read is found, in time and without a fault."""
    end, _ = split_message(data)
    facts = facts_of_file(data, NOON_MS)
    facts = replace(facts, body=Large(data[end:], 600_000))
    view = view_of(facts)
    look_inside(view, facts, _PROTECTED, ("program",))
    for number, part in view.root.walk():
        assert view.root.find(number) is part
    find_tokens(view)
    assert len(view.to) + len(view.cc) >= 0


def _ask_rspamd(data: bytes) -> None:
    """What a peer says becomes no field of the question; whatever is answered, we go on."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert "evil" not in request.headers
        return httpx.Response(200 if len(data) % 5 else 500, content=data)

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            text = data.decode("utf-8", "replace")
            path: Address | None = Address(text, "north.test") if len(data) % 2 else None
            facts = facts_of_file(data, NOON_MS, Peer("192.0.2.1", 1, "x"), text, path)
            body = Large(data, 70_000) if len(data) % 3 else facts.body
            facts = replace(facts, login=text, body=body)
            for most in (1, 1 << 20):
                await Rspamd("http://x", client).ask(facts, deadline=5, max_size=most)

    asyncio.run(run())
