"""What a peer writes is never run, never a path, and never an object.

Files that the store makes: `tests/store/test_blobs.py`.
"""

from __future__ import annotations

import ast
import base64
import io
import os
import re
import stat
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.lab_process import LabDomain, LabProcess
from kit.mailbox import wait_for_message
from kit.raw_smtp import RawPeer
from kit.sources import FILES, SRC, tree_of
from zajil.config.options_server import ListenOptions

CALLS = {
    *("os.system", "os.popen", "os.spawnl", "os.spawnv", "os.execl", "os.execv", "os.execvp"),
    *("pickle.load", "pickle.loads", "marshal.load", "marshal.loads", "shelve.open"),
    *("eval", "exec", "__import__", "yaml.load", "tempfile.mktemp"),
    *("extractall", "extract", "create_subprocess_shell", "getoutput", "getstatusoutput"),
}
"""Never called, whatever the object is where no module stands before the name."""
MODULES = {"pickle", "marshal", "shelve", "dill", "zipfile", "tarfile", "shlex", "code", "pty"}
ALLOWED = {"message/office_text.py: zipfile", "web/account/export.py: zipfile"}
"""The first reads members of office documents in memory, with limits, and unpacks nothing to the
disk; the second only writes an archive."""
STARTERS = {"app/backups.py", "read/pdf_text.py", "operations/moving/pst.py", "lab/objects.py"}
"""The files that start a program: our own `zajil backup`, as configured; the reader of PDF, in
Python, with limits of the kernel and the bytes on its standard input; readpst, for an operator who
imports a file of Outlook, as its owner; the S3 server of the lab. Servers of the lab and workers
are forks."""


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def our_files() -> Iterator[tuple[str, Path]]:
    for path in FILES:
        name = path.relative_to(SRC).as_posix()
        if not name.startswith("testing/"):
            yield name, path


def test_there_is_no_shell_no_pickle_and_no_unpacking() -> None:
    """CVE-2019-10149 (Exim), CVE-2020-7247 (OpenSMTPD), CVE-2016-1000282 (Haraka)."""
    found = []
    for name, path in our_files():
        for called, node in calls(path):
            last = called.rpartition(".")[2]
            if called in CALLS or (last in CALLS and "." in called):
                found.append(f"{name}:{node.lineno} {called}")
            if any(word.arg == "shell" for word in node.keywords):
                found.append(f"{name}:{node.lineno} {called} with shell=")
            starts = called.startswith("subprocess.") or "subprocess_exec" in called
            if starts and name not in STARTERS:
                found.append(f"{name}:{node.lineno} {called} starts a process")
    assert found == []


def test_modules_that_run_or_unpack_what_they_read_are_not_imported() -> None:
    """Python's pickle runs what it reads; CVE-2026-33606 (Dovecot) read mail as a protocol."""
    found = []
    for name, path in our_files():
        for node in ast.walk(tree_of(path)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            found += [f"{name}: {one}" for one in names if one.split(".")[0] in MODULES]
    assert set(found) == ALLOWED


@pytest.mark.parametrize(
    "recipient",
    [
        "<${run{/bin/sh -c 'touch MARK'}}@north.test>",
        '<"${run{/bin/touch${substr{10}{1}{$tod_log}}MARK}}"@north.test>',
        "<root+${run{\\x2Fbin\\x2Ftouch MARK}}@north.test>",
        "<|touch MARK@north.test>",
        '<"|touch MARK"@north.test>',
        "<`touch MARK`@north.test>",
        '<"/MARK"@north.test>',
        "<../../MARK@north.test>",
        "<amal+../../../MARK@north.test>",
        "<:include:/etc/passwd@north.test>",
    ],
)
def test_a_recipient_is_never_run(north: LabDomain, tmp_path: Path, recipient: str) -> None:
    """CVE-2019-10149 (Exim): what stands in an address is an address."""
    mark = tmp_path / "mark"
    with RawPeer(north.address("smtp")) as peer:
        peer.say_all(["EHLO client.test", "MAIL FROM:<a@elsewhere.test>"])
        answer = peer.say(f"RCPT TO:{recipient.replace('MARK', str(mark))}")
        if "amal+" not in recipient:
            assert answer[0] == "5", answer
        assert "root:" not in answer
    assert not mark.exists()


@pytest.mark.parametrize(
    "sender",
    [
        "<;touch MARK;>",
        "<;for i in 0 1 2 3;do read r;done;sh;exit 0;@elsewhere.test>",
        '<";touch MARK;"@elsewhere.test>',
        "<$(touch MARK)@elsewhere.test>",
        '<"\\`touch MARK\\`"@elsewhere.test>',
        "<a@elsewhere.test;touch MARK>",
    ],
)
def test_a_sender_is_never_run(north: LabDomain, tmp_path: Path, sender: str) -> None:
    """CVE-2020-7247 (OpenSMTPD): a sender that would have been a shell's words on delivery."""
    mark, token = tmp_path / "mark", uuid.uuid4().hex
    reader = north.accounts[1]
    with RawPeer(north.address("smtp")) as peer:
        peer.say("EHLO client.test")
        answer = peer.say(f"MAIL FROM:{sender.replace('MARK', str(mark))}")
        if answer.startswith("250"):
            peer.say_all([f"RCPT TO:<{reader.address}>", "DATA"])
            peer.send(f"From: <a@b.test>\r\nSubject: {token}\r\n\r\ntouch {mark}\r\n.\r\n".encode())
            assert peer.reply().startswith("250")
            with north.imap(reader) as mailbox:
                wait_for_message(mailbox, "SUBJECT", token)
    assert not mark.exists()


def test_an_archive_with_a_nasty_name_is_bytes(north: LabDomain, tmp_path: Path) -> None:
    """CVE-2016-1000282 (Haraka), CVE-2022-45935 (James): nothing is unpacked, nothing is named."""
    mark, token = tmp_path / "mark", uuid.uuid4().hex
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f'a";touch {mark};echo "a.zip', "x")
        archive.writestr("../../../../../../tmp/mark", "x")
    attached = base64.encodebytes(packed.getvalue()).replace(b"\n", b"\r\n").decode()
    name = f"../../;touch {mark};$(touch {mark}).zip"
    letter = (
        f"From: <a@elsewhere.test>\r\nSubject: {token}\r\nMIME-Version: 1.0\r\n"
        f'Content-Type: application/zip; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n{attached}'
    ).encode()
    reader = north.accounts[0]
    with north.smtp() as client:
        client.sendmail("a@elsewhere.test", [reader.address], letter)
    with north.imap(reader) as mailbox:
        assert wait_for_message(mailbox, "SUBJECT", token).endswith(letter)
    assert not mark.exists()
    assert not Path("/tmp/mark").exists()  # noqa: S108


def test_what_lies_on_disk_is_ours_alone(lab: LabProcess, north: LabDomain) -> None:
    """CVE-2022-45935 (James): no file of a mail is readable for other users of the machine.

    CVE-2025-59031 (Dovecot): no file's name is of a mail's words, and none is a link.
    """
    big = b"Subject: big\r\n\r\n" + (b"z" * 70 + b"\r\n") * 9_000
    with north.smtp() as client:
        client.sendmail("a@elsewhere.test", [north.accounts[0].address], big)
    data = Path(lab.described["data_dir"]) / north.ascii_domain / "data"
    files = [path for path in data.rglob("*") if path.exists()]
    assert files
    closed = stat.S_IMODE(data.stat().st_mode) & 0o077 == 0
    for path in files:
        assert closed or stat.S_IMODE(path.lstat().st_mode) & 0o007 == 0, path
        assert not path.is_symlink(), path
        assert re.fullmatch(r"[\w.-]+", path.name, re.ASCII), path


def test_administration_listens_on_this_machine_alone() -> None:
    """CVE-2023-26269 and CVE-2023-51518 (James): no management port is open to the world."""
    web = ListenOptions().web
    assert all(str(address).startswith(("127.", "localhost", "[::1]")) for address in web)


def test_the_lab_listens_where_it_says_and_nowhere_else(lab: LabProcess) -> None:
    said = {
        text.rpartition(":")[2].rstrip("/")
        for domain in lab.described["domains"]
        for text in (*map(str, domain.values()),)
        if text.rpartition(":")[2].rstrip("/").isdigit()
    } | {str(lab.described[key]).rpartition(":")[2].rstrip("/") for key in ("nameserver", "web")}
    inodes = {
        os.readlink(entry)
        for pid in _family(lab.process.pid)
        for entry in Path(f"/proc/{pid}/fd").iterdir()
        if entry.is_symlink() and "socket:" in os.readlink(entry)
    }
    open_ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                open_ports.add(str(int(fields[1].rpartition(":")[2], 16)))
    assert open_ports <= said


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found
