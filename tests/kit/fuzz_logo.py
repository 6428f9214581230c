"""Targets of the fuzzer for logos of senders: their SVG, their certificates, whose they are."""

from __future__ import annotations

import re
from contextlib import suppress

from kit.fuzz import Target
from kit.marks import LOGO, MarkAuthority, MarkOrder, make_image, make_logotype
from zajil.mailauth.logo_svg import check_logo
from zajil.mailauth.logotype import MAX_SVG, BadLogo, read_logotype
from zajil.mailauth.mark_certificate import BadRoots, MarkRoots, verify_mark
from zajil.message.fields import read_fields
from zajil.read.logo_question import read_logo_question

_AUTHORITY = MarkAuthority()
_ROOTS = MarkRoots(_AUTHORITY.root)
_NAMES = frozenset({"south.test"})
_NOW_S = 1_800_000_000
_LOGOS = (
    LOGO,
    b'<?xml version="1.0" encoding="UTF-8"?>' + LOGO,
    LOGO.replace(b"<title>", b'<use href="#a"/><g id="a" fill="url(#b)"/><title>'),
    LOGO.replace(b"fill", b"onload", 1),
    LOGO.replace(b"<title>", b'<g id="a"><use href="#b"/></g><title>'),
    LOGO.replace(b'"#0b5cad"', b'"url(https://a.test)"'),
    LOGO.replace(b'"#0b5cad"', b'"a(b)"'),
    LOGO.replace(b"width", b"href", 1),
    b"<?x y?>" + LOGO,
    b'<?xml version="1.0" encoding="utf-16"?>' + LOGO,
    b'<!DOCTYPE svg [<!ENTITY a "b">]>' + LOGO,
    LOGO.replace(b"tiny-ps", b"tiny"),
    LOGO.replace(b"<title>", b"<g>" * 40),
)
_LOGO_WORDS = (
    *(b"<script>", b"<use href='#a'/>", b"<g id='a'>", b"</g>", b"<style>", b"<image href='x'/>"),
    *(b" onload='x'", b" style='x'", b"url(", b"#a)", b"\\", b"&a;", b"<!DOCTYPE x>", b"<?x y?>"),
    *(b"<![CDATA[", b"]]>", b"<!--", b"-->", b" xmlns='x'", b" xmlns:x='y'", b"encoding='utf-7'"),
)
_LOGOTYPES = (
    make_logotype(),
    make_logotype(make_image(hashed=[])),
    make_logotype(make_image(packed=LOGO)),
    make_logotype(make_image(uris=[b"data:image/svg+xml;base64,AAA"])),
    make_logotype(make_image(b" " * (MAX_SVG + 1))),
)
_FILES = (
    _AUTHORITY.issue(),
    _AUTHORITY.issue(MarkOrder(names=("north.test",))),
    _AUTHORITY.issue(MarkOrder(logotype=None)),
    _AUTHORITY.issue(MarkOrder(purposes=())),
    _AUTHORITY.root * 9,
)
_SIGNATURE = (
    b"DKIM-Signature: v=1; a=rsa-sha256; d=south.test; s=k; h=from:bimi-selector;\r\n"
    b" bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=MDEyMzQ1Njc4OQ==\r\n"
)
_MESSAGES = (
    b"Authentication-Results: mx.a.test; dkim=pass header.d=south.test header.b=MDEyMzQ1;\r\n"
    b" dmarc=pass header.from=south.test policy.dmarc=reject\r\n"
    + _SIGNATURE
    + b"BIMI-Selector: v=BIMI1; s=winter\r\n",
)


def logo_targets() -> list[Target]:
    """Return the targets."""
    return [
        Target("logo-svg", _svg, _LOGOS, _LOGO_WORDS),
        Target("logotype", _logotype, _LOGOTYPES, (b"\x30\x82", b"\xa2", b"\xa0\x80", b"\x16")),
        Target("mark-certificate", _certificate, _FILES, (b"-----", b"AAAA", b"\n"), cost=4),
        Target("logo-question", _question, _MESSAGES, (b"dmarc=pass ", b"; ", b"header.b=", b"=")),
    ]


def _svg(data: bytes) -> None:
    """A logo that is shown has nothing that could run or load anything."""
    with suppress(BadLogo):
        check_logo(data)
        bare = re.sub(rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>", b"", data, flags=re.DOTALL).lower()
        for word in (b"<script", b"<style", b"<image", b"<!doctype", b"<?xml-", b"<foreign"):
            assert word not in bare
        for tag in re.findall(rb"<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>", bare):
            names = re.sub(rb"\"[^\"]*\"|'[^']*'", b"''", tag)
            assert not re.search(rb"\son\w+\s*=", names)


def _logotype(data: bytes) -> None:
    with suppress(BadLogo):
        assert len(read_logotype(data)) <= MAX_SVG


def _certificate(data: bytes) -> None:
    """Only what the authority has signed is shown."""
    with suppress(BadLogo):
        mark = verify_mark(data, _ROOTS, _NAMES, _NOW_S)
        assert (mark.svg, mark.name) == (LOGO, "south.test")
    with suppress(BadRoots):
        MarkRoots(data)


def _question(data: bytes) -> None:
    fields = read_fields(data)
    for author in ("south.test", "x.]", ""):
        question = read_logo_question(fields, "mx.a.test", author)
        assert question is None or question.domain == author
