"""Attacks L: what a stranger writes never runs in our pages, and never reaches out."""

from __future__ import annotations

import asyncio
from html.parser import HTMLParser

import pytest

from kit.site import letter, visiting
from zajil.store.engine.open import Store

SCRIPTS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'-alert(1)-'",
    "{{ 7 * 7 }}<b>",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "javascript:alert(1)",
]


FIELDS = {
    "subject": ("Subject", "%s"),
    "message-id": ("Message-ID", "<%s@x>"),
    "name": ("From", '"%s" <noor@south.test>'),
    "to": ("To", '"%s" <amal@north.test>'),
}


class Tags(HTMLParser):
    """Notes what a browser would run or fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.active: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            is_program = (value or "").strip().lower().startswith("javascript:")
            if name.startswith("on") or (is_program and name not in ("title", "value")):
                self.active.append(f"{tag} {name}={value}")
            if name in ("src", "href", "action") and not (value or "").startswith(("/", "#", "?")):
                self.active.append(f"{tag} {name}={value}")
        if tag in ("svg", "object", "embed", "math", "meta refresh"):
            self.active.append(tag)
        if tag == "script" and not any(name == "src" for name, _ in attrs):
            self.active.append("script")


@pytest.mark.parametrize("attack", SCRIPTS)
@pytest.mark.parametrize("place", [*FIELDS, "text", "file"])
def test_xss_by_a_letter(sqlite_store: Store, attack: str, place: str) -> None:
    """In the list, in the letter, in the answer to it: text stays text."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            message = letter()
            if place == "text":
                message.set_content(attack)
            elif place == "file":
                message.add_attachment(
                    b"x", maintype="application", subtype="pdf", filename=f"{attack}.pdf"
                )
            elif place in FIELDS:
                # Written by hand: Python's own builder refuses some of them.
                name, value = FIELDS[place]
                del message[name]
            raw = message.as_bytes()
            if place in FIELDS:
                quoted = attack.replace('"', '\\"') if '"%s"' in value else attack
                raw = f"{name}: {value % quoted}\r\n".encode() + raw
            site.deliver("amal", raw)
            browser = site.browser()
            await browser.log_in("amal")
            inbox = site.inbox("amal")
            reply = f"/compose?all=1&reply={site.entry('amal').inbox}.1"
            for path in (inbox, f"{inbox}/1", reply):
                page = await browser.get(path)
                assert page.status == 200
                assert Tags(page.text).active == [], path
                assert "49<b>" not in page.text

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        "<img src='https://evil.test/pixel.gif'>",
        "<body onload=alert(1)>",
        "<svg><animate onbegin=alert(1) attributeName=x></svg>",
        "<a href='javascript:alert(1)'>x</a>",
        "<p style='background:url(https://evil.test/x)'>x</p>",
        "<style>@import 'https://evil.test/x.css'; p{}</style>",
        "<link rel=stylesheet href='https://evil.test/x.css'>",
        "<meta http-equiv=refresh content='0;url=https://evil.test/'>",
        "<iframe src='https://evil.test/'></iframe>",
        "<form action='https://evil.test/'><input name=password></form>",
        "<base href='https://evil.test/'>",
        "</body></html><script>alert(1)</script>",
    ],
)
def test_html_of_a_letter_is_harmless(sqlite_store: Store, html: str) -> None:
    """Cleaned, sandboxed, without scripts, and never a part of our own page."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter(html=f"<p>Hello</p>{html}"))
            browser = site.browser()
            await browser.log_in("amal")
            place = f"{site.inbox('amal')}/1"
            page = await browser.get(place)
            sandbox = "allow-same-origin allow-popups allow-popups-to-escape-sandbox"
            assert f'sandbox="{sandbox}"' in page.text
            assert "evil" not in page.text
            frame = await browser.get(f"{place}/html")
            policy = frame.response.headers["content-security-policy"]
            assert policy.startswith(f"sandbox {sandbox};")
            assert "allow-scripts" not in policy
            assert "base-uri 'none'; form-action 'none'" in policy
            assert "default-src 'none'" in policy
            assert "Hello" in frame.text
            assert "evil" not in frame.text
            assert Tags(frame.text).active == []

    asyncio.run(scenario())


def test_xss_by_a_form_that_comes_back(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            attack = "\"><script>alert(1)</script>'"
            await browser.get("/login")
            page = await browser.post("/login", login=attack, password="x", next=attack)
            assert Tags(page.text).active == []
            await browser.log_in("amal")
            page = await browser.get(f"/admin/journeys?to={attack}&from={attack}&since={attack}")
            assert Tags(page.text).active == []
            page = await browser.get(f"/nothing/{attack}?{attack}")
            assert page.status == 404
            assert Tags(page.text).active == []

    asyncio.run(scenario())
