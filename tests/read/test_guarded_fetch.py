"""Attacks L: what a message makes this server ask for (server-side request forgery)."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from kit.web_server import PNG, WebServer, answer, redirect, web_server
from kit.zone import ZoneResolver
from zajil.net.peer import Networks
from zajil.read.guarded_fetch import Fetched, FetchFailed, GuardedFetcher
from zajil.read.picture_fetch import PictureFetcher, PictureLinks, picture_type

ZONE = {
    "pictures.test": {"A": ["127.0.0.1"]},
    "inside.test": {"A": ["127.0.0.2"]},
    "inside6.test": {"AAAA": ["::1"]},
}


def fetcher(*allowed: str) -> GuardedFetcher:
    return GuardedFetcher(
        ZoneResolver(ZONE).resolve, ssl.create_default_context(), Networks(allowed)
    )


async def get(url: str, *, most_bytes: int = 1000, seconds: float = 60) -> Fetched:
    return await fetcher("127.0.0.1").get(
        url, most_bytes=most_bytes, seconds=seconds, accept="image/png"
    )


def test_nothing_about_the_reader_is_sent() -> None:
    async def scenario() -> WebServer:
        async with web_server({"/a?b=c%20d": answer(PNG)}) as server:
            assert (await get(server.url("/a?b=c%20d#fragment"))).data == PNG
            return server

    server = asyncio.run(scenario())
    lines = server.asked[0].decode().split("\r\n")
    assert lines[0] == "GET /a?b=c%20d HTTP/1.1"
    names = {line.partition(":")[0].lower() for line in lines[1:] if line}
    assert names == {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert f"Host: pictures.test:{server.port}" in lines


@pytest.mark.parametrize(
    "url",
    [
        *("http://inside.test/", "http://inside6.test/", "http://[::1]/", "http://127.0.0.2/"),
        *("http://[::ffff:127.0.0.2]/", "http://169.254.169.254/latest/meta-data/"),
        *("http://2130706434/", "http://0x7f.2/", "http://0177.0.0.2/", "http://localhost/"),
        *("http://10.0.0.1:8080/", "https://192.168.0.1/", "http://unknown.test/"),
        *("ftp://pictures.test/", "file:///etc/passwd", "gopher://pictures.test/", "//x/", ""),
        *("mailto:a@b.test", "data:image/png;base64,AA==", "http://", "http:///x"),
        *("http://user:secret@pictures.test/", "http://pictures.test@inside.test/"),
        *("http://pictures.test:port/", "http://pictures.test:99999/", "http://a b.test/"),
        *("http://8.8.8.8:25/", "http://8.8.8.8:6379/", "https://8.8.8.8:22/"),
    ],
)
def test_what_is_never_asked(url: str) -> None:
    with pytest.raises(FetchFailed):
        asyncio.run(get(url, seconds=5))


@pytest.mark.parametrize("host", ["inside.test", "127.0.0.2", "[::1]", "169.254.169.254"])
def test_a_redirect_is_judged_anew(host: str) -> None:
    async def scenario() -> None:
        async with web_server({}) as server:
            server.answers["/a"] = redirect(f"http://{host}:{server.port}/b")
            server.answers["/b"] = answer(PNG)
            with pytest.raises(FetchFailed, match="not on the Internet"):
                await get(server.url("/a"))
            assert len(server.asked) == 1

    asyncio.run(scenario())


def test_three_redirects_are_followed_and_no_more() -> None:
    async def scenario() -> None:
        async with web_server({f"/{at}": redirect(f"/{at + 1}") for at in range(9)}) as server:
            server.answers["/3"] = answer(PNG)
            assert (await get(server.url("/0"))).data == PNG
            with pytest.raises(FetchFailed, match="too many"):
                await get(server.url("/4"))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (answer(b"x" * 1001), "too large"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 100_000, "too large"),
        (answer(b"x", Content_Encoding="gzip"), "packed"),
        (b"220 mail.test ESMTP\r\n", "bad answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "bad answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n", "bad answer"),
    ],
)
def test_answers_that_are_not_taken(said: bytes, reason: str) -> None:
    async def scenario() -> None:
        async with web_server({"/a": said}) as server:
            with pytest.raises(FetchFailed, match=reason):
                await get(server.url("/a"))

    asyncio.run(scenario())


def test_a_server_that_says_nothing_is_left() -> None:
    async def scenario() -> None:
        async with web_server({"/a": b""}) as server:
            with pytest.raises(FetchFailed, match="too long"):
                await get(server.url("/a"), seconds=0.5)

    asyncio.run(scenario())


def test_a_post_follows_no_redirect() -> None:
    async def scenario() -> None:
        async with web_server({"/a": redirect("/b")}) as server:
            found = await fetcher("127.0.0.1").post(server.url("/a"), b"x=1", {"Content-Type": "t"})
            assert found.status == 302
            assert server.asked[0].startswith(b"POST /a HTTP/1.1\r\n")
            assert server.asked[0].endswith(b"\r\n\r\nx=1")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"<html>", None),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"", None),
    ],
)
def test_a_picture_is_known_by_its_bytes(data: bytes, found: str | None) -> None:
    assert picture_type(data) == found

    async def scenario() -> str | None:
        async with web_server({"/a": answer(data, "image/png")}) as server:
            try:
                return (await PictureFetcher(fetcher("127.0.0.1")).fetch(server.url("/a"))).type
            except FetchFailed:
                return None

    assert asyncio.run(scenario()) == found


def test_an_address_of_a_picture_is_for_one_session() -> None:
    mine, other = PictureLinks("a" * 64), PictureLinks("b" * 64)
    mac = mine.address("https://a.test/x").partition("mac=")[2]
    assert mine.is_ours("https://a.test/x", mac)
    assert not mine.is_ours("https://a.test/y", mac)
    assert not other.is_ours("https://a.test/x", mac)
    assert not mine.is_ours("https://a.test/x", "é")
