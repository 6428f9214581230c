"""Files of a letter that is written on the web."""

from __future__ import annotations

import asyncio
import re
from email import message_from_bytes
from email.policy import SMTP, default
from html import unescape
from typing import Any

import pytest

from kit.site import Page, letter, visiting
from kit.webmail import member, newest, role, uids
from zajil.config.options import LimitOptions
from zajil.message.entity import Base64Source, Slice
from zajil.message.source import read_pieces
from zajil.message.transfer import encode_base64
from zajil.store.engine.open import Store

PNG = ("صورة.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, "image/png")
TEXT = ("notes.txt", b"a file\r\n", "text/plain")
LARGE = ("large.bin", bytes(range(251)) * 12_000, "application/octet-stream")


def refs(page: Page) -> list[str]:
    return re.findall(r'name="file" value="([^"]+)"', page.text)


def names(page: Page) -> list[str]:
    return [unescape(one) for one in re.findall(r'class="filename"><bdi>([^<]*)', page.text)]


def files(raw: bytes) -> list[tuple[str | None, Any]]:
    message = message_from_bytes(raw, policy=default)
    return [(part.get_filename(), part.get_content()) for part in message.iter_attachments()]


def test_files_are_kept_with_the_draft_and_sent(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal, drafts = await member(site, "amal"), role(site, "amal", "drafts")
            await amal.get("/compose")
            first = await amal.upload("/compose", PNG, TEXT, action="attach", body="See")
            form = await amal.get(first.location)
            assert names(form) == [PNG[0], TEXT[0]]
            # They are in the draft that other programs see.
            assert [name for name, _ in files(newest(site, drafts))] == [PNG[0], TEXT[0]]
            second = await amal.upload(
                "/compose",
                LARGE,
                action="attach",
                place=form.field("place"),
                file=refs(form),
                body="See",
            )
            form = await amal.get(second.location)
            assert names(form) == [PNG[0], TEXT[0], LARGE[0]]
            third = await amal.upload(
                "/compose",
                remove=refs(form)[1],
                place=form.field("place"),
                file=refs(form),
                body="See",
            )
            form = await amal.get(third.location)
            assert names(form) == [PNG[0], LARGE[0]]
            assert len(uids(site, drafts)) == 1
            await amal.upload(
                "/compose",
                TEXT,  # chosen, and sent without "Attach files"
                action="send",
                place=form.field("place"),
                file=refs(form),
                to="basim@north.test",
                subject="s",
                body="See",
            )
            raw = newest(site, site.entry("basim").inbox)
            assert files(raw) == [PNG[:2], LARGE[:2], (TEXT[0], "a file\r\n")]
            body = message_from_bytes(raw, policy=default).get_body()
            assert body is not None
            assert body.get_content().strip() == "See"
            assert uids(site, drafts) == []

    asyncio.run(scenario())


def test_a_chosen_file_is_not_lost_when_the_letter_cannot_be_sent(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            page = await amal.upload("/compose", TEXT, action="send", to="nobody", body="x")
            assert page.status == 422
            assert names(page) == ["notes.txt"]
            sent = await amal.upload(
                "/compose",
                place=page.field("place"),
                file=refs(page),
                to="basim@north.test",
                subject="s",
                body="x",
            )
            assert sent.status == 303
            assert len(files(newest(site, site.entry("basim").inbox))) == 1

    asyncio.run(scenario())


def test_files_that_are_too_large_are_refused(sqlite_store: Store) -> None:
    async def scenario() -> None:
        limit = 4 << 20
        limits = LimitOptions(message_size="4MiB")
        async with visiting(sqlite_store, limits=limits) as site:
            amal = await member(site, "amal")
            page = await amal.upload(
                "/compose", ("big.bin", bytes(limit - 1000), "x/y"), action="attach", body="words"
            )
            assert page.status == 422
            assert "The files are too large for one message." in page.text
            assert "words" in page.text
            page = await amal.upload("/compose", ("big.bin", bytes(limit + (2 << 20)), "x/y"))
            assert page.status == 413

    asyncio.run(scenario())


def test_an_empty_file_is_a_file(store: Store) -> None:
    """And an empty field is none."""

    async def scenario() -> None:
        async with visiting(store) as site:
            amal, drafts = await member(site, "amal"), role(site, "amal", "drafts")
            page = await amal.get("/compose")
            assert "Files together can have up to " in page.text
            saved = await amal.upload("/compose", ("empty.txt", b"", "text/plain"), action="attach")
            assert names(await amal.get(saved.location)) == ["empty.txt"]
            assert files(newest(site, drafts)) == [("empty.txt", "")]
            saved = await amal.upload("/compose", action="save", body="x")
            assert names(await amal.get(saved.location)) == []

    asyncio.run(scenario())


def test_nobody_attaches_anothers_files(sqlite_store: Store) -> None:
    """Attacks E: an id is never enough, it must be the account's own."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter("Secret"))
            inbox = site.entry("amal").inbox
            basim = await member(site, "basim")
            for ref in (f"{inbox}.1/", f"{inbox}.1/1"):
                page = await basim.upload("/compose", file=ref, to="basim@north.test", body="x")
                assert page.status == 422
            page = await basim.get(f"/compose?forward={inbox}.1")
            assert page.status == 404
            assert uids(site, site.entry("basim").inbox) == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("../../etc/passwd", "text/plain", "passwd"),
        ("C:\\Documents\\x.doc", "application/msword", "x.doc"),
        ("a\r\nX-Evil: yes.txt", "text/plain\r\nX-Evil: yes", None),
        ("evil.eml", "message/rfc822", "evil.eml"),
        ("multi.bin", "multipart/mixed", "multi.bin"),
        ("n" * 400 + ".txt", "text/plain", None),
        ("\u202egnp.exe", "not a type", "gnp.exe"),
    ],
)
def test_odd_names_and_types(sqlite_store: Store, name: str, kind: str, shown: str | None) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            try:
                sent = await amal.upload(
                    "/compose", (name, b"x", kind), to="basim@north.test", subject="s", body="x"
                )
            except ValueError:  # the browser of the test does not write such a field
                return
            if sent.status != 303:
                assert sent.status in (400, 422)
                return
            raw = newest(site, site.entry("basim").inbox)
            assert message_from_bytes(raw)["X-Evil"] is None
            ((got, _),) = files(raw)
            assert shown is None or got == shown

    asyncio.run(scenario())


def test_a_message_is_forwarded_with_its_files(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            message = letter("Pictures", "Look.\n\n> quoted\n")
            message.add_attachment(
                PNG[1], maintype="image", subtype="png", filename=PNG[0], disposition="attachment"
            )
            site.deliver("amal", message)
            amal, inbox = await member(site, "amal"), site.entry("amal").inbox
            form = await amal.get(f"/compose?forward={inbox}.1")
            assert form.field("subject") == "Fwd: Pictures"
            assert names(form) == [PNG[0]]
            body = unescape(form.text.partition("</textarea>")[0].rpartition(">\n")[2])
            assert "Forwarded message" in form.text
            assert "From: Noor Saleh &lt;noor@south.test&gt;" in form.text
            fields = ("subject", "kind", "source", "references")
            await amal.upload(
                "/compose",
                to="basim@north.test",
                body=body,
                file=refs(form),
                **{name: form.field(name) for name in fields},
            )
            raw = newest(site, site.entry("basim").inbox)
            assert files(raw) == [PNG[:2]]
            assert message_from_bytes(raw)["In-Reply-To"] is None
            from zajil.core.ids import Uid
            from zajil.store.mail.messages import get_messages

            (found,) = site.store.read_now(lambda conn: get_messages(conn, inbox, [Uid(1)]))
            assert "$Forwarded" in found.flags

    asyncio.run(scenario())


@pytest.mark.parametrize("subject", ["Plain", "عربي"])
def test_a_message_is_forwarded_as_an_attachment(sqlite_store: Store, subject: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            original = letter(subject)
            site.deliver("amal", original.as_bytes(policy=SMTP.clone(utf8=True)))
            amal, inbox = await member(site, "amal"), site.entry("amal").inbox
            form = await amal.get(f"/compose?forward={inbox}.1&as=attachment")
            assert names(form) == [f"{subject}.eml"]
            await amal.upload(
                "/compose", to="basim@north.test", subject="s", body="x", file=refs(form)
            )
            raw = newest(site, site.entry("basim").inbox)
            assert original["Message-ID"].encode() in raw or subject == "عربي"
            message = message_from_bytes(raw, policy=default)
            (part,) = message.iter_attachments()
            kind = "message/rfc822" if subject.isascii() else "message/global"
            assert part.get_content_type() == kind

    asyncio.run(scenario())


def test_a_reply_to_a_list_goes_to_the_list(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            message = letter(to="amal@north.test, dev@lists.test")
            message["List-Post"] = "<mailto:dev@lists.test>"
            site.deliver("amal", message)
            amal, inbox = await member(site, "amal"), site.entry("amal").inbox
            form = await amal.get(f"/compose?reply={inbox}.1&list=1")
            assert form.field("to") == "dev@lists.test"
            assert form.field("cc") == ""

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [0, 1, 2, 3, 56, 57, 58, 1000, 114])
def test_base64_is_encoded_piece_by_piece(size: int) -> None:
    data = bytes(number % 256 for number in range(size))
    source = Base64Source(Slice(b"ab" + data + b"cd", 2, 2 + size))
    whole = encode_base64(data)
    assert source.size == len(whole)
    assert b"".join(read_pieces(source)) == whole
    for start in range(0, len(whole) + 2, 7):
        assert source.read_at(start, 50) == whole[start : start + 50]
