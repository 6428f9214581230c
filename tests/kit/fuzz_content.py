"""Targets of the fuzzer for what is looked at inside a mail, and for what scanners answer."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable

from kit.facts import make_facts
from kit.fuzz import Target
from kit.fuzz_seeds import ARCHIVES, DECEIVING, FILES
from zajil.check.content.archives import MAX_MEMBERS, list_archive
from zajil.check.content.attachments import has_double_ending, kind_of
from zajil.check.content.links import read_target, shown_domain
from zajil.check.content.lookalike import (
    Imitated,
    has_turning_control,
    is_in_false_letters,
    is_mixed,
)
from zajil.check.content.phishing import Protected
from zajil.check.content.pressure_wording import borrowed_brand, has_pressure_wording
from zajil.check.content.run import look_inside, view_of
from zajil.check.learned.classifier import classify, telling_words
from zajil.check.learned.tokens import MAX_TOKENS, find_tokens, tokens_of, words_of
from zajil.check.scanners.clamd import read_reply
from zajil.check.scanners.rspamd import read_opinion
from zajil.check.sender.correspondent import identify
from zajil.core.domain import BadDomain, to_ascii
from zajil.dns.public_suffix import registered_domain
from zajil.message.html import MAX_LINKS, read_html
from zajil.message.index_words import prefix_words
from zajil.message.office_text import MAX_INFLATED, office_text
from zajil.message.view import MessageView, content_id
from zajil.message.words import find_words

_STYLES = (
    *("display:none", "display:flex", "display:var(--x)", "display:initial", "display:x y"),
    *("visibility:hidden", "visibility:visible", "visibility:inherit", "visibility:x"),
    *("opacity:0", "opacity:50%", "opacity:inherit", "opacity:calc(0)", "opacity:x"),
    *("font-size:0", "font-size:small", "font-size:smaller", "font-size:50%", "font-size:1ex"),
    *("font-size:-1px", "font-size:1zz", "font-size:min(1px)", "font-size:initial", "font-size:x"),
    *("font:0/1 a", "font:bold 1px a", "font:caption", "font:inherit", "font:400 b", "all:unset"),
    *(
        "color:#fff",
        "color:inherit",
        "color:initial",
        "color:rgba(1,1,1,.5)",
        "color:#12",
        "color:x",
    ),
    *("background:none", "background:url(x)", "background:x red", "background-color:#fff"),
    *("background-image:none", "background-image:x", "text-shadow:x", "position:absolute"),
    *("position:static", "height:0;overflow:hidden", "height:auto", "width:fit-content", "width:x"),
    *("overflow:visible", "overflow:clip", "overflow:x", "padding:0 1px", "min-height:0"),
    *("color:white!important;color:red", "color:red!x", "/*c*/color:white", "x:y;@a;b:\\3a c"),
)
_TREES = (
    b"<base href=x><area href=y alt=z><meta http-equiv=refresh content='0;url=z'><img src=x>",
    b"<svg/><math><p hidden>x</p></math><b><i>x</b>y</i><h1>x</h2><form><form></form></form>",
    b"<table><tr><td>x<th>y<caption>z</table>w<table hidden>x<tr><td>y<tbody></table>",
    b"<select><option>x<option>y<optgroup>z<input><select></select><button>x<button>y</button>",
    b"<html style=color:red><body bgcolor=x background=y text=z><head></html><ruby>x<rt>y<rp>z",
    b"<ul><li>x<li>y</ul><dl><dt>x<dd>y</dl><p>x<div>y</p>z<a href=x>1<a href=y>2<nobr>x<nobr>y",
    b"<textarea><b>x</textarea><title>x</title><style>p{background:red}</style><plaintext>x",
    b"<xmp><b></xmp><noscript>x</noscript><template>x</template><frameset><marquee>x</marquee>",
    b"<object><p>x</object></p></br><body style=display:none>x<!doctype x><![CDATA[x]]><?x><!x>",
    b"&#"
    + b"9" * 5000
    + b";&amp&lt x<a href='javascript:x' href=y>z</a><x y = z w='a>b' v=\"c>\">",
    b"<font color=fff>x<font color=ffffff bgcolor=#000>y</font><p style='color:#fff'>z",
    *[
        b"<div style='color:#fff;%s'>x<b style='%s'>y<p style='visibility:visible'>z</p></b>w</div>"
        % (one.encode(), _STYLES[-at].encode())
        for at, one in enumerate(_STYLES)
    ],
)
_HTML = (
    b'<p>one <a href="https://a.test">b.test</a></p><div style="display:none">x</div>',
    b"<form action=x><input type=password></form><!-- c --><script>x</script>&amp;&#x633;",
)
_TAGS = (b"<", b">", b'"', b"'", b"<!--", b"-->", b"style=", b"display:none", b"&#", b"</a>", b"=")
_URLS = (b"https://a.test@b.test/x", b"http://0x7f.1/", b"//xn--a.test", b"java\nscript:x")
_NAMES = (b"n0rth.test", "аррӏе.com".encode(), b"north-test.evil.example", b"a.co.uk")
_MAIL = (
    b"From: PayPal <x@paypa1.com>\r\nReply-To: y@gmail.com\r\nTo: amal@north.test\r\n"
    b"Subject: =?utf-8?q?verify?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: text/html\r\n\r\n<a href=http://1.2.3.4>bank.test</a>\r\n--b\r\n"
    b'Content-Disposition: attachment; filename="a.pdf.exe"\r\n\r\nMZ\r\n--b--\r\n'
)
_PARTS = (b"--b\r\n", b"--b--\r\n", b"Content-Type: ", b"text/html", b"; filename=", b"\r\n\r\n")
_SCANNED = (b"stream: OK\0", b"stream: Win.Test FOUND\0", b"INSTREAM size limit exceeded. ERROR\0")
_RSPAMD = (b'{"score": 1.5, "action": "reject", "symbols": {"A": {"score": 2}}}', b"[]", b"{}")
_PROTECTED = Protected(["north.test"], "amal haddad".__eq__, ["bank.test"])
_IMITATED = Imitated(["north.test", "xn--mgbai6l.test"], ["paypal.com"])
_MANY = ["w" + chr(97 + at // 26) + chr(97 + at % 26) + "word" for at in range(200)]
_WORDS = telling_words(
    [("viagra", 9, 0), ("meeting", 0, 9), ("new", 0, 0), *[(word, 999, 0) for word in _MANY]],
    999,
    9,
)


_FILE_NAMES = (b"bill.pdf.exe", b"a", *[data for _, data in FILES])


_DOCUMENTS = (
    b"<style>.a,#b:hover,[c]>p,*{display:block!important;color:red;visibility:visible}@media x{p{"
    b"opacity:1!important;font-size:0;height:1px;overflow:hidden;text-shadow:x;background:#000}"
    b"@keyframes k{to{opacity:1}}&{all:unset}p::after{content:'x' \"y\"}</style>"
    b"<p class='a z' id=b style='display:none'>x</p><p style='opacity:0'>y</p>",
    b"<style>\\70{}</style><p hidden>x<link rel=stylesheet>",
    b"<iframe srcdoc='<form action=x><a href=y>z</a><script></script><input type=password>'>",
    b"<div><template shadowrootmode=open><p>x</p></template></div><template>y</template>z",
    b"<svg><a xlink:href=x>y<animate values=z></a></svg><math href=x><mi>y</mi></math><plaintext>z",
    b"<input type=image alt=x><input placeholder=y><optgroup label=z><object data=x><frame src=y>",
    b"<p style='font-size:1px;zoom:9'>x</p><table style='color:#fff'><td>y</table><pre>a\n b</pre>",
    b"<p>" + b"".join([b"<font a=%d><i>" % number for number in range(400)]) + b"</i><p>x" * 900,
    b"<p " + b"".join([b"a%d='' " % number for number in range(9000)]) + b">x",
    b"<br>" * 10_001,
)


_OFFICE = (
    b"<w:p><w:r><w:t>first</w:t></w:r></w:p><w:p>second &amp; third</w:p>",
    b"<si><t>x</t></si><c>1</c><text:h>y</text:h>< unclosed <b",
    *ARCHIVES,
)
_SPEECH = (b"plain words-of 2 kinds", "مرحبًا بكم 日本語のテキスト ひらがな x".encode())


def content_targets() -> list[Target]:
    """Return the targets."""
    return [
        Target("html-text", _html, (*_HTML, *_TREES, *_DOCUMENTS), _TAGS),
        Target("link", _link, _URLS, (b"@", b"\\", b"//", b"%2e", b":", b"[::1]", b"xn--")),
        Target("lookalike", _name, _NAMES, (b"xn--", b".", b"-", b"0", b"rn", "ӏ".encode())),
        Target(
            "archive", _archive, ARCHIVES, (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"ustar")
        ),
        Target("office", _office, _OFFICE, (b"<w:p>", b"</w:p>", b"<si>", b"&#x", b"PK\x05\x06")),
        Target(
            "index-words",
            _index_words,
            _SPEECH,
            ("中文".encode(), "كِتاب".encode(), b"-", b"_", b"'"),
        ),
        Target("file-name", _file_name, _FILE_NAMES, (b".", b" ", b"exe", b"pdf")),
        Target("content-checks", _mail, (_MAIL, *DECEIVING), (*_PARTS, *_TAGS)),
        Target(
            "words",
            _tokens,
            (
                "v1agra والفاتورة".encode(),
                b"v i a g r a",
                ("Subject: x\r\n\r\n" + " ".join(_MANY)).encode(),
            ),
            (b" ", b"1", b"\0"),
        ),
        Target("clamd-reply", _clamd, _SCANNED, (b" FOUND", b"stream: ")),
        Target("rspamd-reply", _rspamd, _RSPAMD, (b"NaN", b"1e999", b"null", b"[[", b'"score":')),
    ]


def _html(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    found = read_html(text)
    assert len(found.links) <= MAX_LINKS
    # An entity of three characters becomes two at most.
    assert len(found.text) + len(found.hidden) <= 4 * len(text) + 8
    shown = read_html(found.shown_source)
    assert len(shown.text) <= 2 * len(found.text) + 8


def _link(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    target = read_target(text)
    if target is not None:
        assert "/" not in target.host
        registered_domain(target.host)
    shown_domain(text)


def _name(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    is_mixed(text)
    has_turning_control(text)
    borrowed_brand(text, "evil.test")
    _PROTECTED.is_ours(text)
    try:
        name = to_ascii(text)
    except BadDomain:
        return
    is_in_false_letters(name)
    assert Imitated([name]).find(name) is None
    _IMITATED.find(name)


def _archive(data: bytes) -> None:
    listing = list_archive(data)
    if listing is not None:
        assert len(listing.members) <= MAX_MEMBERS + 1


def _office(data: bytes) -> None:
    """Read the text of a document: of these bytes, and of a document that has them inside."""
    office_text(data)
    inside = io.BytesIO()
    with zipfile.ZipFile(inside, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", data)
    assert len(office_text(inside.getvalue())) <= MAX_INFLATED


def _index_words(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    assert all(find_words(text))
    prefix_words(text)


def _file_name(data: bytes) -> None:
    name = data.decode("utf-8", "replace")
    has_double_ending(name)
    kind_of(name, data)


def _mail(data: bytes) -> None:
    facts = make_facts(data)
    view = view_of(facts)
    _read_all(view)
    for reason in look_inside(view, facts, _PROTECTED, ("program",)):
        assert reason.text.isprintable(), reason
    has_pressure_wording(view)
    _can_be_kept([*find_tokens(view), *identify(facts.fields, "192.0.2.1").keys])


def _read_all(view: MessageView) -> None:
    """Whatever is asked of a view, it answers, and what it answers fits a page."""
    people = [*view.senders, *view.to, *view.cc, *view.reply_to]
    lines = [view.message_id, view.in_reply_to, view.references, view.preview]
    lines += [one.label for one in people] + [file.filename for file in view.attachments]
    assert not [line for line in lines if "\n" in line or "\0" in line]
    assert not [one for one in people if one.poses_as_address and not one.name]
    assert view.date_ms is None or view.date_ms < 1 << 62
    assert set(view.author_warnings) >= set()
    for preferred in ("text/plain", "text/html"):
        chosen = view.alternatives(preferred)
        assert len(chosen) <= len(view.texts)
        assert all(piece.part.type == "text/html" for piece in chosen if piece.html is not None)
    content_id(view.root)


def _tokens(data: bytes) -> None:
    words_of(data.decode("utf-8", "replace"))
    found = tokens_of(data)
    assert len(found) <= MAX_TOKENS
    _can_be_kept(found)
    assert 0 <= classify(found, _WORDS).probability <= 1


def _can_be_kept(keys: Iterable[str]) -> None:
    """PostgreSQL takes no NUL, and no database half a character."""
    for key in keys:
        assert "\0" not in key, key
        assert len(key.encode("utf-8")) <= 2000, key


def _clamd(data: bytes) -> None:
    read_reply(data)


def _rspamd(data: bytes) -> None:
    found = read_opinion(data)
    assert found.failure is not None or -1000 < found.score < 1000
