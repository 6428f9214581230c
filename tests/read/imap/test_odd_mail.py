"""SEARCH finds the words of mail whose structure is broken."""

from __future__ import annotations

import asyncio
from pathlib import Path

from kit.imap import imap_place, make_reader
from kit.store import running
from zajil.store.engine.open import Store

WORD = "زيتون"
HTML = f"<p>{WORD}</p>\r\n".encode("cp1256")
META = b'<meta http-equiv="Content-Type" content="text/html; charset=windows-1256">'
MAIL = (
    # The charset is in the HTML, in front of and behind a style sheet, and in an XML declaration.
    b"Content-Type: text/html\r\n\r\n" + META + HTML,
    b"Content-Type: text/html; charset=us-ascii\r\n\r\n<html><head><style>%b</style>%b</head>%b"
    % (b"p{color:red}\r\n" * 100, META, HTML),
    b'Content-Type: text/html\r\n\r\n<?xml version="1.0" encoding="windows-1256"?>' + HTML,
    # The semicolon in front of the parameters is missing, or something else stands there.
    b"Content-Type: text/html charset=windows-1256\r\n\r\n" + HTML,
    b"Content-Type: text/plain:charset=windows-1256\r\n\r\n" + HTML,
    # A multipart without parts, a text that has a name, white space behind a soft line break.
    b"Content-Type: multipart/mixed; charset=windows-1256\r\n\r\n" + HTML,
    b"Content-Type: text/plain; name=a.txt; charset=windows-1256\r\n\r\n" + HTML,
    b"Content-Type: text/plain; charset=windows-1256\r\n"
    b"Content-Transfer-Encoding: quoted-printable x\r\n\r\n" + HTML[:4] + b"= \t\r\n" + HTML[4:],
    # The boundary looks like an encoded word.
    b'Content-Type: multipart/mixed; boundary="=?us-ascii?Q?b?="\r\n\r\n--=?us-ascii?Q?b?=\r\n'
    b"Content-Type: text/html\r\n\r\n" + META + HTML + b"--=?us-ascii?Q?b?=--\r\n",
)


def test_words_of_broken_mail_are_found(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for message in MAIL:
                assert b" OK " in await imap.append("INBOX", b"Subject: x\r\n" + message)
            await imap.ok("SELECT INBOX")
            everything = " ".join(str(number) for number in range(1, len(MAIL) + 1)).encode()
            for key in ("BODY", "TEXT"):
                (line, _) = await imap.ok(f'SEARCH CHARSET UTF-8 {key} "{WORD}"'.encode())
                assert line == b"* SEARCH " + everything
            (line, _) = await imap.ok('SEARCH CHARSET UTF-8 BODY "ÒíÊæä"'.encode())
            assert line == b"* SEARCH"

    asyncio.run(run())
