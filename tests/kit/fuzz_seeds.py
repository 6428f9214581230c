"""Whole messages that the fuzzer begins with: each leads the readers to lines of their own."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile

from cryptography.hazmat.primitives.asymmetric import rsa

from kit.mail import make_message
from zajil.mailauth.dkim_sign import SigningKey
from zajil.message.build import NewAttachment, build_message


def fixed_rsa_key(domain: str = "north.test", selector: str = "r") -> SigningKey:
    """Return an RSA key that is the same on every machine; its primes are no secret."""
    p, q = (
        (int.from_bytes(hashlib.sha512(name).digest(), "big") | 3 << 510 | 1) + more
        for name, more in ((b"p", 142), (b"q", 22))
    )
    e = 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        *(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p)), rsa.RSAPublicNumbers(e, p * q)
    )
    return SigningKey(domain, selector, "rsa-sha256", numbers.private_key())


# ---- files --------------------------------------------------------------------------------------


def _zip(*members: tuple[str, bytes], packed: bool = False, flags: int = 0) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            archive.writestr(info, data)
    whole = made.getvalue()
    return whole[:6] + bytes([whole[6] | flags]) + whole[7:]  # of the first local header


def _tar(name: str, form: int = tarfile.USTAR_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as tape:
        info = tarfile.TarInfo(name)
        info.size = 2
        tape.addfile(info, io.BytesIO(b"MZ"))
    return made.getvalue()


_PROGRAM = b"MZ" + bytes(100)
ZIPPED = _zip(("run.exe", _PROGRAM))
TARRED = _tar("run.exe")
GZIPPED = gzip.compress(TARRED, mtime=0)
ARCHIVES = (
    ZIPPED,
    TARRED,
    GZIPPED,
    gzip.compress(_PROGRAM, mtime=0),
    _zip(("a.txt", b"x" * 400), ("b.bat", b"echo"), packed=True),
    _zip(("locked.txt", b"x"), flags=1),
    _zip(("in.zip", ZIPPED)),
    _zip(("word/vbaProject.bin", b"x")),
    _zip(*[(f"{number}.js", b"x" * 8192) for number in range(140)]),
    _tar("long/" * 40 + "run.exe", tarfile.GNU_FORMAT),
    _tar("long/" * 70 + "أ.exe", tarfile.PAX_FORMAT),
    TARRED[:124] + b"\xff" * 12 + TARRED[136:],
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"MSCF\0\0\0\0",
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
FILES = (
    *(("a.exe", _PROGRAM), ("b.doc", _OLE + b"V\0B\0A\0"), ("c.bin", _OLE + b"V\0B\0A\0")),
    *(("d.pdf", b"%PDF-1 /JavaScript (x)"), ("e.svg", b"<svg onload=x>"), ("f.svg", b"<svg >")),
    *(("g", b"<hta:application>"), ("h.html", b"<html><form >"), ("i.htm", b"<script>")),
    *(("j.html", b"<html><input type=password>"), ("bill.pdf.exe", b"x"), ("k.lnk", b"x")),
    *(("l\u202egpj.exe", b"x"), ("m.iso", b"x"), ("n.pdf", b"%PDF-1 x")),
)


def mail_with_files(*files: tuple[str, bytes]) -> bytes:
    """Return a message with attachments."""
    attached = [NewAttachment(name, "application/octet-stream", data) for name, data in files]
    head = b"From: Amal <amal@bank.test>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
    return build_message([head], "See the file.", attachments=attached, unique="files")


# ---- mails --------------------------------------------------------------------------------------

_HTML = (
    b'<style>p{color:red}</style><p style="color:#fff;background:#fff url(x)">white</p>'
    b'<div style="display:none">hidden</div><font color=red bgcolor=#123>x</font>'
    b'<a href="https://bank.test/x?a=1#b">bank.test</a><a href="mailto:a@b.test">write</a>'
    b'<img src="cid:1@b" width=1 alt=one><img src="https://a.test/x.png"><pre> a\n b</pre>'
    b"<p style=\"font-family:'a b';background:linear-gradient(red,blue);color:rgb(1,2,3);"
    b"width:expression(x);margin:1px;font-family:'<';color:inherit;@x;border:url(x)\">y</p>"
    b"<table><tr><td>1<td>2</table><ul><li>one<li>two</ul>&#1605;&nbsp;&eacute;&bogus;<br>"
    b'<b style="display:block">a</b><i style="white-space:pre">x\ny</i>'
    b'<form action=x><input type="password"></form><script>x</script><iframe src=x></iframe>'
)
_LINKS = (
    b'<a href="javascript:x">a</a><a href="https://user.name@10.0.0.1/">bank.test</a>'
    b'<a href="https://n0rth.test/">north.test</a><a href="https://xn--80ak6aa92e.com">b</a>'
    b'<a href="https://xn--pple-43d.com">c</a><a href="http://0x7f.1/">http://a.test:80/</a>'
    b'<a href="https://[::1]/">d</a><a href="https://a.test:x/">e</a><a href="//f.test">f</a>'
)


def _mail(head: bytes, body: bytes, kind: bytes = b"text/plain") -> bytes:
    return head + b"\r\nMIME-Version: 1.0\r\nContent-Type: " + kind + b"\r\n\r\n" + body


def whole_mail() -> bytes:
    """Return a message of all kinds of parts, with odd fields."""
    boundary = b"\r\n--b\r\n"
    parts = [
        b"Content-Type: text/plain; charset=windows-1256; format=flowed; delsp=yes\r\n\r\n"
        b"\xe3\xd1\xcd\xc8\xc7 https://www.bank.test/a(b). \r\n> quoted \r\n>> more \r\n-- \r\nA",
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable"
        b"\r\n\r\n" + _HTML.replace(b"=", b"=3D"),
        b'Content-Type: application/zip; name="=?utf-8?q?a=2Ezip?="\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(ZIPPED),
        b"Content-Disposition: attachment; filename*0*=utf-8''%d8%a3; filename*1=.tar\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(TARRED),
        b"Content-Type: message/rfc822\r\n\r\nFrom: x@y.test\r\nSubject: inside\r\n"
        b"Content-Type: application/x-msdownload; name=a.exe\r\n\r\nMZ",
        b"Content-Type: image/png\r\nContent-ID: <1@b>\r\nContent-Disposition: inline\r\n\r\nPNG",
    ]
    return (
        b'From: "J\xe5n Smith" <ceo@bank.test>, =?utf-8?b?2LPZhNmF2Yk=?= (x (y)) <b@c.test>\r\n'
        b"Reply-To: team: a@b.test, c@d.test;\r\nTo: amal@north.test\r\nCc: undisclosed:;\r\n"
        b"Subject: =?windows-1256?q?=E3=D1?= =?windows-1256?q?=CD=C8=C7?= verify your account\r\n"
        b"Date: Mon, 23 Nov 2026 12:00:00 +0000 (noon)\r\nMessage-ID: <1@bank.test>\r\n"
        b"References: <0@bank.test>\r\nList-Id: <list.bank.test>\r\nX-Mailer: old 1.0\r\n"
        b"Authentication-Results: mx.north.test; dmarc=pass\r\nReturn-Path: <x@y.test>\r\n"
        b"Delivered-To: amal@north.test\r\nReceived-SPF: pass\r\n"
        b"\xa0Authentication-Results : mx.north.test; spf=pass\r\n"
        b"Received: from x (y [192.0.2.9]) by z; Mon, 23 Nov 2026 12:00:00 +0000\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
        + boundary
        + boundary.join(parts)
        + b"\r\n--b--\r\n"
    )


def _alternative(plain: bytes, html: bytes, after: bytes = b"") -> bytes:
    return _mail(
        b"From: a@b.test",
        b"--b\r\nContent-Type: text/plain\r\n\r\n" + plain + b"\r\n--b\r\n"
        b"Content-Type: text/html\r\n\r\n" + html + b"\r\n--b--\r\n" + after,
        b"multipart/alternative; boundary=b",
    )


_LONG_ONE = b" ".join(b"word%s" % bytes([97 + at, 98, 99, 97 + at]) for at in range(20))
_X = b"x" * 1100
NOT_FIT = (
    _mail("From: Zoë (a (é) b) <a@bücher.test>, b@c.test (\u0623), é@x.test".encode(), b"x"),
    _mail('From: "Zoë \\" x" <a@bücher.test>, list: b@bücher.test, c@d.test;'.encode(), b"x"),
    _mail(b"To: \xe3\xd1\xcd\xc8\xc7 \xc3\xe3\xe1 <a@b.test>, \xe9 <c@d.test>", b"x"),
    _mail("Cc: a@b.test (\u0623 unclosed\r\nReceived: from x (é (y)) by z".encode(), b"x"),
    _mail("To: a@é..x\r\nX: y".encode(), b"x"),
    _mail("Received: from é".encode(), b"x"),
    _mail('Content-Disposition: attachment; filename="é.txt"'.encode(), b"x"),
    _mail('Content-Disposition: attachment; filename="é'.encode() + b'"; filename=x', b"x"),
    _mail(b"References: " + b"<a@b.test>" * 110 + b"\r\nSubject: " + _X, _X),
    _mail(b"To: " + b"<a@b.test>, " * 120 + b"(" + _X + b")\r\nX: y", b"x"),
    _mail(b"Content-Transfer-Encoding: quoted-printable", b"=41" * 400 + b"\r\nx"),
    _mail(b"Content-Transfer-Encoding: quoted-printable", b"x" * 1050 + b"--b--"),
    _mail(b"Content-Transfer-Encoding: base64", b"QUJD" * 400),
    _mail(b"Content-Transfer-Encoding: x-uuencode", _X),
    _mail(b"X: y", b"\xe9" * 1100),
    _mail(b"X: y", _X + b"\n", b"image/png"),
    _mail(b"X: y", _X, b"multipart/mixed"),
    _mail("X: é".encode(), _X, b"multipart/signed; boundary=b"),
    _mail(
        b"Subject: \xff",
        _X
        + b"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\n"
        + _X
        + b"\r\n--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\ny\r\n--c--"
        + b"\r\n--b\r\nSubject: \xe9\r\n\r\n\xe9\r\n--b--\r\n"
        + _X,
        b"multipart/mixed; boundary=b",
    ),
    _mail(
        b"X: y",
        b"--b\r\nContent-Type: multipart/signed\r\n\r\n" + _X,
        b"multipart/mixed; boundary=b",
    ),
    b"Subject: x\r\n\r\n" + _X,
    b"no field \xe9\r\n\r\nx",
    b"\xe9: y\r\n\r\n" + _X,
    b"\xa0x: y\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" + _X,
    b"Content-Transfer-Encoding: 7bit\r\nSubject: y\r\n\r\n" + _X,
    b"Content-Transfer-Encoding: 7bit\r\n\xc2\x85y\r\n\r\n" + _X,
)
DECEIVING = (
    _mail(b'From: "amal@north.test" <x@evil.test>', b"hello"),
    _mail(b'From: "amal@north.test" <x@evil.test>\r\nList-Id: <x>', b"hello"),
    _mail(b"From: amal@north.test <x@evil.test>", b"hello"),
    _mail(b"From: ((amal@north.test) x@evil.test", b"hello"),
    _mail(b"From: " + b"a" * 2100 + b"@north.test\r\nX-Mailer: \xe9", b"hello"),
    _mail(b'From: "ceo@bank.test" <x@evil.test>\r\nReply-To: ceo@bank.test', _LINKS, b"text/html"),
    _mail(b'From: "ceo@bank.test" <x@evil.test>\r\nList-Id: <x>', b"Please verify your account."),
    _mail(b'From: "Amal Haddad" <x@evil.test>\r\nReply-To: y@gmail.com', b"Are you there?"),
    _mail(b"From: amal@n0rth.test\r\nReply-To: x@n0rth.test", b"urgent: https://bit.ly/x"),
    _mail(b"From: PayPal <x@evil.test>\r\nSubject: verify your account now", _HTML, b"text/html"),
    _mail("From: Аррӏе <x@xn--80ak6aa92e.com>".encode(), b"x"),
    _mail("From: \u202ex <a@b.test>\r\nSubject: \u202ey".encode(), b"x"),
    _mail("From: a@b.test\r\nSubject: \u202ey".encode(), b"x"),
    _mail("From: north.test аdmin <a@xn--pple-43d.com>".encode(), b"x"),
    _mail(b"From: ceo@bank.test\r\nDate: Mon, 23 Nov 2037 12:00:00 +0000", b"hello"),
    _mail(b"From: x@north.test\r\nDate: Mon, 23 Nov 2015 12:00:00 +0000", b"hello"),
    _mail(b"From: x@lists.north.test\r\nList-Id: <a>", b"hello"),
    _mail(b"From: a@b.test\r\nSubject: " + b"=?utf-8?q?a?= " * 10, b"v i a g r a V1AGRA"),
    _mail(
        b"From: a@b.test\r\nContent-Transfer-Encoding: base64",
        base64.encodebytes(b"plain text that needs no encoding at all"),
    ),
    _alternative(_LONG_ONE, b"<p>" + _LONG_ONE.replace(b"word", b"else") + b"</p>"),
    _alternative(b"a", b'<img src="https://a.test/x">', b"\r\n--c--\r\nContent-Type: text/html"),
    _mail(b"From: a@b.test", b'<img src="https://a.test/x">', b"text/html"),
    _mail(b"From: a@b.test", b'<a href="https://a.test/x">go</a>', b"text/html"),
    _mail(
        b"From: a@b.test",
        b"<p>x</p><p style='font-size:0'>" + _LONG_ONE * 20 + b"</p>",
        b"text/html",
    ),
    b"From: a@b.test\r\nContent-Type: text/plain\r\nContent-Type: text/html\r\n"
    b"Content-Transfer-Encoding: x\r\n\r\nhello",
    b"Subject: no author\r\n\r\nhello",
    _mail(
        b"From: a@b.test", (b"--b\r\n\r\nx\r\n" * 120) + b"--b--\r\n", b"multipart/mixed;boundary=b"
    ),
    _mail(
        b"From: " + b", ".join([b"a@a%d.test" % number for number in range(12)]), b"many authors"
    ),
    _mail(b"From: a@[192.0.2.1], b@nowhere.test", b"x"),
    _mail(b'From: "a@bank.test', b"x"),
    _mail(b"From: a@bank.test via b <c@nowhere.test>\r\nReply-To: z@bank.test", b"x"),
)
REPORT = (
    b"From: r@far.example\r\nSubject: Report\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: message/feedback-report\r\n\r\nFeedback-Type: auth-failure\r\nVersion: 1\r\n"
    b"User-Agent: x\r\nAuth-Failure: dmarc\r\nReported-Domain: north.test\r\n--b\r\n"
    b"Content-Type: text/rfc822-headers\r\n\r\nFrom: a@north.test\r\n--b--\r\n"
)
_TRUSTED = (
    b"Authentication-Results: mx.north.test; spf=pass smtp.mailfrom=bank.test; dkim=pass "
    b"header.d=bank.test; dmarc=pass header.from=bank.test\r\n"
    b"Received: from x (x [192.0.2.1]) by mx.north.test; Mon, 23 Nov 2026 12:00:00 +0000\r\n"
)
_ARABIC = make_message(subject="مرحبا", text="أهلا")
WELL_KNOWN = (whole_mail(), _TRUSTED + whole_mail(), REPORT, _ARABIC)
WITH_FILES = (
    mail_with_files(*FILES),
    mail_with_files(*[(f"{at}.zip", data) for at, data in enumerate(ARCHIVES)]),
    mail_with_files(*[("a.txt", b"x")] * 110),
)
MAIL_WORDS = (
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\r\n ",
        b"\r\n--b\r\n",
        b"--b--",
        b"; ",
        b'"',
        b"(",
        b")",
        b"<",
        b">",
    ),
    *(
        b"=?utf-8?q?",
        b"?=",
        b"\xe5",
        b"\xff",
        b"\xd8",
        b"=\r\n",
        b"= \r\n",
        b"@",
        b",",
        b"boundary=",
    ),
    *(b"Content-Type: ", b"Content-Transfer-Encoding: base64\r\n", b"text/html", b"message/rfc822"),
    *(b"From: ", b"Date: ", b"filename=", b"charset=", b"style=", b"</", b"<!--", b"display:none"),
)
