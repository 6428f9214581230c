"""Pages in fewer bytes, and nothing told by their length."""

from __future__ import annotations

import asyncio
import gzip
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from kit.site import letter, visiting
from zajil.store.engine.open import Store
from zajil.web.compressed import _gzip, _may_compress
from zajil.web.security import _unmask, mask_token


@given(st.binary(max_size=5000), st.integers(0, 99))
def test_what_is_packed_is_gzip(data: bytes, length: int) -> None:
    """RFC 1952 section 2.3: the name of the file is of any length."""
    assert gzip.decompress(_gzip(data, b"a" * length)) == data


@pytest.mark.parametrize(
    ("accepted", "site", "may"),
    [
        ("gzip, deflate, br", "same-origin", True),
        ("br;q=1.0, gzip;q=0.8", "none", True),
        ("GZIP", "", True),
        ("gzip;q=0", "none", False),
        ("gzip; q=0.000", "none", False),
        ("deflate, br", "none", False),
        ("", "none", False),
        # Security: an answer that somebody else made the browser ask for has its full length.
        ("gzip", "cross-site", False),
        ("gzip", "same-site", False),
    ],
)
def test_who_gets_it(accepted: str, site: str, may: bool) -> None:
    headers = {"accept-encoding": accepted} | ({"sec-fetch-site": site} if site else {})
    assert _may_compress(Headers(headers)) == may


def test_pages_and_styles_are_packed_and_files_are_not(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            message = letter()
            message.add_attachment("words " * 1000, filename="words.txt")
            site.deliver("amal", message)
            browser = site.browser(**{"accept-encoding": "gzip"})
            await browser.log_in("amal")
            inbox = site.inbox("amal")
            for path in (inbox, f"{inbox}/1", "/compose", "/static/base.css"):
                headers = (await browser.get(path)).response.headers
                assert headers["content-encoding"] == "gzip"
                assert "accept-encoding" in headers["vary"].lower()
            for path in (f"{inbox}/1/file/2", f"{inbox}/1/source"):
                assert "content-encoding" not in (await browser.get(path)).response.headers
            plain = site.browser(**{"accept-encoding": "identity"})
            await plain.log_in("amal")
            assert "content-encoding" not in (await plain.get(inbox)).response.headers

    asyncio.run(scenario())


def test_no_two_pages_share_the_token_of_a_form(sqlite_store: Store) -> None:
    """Security: BREACH guesses a secret piece by piece, if it stays the same."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            await browser.log_in("amal")
            pages = [(await browser.get("/compose")).text for _ in range(5)]
            tokens = [set(re.findall(r'name="csrf" value="([0-9a-f]+)"', page)) for page in pages]
            assert all(tokens)
            assert len(set.union(*tokens)) == sum(map(len, tokens))
            (real,) = {_unmask(token) for found in tokens for token in found}
            assert all(real not in page for page in pages)
            assert (await browser.post("/preferences", csrf=real, theme="dark")).status == 403
            # Each of them is good, not only that of the last page.
            (first, *_) = tokens[0]
            assert (await browser.post("/preferences", csrf=first, theme="dark")).status == 303

    asyncio.run(scenario())


@given(st.binary(min_size=1, max_size=64))
def test_a_masked_token_is_the_token_again(token: bytes) -> None:
    assert _unmask(mask_token(token.hex())) == token.hex()


@given(st.text(alphabet="0123456789abcdefA-", max_size=80))
def test_what_is_no_masked_token_is_none(sent: str) -> None:
    assert len(_unmask(sent)) in (0, len(sent) // 2)
