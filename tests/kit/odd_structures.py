"""Messages whose header sections and parts are unusual or broken: what FETCH has to describe."""

from __future__ import annotations

_ADDRESSES = (
    "a@b.test", "", " ", "(c) a@b.test", "a(c)@b.test (Name)", '"a \\"q\\" \\\\" <c@d.test>',
    "G: a@b.test, c@d.test;", "G: ;", "G:a@b.test", "G: H: a@b.test;;", ":;", "g:,;", ";", ",",
    "a b@c.test", "<a b@c.test>", 'a"b"@c.test', "a . b @ c . test", "a@", "@b.test", "<>", "<@>",
    "name <>", "<@r1,@r2:u@d.test>", "@r:u@d.test", "<u>", "just words", "a,,b@c.test", "<a@b.test",
    "a@b.test; b@c.test", '"never closed <a@b.test>', "(never closed a@b.test", "a@[IPv6:::1]",
    "a@b@c.test", "=?utf-8?q?a?= <a@b.test>", "A\r\n B <a@b.test>", "<<a@b.test>>", "a\x01b <a@b>",
    "سلام <سلام@موقع.test>", '"\\é" <a@b.test>', '"a\\', "x" * 300 + "@b.test",
)  # fmt: skip

_TYPES = (
    "", "text", "text/", "/plain", "multipart/", "text/plain; charset", "text/plain; =x", "x-token",
    'text/plain; charset="utf-8', "text/plain; a=1; a=2", 'text/plain; c="q\\"q\\\\"',
    "text/plain; name*=utf-8''%D9%85%0d%0a; x*0=a; x*1=b", "text/plain (c); charset=(c)utf-8",
    "text / plain", "application/octet-stream; name=a b c.txt", "foo/bar/baz", "application/x-é",
    "multipart/foo; boundary=b", 'text/plain; name="سلام"', "message/rfc822", "message/global",
    "message/partial; id=x; number=1", "text/plain; " + "; ".join(f"p{n}=v" for n in range(150)),
)  # fmt: skip

_FIELDS = (
    "Content-Disposition: ; filename=x", 'Content-Disposition: "attachment"; filename="a\\"b"',
    "Content-Disposition: سلام; x=سلام", "Content-Language: en (x), fr,, de", "Content-Language: ,",
    "Content-Location: http://x/\r\n y", "Content-MD5: سلام", "Content-ID: <سلام@x>", "Content-ID:",
    'Content-Description: =?utf-8?q?x?= "y"', "Content-Transfer-Encoding: BASE64",
    "Content-Transfer-Encoding: x-foo", "Content-Transfer-Encoding: سلام", "Subject: a\r\n \r\n b",
    "Content-Transfer-Encoding: quoted-printable", "Message-ID: \t\r\nIn-Reply-To: x\r\nDate:",
    "Subject : a\r\nSender:\r\nReply-To: ,", "Subject: \x01\x7f", " folded first",
)  # fmt: skip

_BODIES = (
    "--b--\r\n", "nothing\r\n", "--b\r\n--b\r\n\r\n--b\r\nX: y\r\n--b--\r\n",
    "--b\r\n\r\none\r\n--b", "--b\r\nno header\r\n\r\nx\r\n--b--",
    "--b \t\r\n\r\none\r\n--bc\r\n--b--c\r\n--b-- \r\nlast\r\n",
    "--b\r\nContent-Type: multipart/digest; boundary=bb\r\n\r\n--bb\r\n\r\nSubject: d\r\n\r\nx\r\n"
    "--bb\r\nContent-Type: text/plain\r\n\r\ny\r\n--bb--\r\n--b\r\n\r\nz\r\n--b--\r\n",
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: i\r\nContent-Type: multipart/mixed; "
    "boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n--b\r\n"
    "Content-Type: message/rfc822\r\n\r\nno field\r\n--b\r\nContent-Type: message/rfc822\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeAoKeQo=\r\n--b--\r\n",
    "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC!!\r\nYW\r\n--b\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n=41= \r\n=ZZ=\r\n--b--\r\n",
)  # fmt: skip


def odd_structures() -> list[bytes]:
    """Return them: addresses, types, fields, bodies; each message small."""
    texts = [f"From: {one}\r\nTo: x@y.test, {one}\r\nCc: {one}\r\n\r\nx\r\n" for one in _ADDRESSES]
    body = "--b\r\n\r\nSubject: x\r\n\r\nq\r\n--b--\r\n"
    texts += [f"Content-Type: {one}\r\n\r\n{body}" for one in _TYPES]
    texts += [f"{one}\r\nFrom: a@b.test\r\n\r\nYWJj\r\n" for one in _FIELDS]
    head = "Subject: s\r\nContent-Type: multipart/mixed; boundary="
    texts += [f"{head}b\r\n\r\n{one}" for one in _BODIES]
    texts += ["\r\nx\r\n", "no header\r\n\r\nx", "Subject: x", "Subject: x\r\n", ":\r\n\r\nx", "x"]
    texts += [
        _deep(f"{head}b{{0}}\r\n\r\n--b{{0}}\r\n", "\r\n--b{0}--\r\n", level) for level in (5, 150)
    ]
    texts.append("Content-Type: message/rfc822\r\n\r\n" * 150 + "x\r\n")
    return [text.encode() for text in texts] + [
        b"From: \xe9\xe8 <a@b.test>\r\nSubject: \xff\r\nTo: \xff@b.test\r\n\r\n\xfe\r\n",
        b"X: y\r\n" * 12_000 + b"Subject: last\r\n\r\nx\r\n",
    ]


def _deep(begin: str, end: str, levels: int) -> str:
    numbers = range(levels)
    return (
        "".join(begin.format(number) for number in numbers)
        + "\r\nleaf"
        + "".join(end.format(number) for number in reversed(numbers))
    )
