"""Work for ``mailauth.py`` beside plain DKIM: SPF, ARC, DMARC, and all of them on one mail.

The answers of DNS come from memory, as they do for nearly every mail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from ipaddress import ip_address
from typing import Any

from kit.dkim import ed25519_key, record_of, rsa_key, sign, zone_of
from kit.facts import make_facts
from kit.zone import Zone, ZoneResolver, run_flow_on_zone
from zajil.check.sender.sender import check_sender
from zajil.config.options_check import CheckOptions
from zajil.core.address import parse_address
from zajil.mailauth.arc import verify_arc
from zajil.mailauth.arc_seal import SEAL_NEED, seal_arc
from zajil.mailauth.dkim_body import BodyDigests, body_needs
from zajil.mailauth.dkim_sign import SigningKey
from zajil.mailauth.spf import SpfQuery, check_spf
from zajil.message.fields import Field, read_fields, split_message

Work = Callable[[], object]

PEER = "192.0.2.1"
ZONE: Zone = {
    "north.test": {
        "TXT": ["v=spf1 include:_one.test include:_two.test mx -all"],
        "MX": ["10 mx.north.test"],
    },
    "_one.test": {"TXT": ["v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/32 ~all"]},
    "_two.test": {"TXT": ["v=spf1 a:mail.two.test ip4:203.0.113.0/24 ~all"]},
    "mail.two.test": {"A": ["203.0.113.9"]},
    "mx.north.test": {"A": [PEER], "TXT": ["v=spf1 a -all"]},
    "_dmarc.north.test": {"TXT": ["v=DMARC1; p=reject; rua=mailto:a@north.test"]},
}


def spf_work() -> Work:
    """Two includes and the domain's own MX record: seven questions, and a pass."""
    query = SpfQuery(ip_address(PEER), "amal@north.test", "mx.north.test")

    def work() -> None:
        if run_flow_on_zone(check_spf(query), ZONE).result != "pass":
            raise RuntimeError("SPF does not pass")

    return work


def _load(message: bytes) -> tuple[bytes, list[Field], BodyDigests]:
    end, start = split_message(message)
    fields = read_fields(message[:end])
    digests = BodyDigests((*body_needs(fields), SEAL_NEED))
    digests.feed(message[start:])
    return message[:end], fields, digests


def _seal(message: bytes, key: SigningKey, cv: str, now_s: int) -> bytes:
    header, fields, digests = _load(message)
    return seal_arc(
        header,
        fields,
        digests,
        key,
        authserv_id="mx.north.test",
        results=b"spf=pass smtp.mailfrom=amal@north.test; dkim=none",
        cv=cv,
        now_s=now_s,
    )


def sealed_twice(message: bytes, key: SigningKey, now_s: int) -> bytes:
    """Give the message with two sets."""
    once = _seal(message, key, "none", now_s) + message
    return _seal(once, key, "pass", now_s) + once


def verify_chain_work(message: bytes, key: SigningKey, now_s: int) -> Work:
    """From the bytes to the state of the chain."""
    zone = zone_of(key)

    def work() -> None:
        if run_flow_on_zone(verify_arc(*_load(message), now_s), zone).cv != "pass":
            raise RuntimeError("the chain does not hold")

    return work


def verify_chain_with_dkimpy(message: bytes, key: SigningKey) -> Work:
    """Its one function for it."""
    dkim: Any = import_module("dkim")
    record = record_of(key).encode()

    def work() -> None:
        if dkim.arc_verify(message, dnsfunc=lambda name, timeout=5: record)[0] != b"pass":
            raise RuntimeError("dkimpy does not validate it")

    return work


def seal_work(message: bytes, key: SigningKey, now_s: int) -> Work:
    """The first set of a chain."""
    return lambda: _seal(message, key, "none", now_s)


def sender_work(message: bytes, now_s: int) -> Work:
    """Give the sender step: SPF of both names, two signatures, no chain, DMARC, all results."""
    keys = (rsa_key(bits=2048), ed25519_key())
    for key in keys:
        message = sign(message, key, now_s=now_s)
    resolve = ZoneResolver({**ZONE, **zone_of(*keys)}).resolve
    options, loop = CheckOptions(), asyncio.new_event_loop()
    facts = replace(
        make_facts(message),
        claimed_name="mx.north.test",
        reverse_path=parse_address("amal@north.test"),
        now_ms=now_s * 1000,
    )
    _, start = split_message(message)

    async def check() -> None:
        digests = BodyDigests(body_needs(facts.fields))
        digests.feed(message[start:])
        found = await check_sender(facts, digests, resolve, options, None)
        if found.dmarc is None or found.dmarc.alignment != ("spf", "dkim"):
            raise RuntimeError(found)

    return lambda: loop.run_until_complete(check())
