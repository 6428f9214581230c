"""Which logos may be shown: an allow-list of SVG Tiny PS."""

from __future__ import annotations

import pytest

from kit.marks import LOGO
from zajil.mailauth.logo_svg import MAX_DEPTH, MAX_ELEMENTS, check_logo
from zajil.mailauth.logotype import MAX_SVG, BadLogo

BEGIN = (
    b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    b'version="1.2" baseProfile="tiny-ps" viewBox="0 0 9 9">'
)


def whole(content: bytes) -> bytes:
    """Return a logo with this content."""
    return BEGIN + content + b"</svg>"


@pytest.mark.parametrize(
    "logo",
    [
        LOGO,
        b'<?xml version="1.0" encoding="UTF-8"?>\n<!-- made by hand -->\n' + LOGO,
        whole(
            b'<defs><linearGradient id="a" gradientUnits="userSpaceOnUse">'
            b'<stop offset="0" stop-color="red"/></linearGradient>'
            b'<linearGradient id="b" xlink:href="#a"/></defs>'
            b'<g transform="translate(1 2) rotate(30)" fill="url(#b)" stroke="rgb(1, 2, 3)">'
            b'<path d="M0 0L9 9z"/><use xlink:href="#c" x="3"/></g><path id="c" d="M1 1z"/>'
        ),
        whole(b'<title xml:lang="ar">\xd8\xb4\xd8\xb9\xd8\xa7\xd8\xb1</title><desc>&amp;</desc>'),
    ],
)
def test_a_logo_is_shown(logo: bytes) -> None:
    check_logo(logo)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<script>alert(1)</script>", "element that is not allowed: script"),
        (b'<rect onload="alert(1)"/>', "attribute that is not allowed: onload"),
        (b'<image xlink:href="https://a.test/x.png"/>', "not allowed: image"),
        (b'<image href="data:image/png;base64,AA"/>', "not allowed: image"),
        (b"<foreignObject/>", "not allowed: foreignObject"),
        (b"<style>@import url(https://a.test)</style>", "not allowed: style"),
        (b'<rect style="fill:url(https://a.test)"/>', "not allowed: style"),
        (b'<rect class="x"/>', "not allowed: class"),
        (b'<animate attributeName="x"/>', "not allowed: animate"),
        (b'<set attributeName="x"/>', "not allowed: set"),
        (b'<a xlink:href="https://a.test"/>', "not allowed: a"),
        (b'<use xlink:href="https://a.test/x.svg#y"/>', "outside"),
        (b'<use href="https://a.test/x.svg#y"/>', "outside"),
        (b'<rect xlink:href="#a"/>', "outside"),
        (b'<rect fill="url(https://a.test/x#y)"/>', "outside"),
        (b'<rect fill="URL( //a.test/x#y )"/>', "outside"),
        (b'<rect fill="url(#a"/><rect fill="url(&#x22;#a&#x22;)"/>', None),
        (b'<rect fill="url(&#x27;https://a.test&#x27;)"/>', "outside"),
        (b'<rect fill="u\\72l(https://a.test)"/>', "escape"),
        (b'<rect fill="image(https://a.test)"/>', "function that is not allowed: image"),
        (b'<rect fill="url(#a) image-set(https://a.test)"/>', "not allowed: image-set"),
        (b'<svg width="1"/>', "not allowed: svg"),
        (b'<x:rect xmlns:x="https://a.test"/>', "not allowed: rect"),
        (b'<rect xmlns="http://www.w3.org/1999/xhtml"/>', "not allowed: rect"),
        (b'<rect xmlns:x="https://a.test" x:d="1"/>', "attribute that is not allowed: d"),
        (b'<rect xml:base="https://a.test"/>', "attribute that is not allowed: base"),
        (b"<?xml-stylesheet href='https://a.test'?>", "processing instruction"),
        (b'<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>', "repeats"),
        (b'<use id="a" href="#b"/>', "repeats"),
        (b'<use href="#a"/>' * 9 + b'<g id="a">' + b"<rect/>" * 999 + b"</g>", None),
        (b'<use href="#a"/>' * 99 + b'<g id="a">' + b"<rect/>" * 999 + b"</g>", "too many"),
        (b'<rect fill="' + b"a" * 30_000 + b'"/>', None),
        (b'<rect fill="' + b" " * 30_000 + b'"/>', None),
        (b'<rect fill="' + b"a " * 15_000 + b'"/>', None),
        (b"&lol;", "not XML"),
        (b"<rect>", "not XML"),
        (b"\xff", "not in UTF-8"),
        (b"<g>" * MAX_DEPTH + b"</g>" * MAX_DEPTH, "too many elements"),
        (b"<g/>" * MAX_ELEMENTS, "too many elements"),
    ],
)
def test_what_is_not_listed_is_refused(content: bytes, reason: str | None) -> None:
    if reason is None:
        check_logo(whole(content))
        return
    with pytest.raises(BadLogo, match=reason):
        check_logo(whole(content))


@pytest.mark.parametrize(
    ("logo", "reason"),
    [
        (b"", "not XML"),
        (b"<html/>", "not allowed: html"),
        (LOGO.replace(b"tiny-ps", b"tiny"), "profile"),
        (LOGO.replace(b'version="1.2"', b'version="1.1"'), "profile"),
        (b"<!DOCTYPE svg>" + LOGO, "document type"),
        (b'<!DOCTYPE svg [<!ENTITY a "b">]>' + LOGO, "document type"),
        (b'<!DOCTYPE svg SYSTEM "https://a.test/x.dtd">' + LOGO, "document type"),
        (b'<?xml version="1.0" encoding="UTF-7"?>' + LOGO, "not in UTF-8"),
        (b'<?xml version="1.0" encoding="utf-16"?>' + LOGO, "not in UTF-8"),
        (LOGO.decode().encode("utf-16"), "not in UTF-8"),
        (LOGO.decode().encode("utf-16-le"), "not in UTF-8"),
        (LOGO + LOGO, "not XML"),
        (LOGO + b" " * MAX_SVG, "too large"),
    ],
)
def test_what_is_no_logo(logo: bytes, reason: str) -> None:
    with pytest.raises(BadLogo, match=reason):
        check_logo(logo)
