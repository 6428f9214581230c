"""Files by their bytes, archives, names that lie."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from base64 import b64encode
from quopri import encodestring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.made_mail import HEAD, view_and_facts, with_file
from zajil.check.content.archives import MAX_MEMBERS, list_archive
from zajil.check.content.attachments import check_attachments, has_double_ending
from zajil.check.verdict.verdict import Action
from zajil.message.leaves import MAX_DECODED, MAX_DEPTH

PROGRAM = b"MZ" + b"\0" * 200


def signals(message: bytes) -> set[str]:
    view, _ = view_and_facts(message)
    return {reason.signal for reason in check_attachments(view)}


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(name: str, content: bytes, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "signal"),
    [
        ("bill.pdf", PROGRAM, "attach.program"),
        ("bill", b"\x7fELF\x02\x01", "attach.program"),
        ("a.txt", b"#!/bin/sh\nrm", "attach.script"),
        ("a.js", b"var x;", "attach.script"),
        ("'a.js'", b"var x;", "attach.script"),
        ("a.js\u200b", b"var x;", "attach.script"),
        ("a.js. ;", b"var x;", "attach.script"),
        ("'bill.pdf.exe'", b"x", "attach.double-ending"),
        ("a.doc", b"L\0\0\0\x01\x14\x02\0\0", "attach.shortcut"),
        ("a.iso", b"\0" * 100, "attach.disk-image"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99 + b"V\0B\0A\0", "attach.macros"),
        ("a.pdf", b"%PDF-1.7\n1 0 obj << /JavaScript (x) >>", "attach.active"),
        ("a.svg", b"<svg xmlns='x'><script>x</script></svg>", "attach.active"),
        ("a.html", b"<html><form action=x><input></form>", "attach.html-form"),
        ("bill.pdf.exe", b"x", "attach.double-ending"),
        ("bill\u202efdp.exe", b"x", "attach.direction-control"),
        ("a.zip", zipped({"x/run.exe": PROGRAM}), "attach.archived-program"),
        ("a.zip", zipped({"in.zip": zipped({"a.txt": PROGRAM})}), "attach.archived-program"),
        ("a.docx", zipped({"word/vbaProject.bin": b"x"}), "attach.macros"),
        ("a.tar", tarred("x.scr", b"x"), "attach.archived-program"),
        ("a.tgz", gzip.compress(tarred("x.txt", PROGRAM)), "attach.archived-program"),
        ("a.tar", tarred("ش" * 150 + ".scr", b"x"), "attach.archived-program"),
        ("a.tar", tarred("d" * 90 + "/" + "x" * 60 + ".scr", b"x", 0), "attach.archived-program"),
        ("a.tar", tarred("d" * 150 + ".scr", b"x", 1), "attach.archived-program"),
        ("a.gz", gzip.compress(PROGRAM), "attach.archived-program"),
        ("a.zip", zipped({"zeros": b"\0" * 9_000_000}), "attach.bomb"),
    ],
)
def test_bad_files(name: str, content: bytes, signal: str) -> None:
    if signal == "attach.bomb":
        listing = list_archive(content)
        assert listing is not None
        assert listing.is_bomb is (1000 * len(content) < 9_000_000)
        return
    assert signal in signals(with_file(name, content))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", b"%PDF-1.7\nhello"),
        ("a.zip", zipped({"letter.txt": b"hello"})),
        ("a.docx", zipped({"word/document.xml": b"<x/>"})),
        ("v1.2.pdf", b"%PDF-1.4"),
        ("MZ.txt", b"MZ is a word"),
        ("a.svg", b"<svg><path/></svg>"),
    ],
)
def test_good_files(name: str, content: bytes) -> None:
    assert signals(with_file(name, content)) == set()


def test_scripts_among_the_files_of_a_project_weigh_little() -> None:
    """Developers send each other such archives; one script alone is made to be clicked."""
    project = {f"project/part{number}.txt": b"words" for number in range(9)}
    script = {"project/run.js": b"var x;"}
    weights = []
    for files in (script, script | project, {"project/run.exe": PROGRAM} | script | project):
        view, _ = view_and_facts(with_file("a.zip", zipped(files)))
        (reason,) = check_attachments(view)
        weights.append(reason.weight)
    assert weights == [5.0, 1.5, 5.0]


def test_an_encrypted_archive() -> None:
    data = bytearray(zipped({"a.txt": b"hello"}))
    data[6] |= 1
    assert "attach.encrypted" in signals(with_file("a.zip", bytes(data)))


def test_an_operator_may_refuse() -> None:
    view, _ = view_and_facts(with_file("a.exe", PROGRAM))
    (reason,) = check_attachments(view, ("program",))
    assert reason.demands is Action.REJECT
    (reason,) = check_attachments(view)
    assert reason.demands is None


def test_plain_mail_has_no_files() -> None:
    assert signals(HEAD + b"\r\nhello\r\n") == set()


def test_double_endings() -> None:
    assert has_double_ending("a.pdf   .exe ")
    assert not has_double_ending("setup.v2.exe")


def test_many_members_are_a_bomb() -> None:
    listing = list_archive(zipped({str(n): b"" for n in range(MAX_MEMBERS + 5)}))
    assert listing is not None
    assert listing.is_bomb
    assert len(listing.members) <= MAX_MEMBERS + 1


def test_only_the_local_header_names_it() -> None:
    """A program that reads in a stream sees a file that the directory hides."""
    whole = zipped({"a.txt": b"hello"})
    hidden = zipped({"run.exe": PROGRAM})
    local = hidden[: hidden.index(b"PK\x01\x02")]
    assert "attach.archived-program" in signals(with_file("a.zip", local + whole))


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    for lead in (b"", b"PK\x03\x04", b"\x1f\x8b\x08", zipped({"a": b"b"})):
        list_archive(lead + data)


@pytest.mark.parametrize(
    ("content_type", "delimiter"),
    [
        ('multipart/mixed boundary="bb"', "bb"),
        ('multipart/mixed; boundary="=?utf-8?Q?bb?="', "=?utf-8?Q?bb?="),
        ('multipart/mixed; boundary="=?utf-8?Q?bb?="', "bb"),
        ("multipart/mixed:boundary=bb", "bb"),
        ("multipart/mixed; boundary=b(b)b", "b(b)b"),
        ("multipart/mixed; boundary=b(b)b", "bb"),
        ("multipart; boundary=bb", "bb"),
        ("multipart/mixed; boundary=aa; boundary=bb", "bb"),
    ],
)
def test_a_program_is_found_however_the_boundary_is_said(content_type: str, delimiter: str) -> None:
    """Where one program shows a file, no other reading of the boundary may hide it."""
    message = (
        HEAD
        + (
            f"Content-Type: {content_type}\r\n\r\n--{delimiter}\r\n\r\ntext\r\n--{delimiter}\r\n"
            "Content-Type: application/pdf name=bill.pdf\r\n"
            "Content-Disposition: attachment filename=bill.exe\r\n"
            f"Content-Transfer-Encoding: base64 x\r\n\r\nTVoAAAAA\r\n--{delimiter}--\r\n"
        ).encode()
    )
    assert "attach.program" in signals(message)


# ---- enclosed messages --------------------------------------------------------------------------

INNER = (
    b"From: a@b.test\r\nSubject: inner words\r\n"
    b"Content-Type: multipart/mixed; boundary=i\r\n\r\n"
    b"--i\r\n\r\nfor somebody else\r\n"
    b'--i\r\nContent-Type: image/png; name="a.png"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    + b64encode(PROGRAM)
    + b"\r\n--i--\r\n"
)
BARE = b"Content-Type: application/octet-stream\r\n\r\n" + PROGRAM


def outer(header: bytes, content: bytes, subtype: bytes = b"mixed") -> bytes:
    return (
        HEAD + b"Content-Type: multipart/" + subtype + b"; boundary=o\r\n\r\n--o\r\n" + header
        + b"\r\n" + content + b"\r\n--o--\r\n"
    )  # fmt: skip


RFC822 = b"Content-Type: message/rfc822\r\n"
ENCODED = b"Content-Transfer-Encoding: base64\r\n"
ENCLOSED = {
    "plain": outer(RFC822, INNER),
    "base64": outer(RFC822 + ENCODED, b64encode(INNER)),
    "quoted-printable": outer(
        RFC822 + b"Content-Transfer-Encoding: quoted-printable\r\n", encodestring(INNER)
    ),
    "global": outer(b"Content-Type: Message/Global\r\n", INNER),
    "news": outer(b"Content-Type: message/news\r\n", INNER),
    "digest": outer(b"", INNER, b"digest"),
    "attached": outer(RFC822 + b"Content-Disposition: attachment; filename=a.eml\r\n", INNER),
    "by-name": outer(
        b"Content-Type: application/octet-stream; name=Forwarded.EML\r\n" + ENCODED,
        b64encode(INNER),
    ),
    "no-multipart": outer(RFC822, BARE),
    "no-multipart-base64": outer(RFC822 + ENCODED, b64encode(BARE)),
    "nested": outer(RFC822, RFC822 + b"\r\n" + INNER),
    "nested-base64": outer(
        RFC822 + ENCODED, b64encode(RFC822 + ENCODED + b"\r\n" + b64encode(INNER))
    ),
    "root": HEAD + RFC822 + b"\r\n" + INNER,
    "root-base64": HEAD + RFC822 + ENCODED + b"\r\n" + b64encode(INNER),
}


@pytest.mark.parametrize("message", ENCLOSED.values(), ids=ENCLOSED)
def test_files_of_an_enclosed_message_are_judged(message: bytes) -> None:
    view, _ = view_and_facts(message)
    (reason,) = [one for one in check_attachments(view, ["program"]) if one.weight >= 5]
    assert reason.signal == "attach.program"
    assert reason.demands is Action.REJECT
    assert "somebody else" not in view.visible_text


def test_an_archive_in_an_enclosed_message_is_looked_into() -> None:
    archive = b64encode(zipped({"run.exe": PROGRAM}))
    inner = b"Content-Type: application/zip\r\n" + ENCODED + b"\r\n" + archive
    for message in (outer(RFC822, inner), outer(RFC822 + ENCODED, b64encode(inner))):
        assert signals(message) == {"attach.archived-program"}


def test_an_enclosed_message_with_a_picture_is_harmless() -> None:
    inner = INNER.replace(b64encode(PROGRAM), b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 99))
    assert signals(outer(RFC822, inner)) == set()
    assert signals(outer(RFC822 + ENCODED, b64encode(inner))) == set()


def test_what_is_too_deep_to_look_into_is_said() -> None:
    inner = INNER
    for _ in range(MAX_DEPTH + 1):
        inner = RFC822 + ENCODED + b"\r\n" + b64encode(inner)
    assert signals(HEAD + inner) == {"attach.many"}


def test_more_messages_than_are_looked_into_are_said() -> None:
    part = b"--o\r\n" + RFC822 + ENCODED + b"\r\n" + b64encode(b"\r\nx") + b"\r\n"
    head = HEAD + b"Content-Type: multipart/mixed; boundary=o\r\n\r\n"
    assert signals(head + part * MAX_DECODED) == set()
    assert signals(head + part * (MAX_DECODED + 1)) == {"attach.many"}


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Type: text/plain; name=bill.exe\r\n",
        b"Content-Type: text/plain\r\nContent-Disposition: attachment; filename=bill.exe\r\n",
        b"Content-Disposition: inline; filename=bill.exe\r\n",
        b"Content-Type: text/html; name=bill.exe\r\nContent-Disposition: inline\r\n",
    ],
)
def test_a_text_with_a_name_is_judged_as_a_file(header: bytes) -> None:
    for message in (
        HEAD + header + b"\r\nx\r\n",
        outer(header, b"x"),
        outer(header, b"x", b"alternative"),
    ):
        assert "attach.program" in signals(message)


def test_a_file_is_judged_by_both_of_its_names() -> None:
    """Programs differ in which one they save it under."""
    form = b"Content-Type: application/pdf; name=%b\r\nContent-Disposition: inline; filename=%b\r\n"
    for one, other in ((b"bill.exe", b"bill.pdf"), (b"bill.pdf", b"bill.exe")):
        assert signals(outer(form % (one, other), b"x")) == {"attach.program"}
    assert signals(outer(form % (b"bill.pdf", b"invoice.pdf"), b"%PDF-1.4")) == set()
