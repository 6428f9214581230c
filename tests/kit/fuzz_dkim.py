"""The parsers of DKIM as targets of the fuzzer: a signature, a key record, a whole message."""

from __future__ import annotations

import base64
from contextlib import suppress

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kit.dkim import NOW_S, ed25519_key, record_of, results_of, sign, zone_of
from kit.fuzz import Target
from kit.fuzz_seeds import fixed_rsa_key
from kit.mail import make_message
from kit.zone import run_flow_on_answers
from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.dkim_body import BodyDigests, BodyNeed, body_needs
from zajil.mailauth.dkim_key import KeyRecord, KeyRefusal, parse_key_record
from zajil.mailauth.dkim_sign import CannotSign, sign_dkim
from zajil.mailauth.dkim_signature import BadSignature, parse_signature
from zajil.mailauth.dkim_verify import verify_dkim
from zajil.message.fields import read_fields, split_message

_CHANGES = (
    *((b" h=", b" i=x@y.north.test; h="), (b" h=", b" i=@other.test; h="), (b" h=", b" i=..; h=")),
    *((b" h=", b" i=x=0A@north.test; h="), (b" h=", b" l=9; h="), (b" h=", b" l=99999; h=")),
    *((b" h=", b" x=9; h="), (b"t=", b"x=9999999999; t=2"), (b"t=1", b"t=9"), (b"v=1", b"v=2")),
    *((b" h=", b" q=http; h="), (b"a=ed25519-sha256", b"a=rsa-sha1"), (b"a=ed", b"a=x")),
    *((b"h=from:from:", b"h="), (b"d=north.test", b"d=test"), (b"d=north.test", b"d=a..b")),
    *((b"c=simple", b"c=x"), (b"h=from", b"h=:from"), (b"Subject: A", b"Subject: B")),
    *((b"Dear", b"Hello"), (b"a=ed25519-sha256", b"a=rsa-sha256")),
)


def _odd_rsa() -> list[str]:
    """Return records of RSA keys that are too small, too large, and of an odd exponent."""
    numbers = (
        ((1 << 511) + 187, 65537),
        ((1 << 8200) + 1, 65537),
        ((1 << 1500) + 1, (1 << 70) + 1),
    )
    keys = [RSAPublicNumbers(e, n).public_key() for n, e in numbers]
    packed = [key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for key in keys]
    return [f"k=rsa; p={base64.b64encode(one).decode()}" for one in packed]


RESULTS = {"pass", "fail", "policy", "neutral", "temperror", "permerror"}


def dkim_targets() -> list[Target]:
    """Return the targets."""
    key = ed25519_key()
    signed = [sign(make_message(), key, pair) for pair in ("simple/simple", "relaxed/relaxed")]
    first = signed[0]
    signed += [
        *(first.replace(old, new, 1) for old, new in _CHANGES),
        sign(make_message(), fixed_rsa_key()),
        *(
            sign(b"From: a@north.test\r\n\r\n" + body, key, pair)
            for body in (b"", b"\r\n\r\n", b"x \t y \r\n \r\n\r\n", b"x", b" \r", b"x \n")
            for pair in ("simple/simple", "relaxed/relaxed")
        ),
        b"".join([read_first(first)] * 30) + make_message(),
        b"".join([read_first(first).replace(b" h=", b" l=%d; h=" % at) for at in range(9)]) + first,
    ]
    fields = [read_fields(message)[0].value for message in signed]
    rsa = record_of(fixed_rsa_key())
    records = (
        *(
            record_of(key),
            "v=DKIM1; k=rsa; t=y:s; s=email:*; h=sha256; n=x; p=",
            rsa,
            *_odd_rsa(),
        ),
        *(
            "v=DKIM1; k=ed25519; p=AAAA",
            "k=x; p=AAAA",
            "h=sha1; p=AA",
            rsa.replace("k=", "t=y:s; k="),
        ),
        *("s=web; p=AA", "v=DKIM2; p=AA", "p=!", "x" * 9999, rsa.replace("AQAB", "////")),
    )
    tags = (b"; ", b"=", b"h=from:", b"l=1;", b"i=@", b"\r\n ", b"b=", b"bh=", b"x=9;", b"v=1;")
    return [
        Target("dkim-signature", _signature, tuple(fields), tags),
        Target("dkim-key", _key, tuple(text.encode() for text in records), (*tags, b"p=", b"k=")),
        Target("dkim-verify", _verify, tuple(signed), (*tags, b"From: x\r\n", b"\r\n\r\n"), cost=6),
    ]


def read_first(message: bytes) -> bytes:
    """Return the first field, with its line end."""
    return message[: read_fields(message)[0].end]


def _signature(data: bytes) -> None:
    with suppress(BadSignature):
        found = parse_signature(data)
        assert found.domain.isascii()
        assert b"from" in found.names


def _key(data: bytes) -> None:
    assert isinstance(parse_key_record(data.decode("latin-1")), KeyRecord | KeyRefusal)


def _verify(data: bytes) -> None:
    end, start = split_message(data)
    fields = read_fields(data[:end])
    whole, cut = BodyDigests(body_needs(fields)), BodyDigests(body_needs(fields))
    whole.feed(data[start:])
    for at in range(start, len(data), 7):
        cut.feed(data[at : at + 7])
    for need in body_needs(fields):
        assert whole.digest(need) == cut.digest(need)
    records = record_of(ed25519_key()), record_of(fixed_rsa_key())
    strict = tuple([one.replace("k=", "t=s:y; k=") for one in records])

    for held in ((*records, data[:200].decode("latin-1")), strict, (), None):

        def answer(question: Question, held: tuple[str, ...] | None = held) -> Answer:
            outcome = Outcome.FAILED if held is None else Outcome.FOUND
            return Answer(question=question, outcome=outcome, values=held or ())

        found = run_flow_on_answers(verify_dkim(data[:end], fields, whole, NOW_S), answer)
        assert {one.result for one in found} <= RESULTS
    _sign_and_verify(data)


def _sign_and_verify(data: bytes) -> None:
    """Whatever it is, if it has a From we can sign it, and what we sign we verify."""
    end, start = split_message(data)
    # Without an empty line, or where the first line continues none, a field on top changes what
    # stands below it.
    if end == start or data.startswith((b" ", b"\t")):
        return
    key = fixed_rsa_key("our.test") if len(data) % 2 else ed25519_key("our.test")
    digests = BodyDigests([BodyNeed("simple", "sha256", None)])
    digests.feed(data[start:])
    fields = read_fields(data[:end])
    with suppress(CannotSign):
        how = "simple/simple"
        field = sign_dkim(data[:end], fields, digests, key, now_s=NOW_S, canonicalization=how)
        assert results_of(field + data, zone_of(key))[0] == "pass"
        names = [b"from", data[:9]]
        sign_dkim(
            data[:end], fields, digests, key, now_s=NOW_S, canonicalization=how, headers=names
        )
