"""Mail programs that are not ours read a mailbox; what they have is what was put there."""

from __future__ import annotations

import base64
import imaplib
import json
import os
import pty
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from imapclient import IMAPClient

from kit.certificates import TestAuthority
from kit.foreign import need_node_packages, need_program
from kit.installation import running_installation
from kit.odd_messages import odd_messages

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

_SECONDS = 120
_NAME = "localhost"


@dataclass(frozen=True, slots=True)
class Place:
    """A server, and who reads there."""

    port: int
    login: str
    password: str
    ca_file: Path

    def connect(self) -> imaplib.IMAP4_SSL:
        """Log in with Python's client, which puts the messages there."""
        client = imaplib.IMAP4_SSL(_NAME, self.port, ssl_context=self.context(), timeout=_SECONDS)
        client.login(self.login, self.password)
        return client

    def context(self) -> ssl.SSLContext:
        """Return a context that trusts the server."""
        return ssl.create_default_context(cafile=str(self.ca_file))


@contextmanager
def serving(folder: Path) -> Iterator[Place]:
    """Serve a new installation in a folder that is empty."""
    (folder / "tls").mkdir()
    authority = TestAuthority(folder / "tls")
    with running_installation(folder / "zajil", authority.issue(_NAME)) as ours:
        yield Place(ours.address("imaps")[1], ours.login, ours.password, authority.ca_file)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with serving(tmp_path_factory.mktemp("server")) as place:
        yield place


def fill(client: imaplib.IMAP4, name: str, messages: list[bytes]) -> None:
    client.create(name)
    for message in messages:
        status, answer = client.append(name, "(\\Flagged)", '"23-Nov-2026 12:00:00 +0000"', message)
        assert status == "OK", answer


def read(client: imaplib.IMAP4, name: str) -> dict[int, tuple[bytes, frozenset[bytes]]]:
    """Return bytes and flags of the messages of a mailbox, by UID."""
    assert client.select(name, readonly=True)[0] == "OK"
    _, answer = client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")
    found = {}
    for item in answer:
        if isinstance(item, tuple):
            uid = re.search(rb"UID (\d+)", item[0])
            assert uid is not None
            found[int(uid[1])] = (bytes(item[1]), frozenset(imaplib.ParseFlags(item[0])))
    client.close()
    return found


def run(command: list[str], home: Path, **more: str) -> str:
    """Run a program with a home of its own; return what it printed."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_SECONDS,
        env={"HOME": str(home), "PATH": os.environ["PATH"], **more},
    )
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, output
    return output


def test_imaplib(place: Place) -> None:
    with place.connect() as client:
        fill(client, "imaplib", odd_messages())
        found = read(client, "imaplib")
        assert [body for body, _ in found.values()] == odd_messages()
        assert all(flags >= {b"\\Flagged"} for _, flags in found.values())


def test_imapclient(place: Place) -> None:
    client = IMAPClient(_NAME, place.port, ssl_context=place.context(), timeout=_SECONDS)
    with client:
        client.login(place.login, place.password)
        client.create_folder("رسائل")
        for message in odd_messages():
            client.append("رسائل", message, [b"\\Flagged", b"$Forwarded"])
        assert "رسائل" in [name for _, _, name in client.list_folders()]
        assert client.select_folder("رسائل")[b"EXISTS"] == len(odd_messages())
        uids = client.search("ALL")
        got = client.fetch(uids, ["BODY.PEEK[]", "FLAGS", "ENVELOPE", "BODYSTRUCTURE"])
        assert [got[uid][b"BODY[]"] for uid in uids] == odd_messages()
        assert all({b"\\Flagged", b"$Forwarded"} <= {*got[uid][b"FLAGS"]} for uid in uids)
        assert [got[uid][b"ENVELOPE"].message_id for uid in uids] == [
            b"<%d@x.test>" % number for number in range(len(uids))
        ]
        assert client.search(["TEXT", "السلام"], "UTF-8") == uids[1:2]
        client.move(uids[:3], "Archive")
        assert client.search("ALL") == uids[3:]


def maildir_files(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for name in ("cur", "new")
        for path in sorted((folder / name).iterdir())
    }


def without_tuid(message: bytes) -> bytes:
    """Remove the field by which mbsync finds what it has stored."""
    return re.sub(rb"^X-TUID: .*\n", b"", message, flags=re.M)


def test_mbsync(place: Place, tmp_path: Path) -> None:
    """Both sides change; then they are equal, and a further run changes nothing."""
    mbsync = need_program("mbsync")
    configuration = tmp_path / "mbsyncrc"
    configuration.write_text(
        f"IMAPAccount ours\nHost {_NAME}\nPort {place.port}\nUser {place.login}\n"
        f"Pass {place.password}\nSSLType IMAPS\nCertificateFile {place.ca_file}\n\n"
        "IMAPStore far\nAccount ours\n\n"
        f"MaildirStore near\nPath {tmp_path}/mail/\nInbox {tmp_path}/mail/INBOX\n"
        "SubFolders Verbatim\n\n"
        "Channel all\nFar :far:\nNear :near:\nPatterns mbsync\nCreate Both\nExpunge Both\n"
        "SyncState *\n"
    )
    (tmp_path / "mail").mkdir()
    command = [mbsync, "-c", str(configuration), "-a"]
    with place.connect() as client:
        fill(client, "mbsync", odd_messages())
        run(command, tmp_path)
        folder = tmp_path / "mail" / "mbsync"
        here = maildir_files(folder)
        # A Maildir has LF at the end of a line.
        unix = sorted(message.replace(b"\r\n", b"\n") for message in odd_messages())
        assert sorted(map(without_tuid, here.values())) == unix

        written = b"Subject: from here\nMessage-ID: <here@x.test>\n\nlocal\n"
        (folder / "new" / "1764000000.1_1.client").write_bytes(written)
        seen = next(name for name in here if "F" in name)
        where = folder / ("cur" if (folder / "cur" / seen).exists() else "new")
        (where / seen).rename(folder / "cur" / f"{seen.split(':')[0]}:2,RS")
        client.select("mbsync")
        client.uid("STORE", "2", "+FLAGS", "(\\Deleted)")
        client.uid("STORE", "3", "+FLAGS", "(\\Answered)")
        client.close()
        run(command, tmp_path)

        there, here = read(client, "mbsync"), maildir_files(folder)
        bodies = [body.replace(b"\r\n", b"\n") for body, _ in there.values()]
        assert sorted(map(without_tuid, bodies)) == sorted(map(without_tuid, here.values()))
        assert written in map(without_tuid, here.values())
        assert len(there) == len(odd_messages())
        assert any(flags >= {b"\\Answered", b"\\Seen"} for _, flags in there.values())
        answered = [name for name in here if "R" in name.partition(":2,")[2]]
        assert len(answered) == 2

        run(command, tmp_path)
        assert read(client, "mbsync") == there
        assert maildir_files(folder) == here


def test_interimap(place: Place, tmp_path: Path) -> None:
    """It follows both servers by QRESYNC, and keeps flags and messages of the two equal."""
    interimap = need_program("interimap")
    (tmp_path / "other").mkdir()
    with serving(tmp_path / "other") as other, place.connect() as here, other.connect() as there:
        sections = [
            f"[{name}]\ntype = imaps\nhost = {_NAME}\nport = {one.port}\nusername = {one.login}\n"
            f"password = {one.password}\nSSL_CAfile = {one.ca_file}\nSTARTTLS = NO\n"
            for name, one in (("local", place), ("remote", other))
        ]
        configuration = tmp_path / "both.conf"
        configuration.write_text("database = both.db\nlist-mailbox = both\n" + "\n".join(sections))
        folders = {"XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
        command = [interimap, f"--config={configuration}"]

        def sync() -> tuple[Contents, Contents]:
            run(command, tmp_path, **folders)
            return contents(here, "both"), contents(there, "both")

        fill(here, "both", odd_messages()[:5])
        fill(there, "both", odd_messages()[5:])
        ours, theirs = sync()
        assert ours == theirs
        assert {body for body, _ in ours} == set(odd_messages())
        # Only now it knows the MODSEQs of what it has stored itself.
        assert sync() == (ours, theirs)

        change(here, "1", "+FLAGS (\\Answered)")
        change(here, "2", "+FLAGS (\\Deleted)")
        change(there, "1", "-FLAGS (\\Flagged)")
        fill(there, "both", [b"Subject: later\r\n\r\nnew\r\n"])
        ours, theirs = sync()
        assert ours == theirs
        assert {body for body, _ in ours} == {*odd_messages(), b"Subject: later\r\n\r\nnew\r\n"} - {
            odd_messages()[1]
        }
        assert {flags for _, flags in ours} >= {
            frozenset({b"\\Answered", b"\\Flagged"}),
            frozenset(),
        }
        assert sync() == (ours, theirs)


Contents = frozenset[tuple[bytes, frozenset[bytes]]]


def contents(client: imaplib.IMAP4, name: str) -> Contents:
    return frozenset((body, flags - {b"\\Recent"}) for body, flags in read(client, name).values())


def change(client: imaplib.IMAP4, uid: str, what: str) -> None:
    client.select("both")
    client.uid("STORE", uid, *what.split(" ", 1))
    client.close()


_IMAPFLOW = """
const { ImapFlow } = require("imapflow");
const order = JSON.parse(process.argv[2]);
(async () => {
  const client = new ImapFlow({
    host: order.host, port: order.port, secure: true, logger: false,
    auth: { user: order.login, pass: order.password },
  });
  await client.connect();
  const lock = await client.getMailboxLock(order.mailbox);
  const found = [];
  const wanted = { uid: true, flags: true, envelope: true, bodyStructure: true, source: true };
  for await (const one of client.fetch("1:*", wanted)) {
    found.push({ source: one.source.toString("base64"), flags: [...one.flags],
                 subject: one.envelope.subject, emailId: one.emailId });
  }
  const searched = await client.search({ body: order.word }, { uid: true });
  await client.messageFlagsAdd({ seq: "1" }, ["\\\\Answered"]);
  const status = await client.status(order.mailbox, { messages: true, uidNext: true });
  lock.release();
  const text = Buffer.from(order.extra, "base64");
  const appended = await client.append(order.mailbox, text, ["\\\\Seen"]);
  await client.logout();
  console.log(JSON.stringify({ found, searched, status, uid: appended.uid }));
})().catch((error) => { console.error(error); process.exit(1); });
"""


def test_imapflow(place: Place, tmp_path: Path) -> None:
    node, modules = need_node_packages()
    script = tmp_path / "read.js"
    script.write_text(_IMAPFLOW)
    extra = "Subject: تجربة\r\n\r\nمرحبا\r\n".encode()
    with place.connect() as client:
        fill(client, "imapflow", odd_messages())
        order = {
            "host": _NAME,
            "port": place.port,
            "login": place.login,
            "password": place.password,
            "mailbox": "imapflow",
            "word": "السلام",
            "extra": base64.b64encode(extra).decode(),
        }
        trust = {"NODE_EXTRA_CA_CERTS": str(place.ca_file), "NODE_PATH": str(modules)}
        printed = run([node, str(script), json.dumps(order)], tmp_path, **trust)
        told = json.loads(printed.splitlines()[-1])
        assert [base64.b64decode(one["source"]) for one in told["found"]] == odd_messages()
        assert all("\\Flagged" in one["flags"] for one in told["found"])
        assert [one["subject"] for one in told["found"]] == [f"رسالة {n}" for n in range(8)]
        assert len({one["emailId"] for one in told["found"]}) == len(odd_messages())
        assert told["searched"] == [2]
        assert told["status"]["messages"] == len(odd_messages())
        assert read(client, "imapflow")[told["uid"]][0] == extra


def test_curl_fetches_and_uploads(place: Place, tmp_path: Path) -> None:
    curl = need_program("curl")
    url = f"imaps://{_NAME}:{place.port}"
    command = [curl, "-sS", "--cacert", str(place.ca_file), "-u", f"{place.login}:{place.password}"]
    with place.connect() as client:
        client.create("curl")
        for number, message in enumerate(odd_messages(), 1):
            source, target = tmp_path / "source", tmp_path / "target"
            source.write_bytes(message)
            run([*command, "-T", str(source), f"{url}/curl"], tmp_path)
            run([*command, "-o", str(target), f"{url}/curl;UID={number}"], tmp_path)
            assert target.read_bytes() == message
        assert [body for body, _ in read(client, "curl").values()] == odd_messages()


def test_neomutt_copies_a_mailbox(place: Place, tmp_path: Path) -> None:
    """It has no mode without a screen that copies, so it gets a terminal, and keys."""
    neomutt = need_program("neomutt")
    target = tmp_path / "copied"
    url = f"imaps://{place.login}@{_NAME}:{place.port}/neomutt"
    (tmp_path / "rc").write_text(
        f'set imap_user="{place.login}"\nset imap_pass="{place.password}"\n'
        f'set certificate_file="{place.ca_file}"\n'
        f'set tmpdir="{tmp_path}"\nset folder="{tmp_path}"\nset mbox_type=Maildir\n'
        "set confirmappend=no\nset confirmcreate=no\nset delete=no\nset move=no\nset quit=yes\n"
        "set wait_key=no\nset sleep_time=0\nset copy=no\nset mark_old=no\n"
        f'push "<tag-pattern>~A<enter><tag-prefix><copy-message>\\Ca\\Ck{target}<enter><exit>"\n'
    )
    with place.connect() as client:
        fill(client, "neomutt", odd_messages())
        command = [neomutt, "-n", "-F", str(tmp_path / "rc"), "-f", url]
        screen = run_on_terminal(command, tmp_path)
        assert target.is_dir(), screen
        got = sorted(without_added_fields(body) for body in maildir_files(target).values())
        assert got == sorted(message.replace(b"\r\n", b"\n") for message in odd_messages())
        assert [body for body, _ in read(client, "neomutt").values()] == odd_messages()


def without_added_fields(message: bytes) -> bytes:
    """Remove what neomutt adds to a header section when it copies."""
    head, _, body = message.partition(b"\n\n")
    kept = re.sub(rb"^(Status|X-Status|Content-Length|Lines): .*(\n|\Z)", b"", head, flags=re.M)
    return kept.rstrip(b"\n") + b"\n\n" + body


def run_on_terminal(command: list[str], home: Path) -> str:
    """Run a program on a terminal until it ends; return what it wrote there."""
    leader, follower = pty.openpty()
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "TERM": "xterm", "LINES": "40"}
    process = subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, env=environment
    )
    os.close(follower)
    pieces: list[bytes] = []
    try:
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:  # the other end was closed: the program ended
                break
            if not piece:
                break
            pieces.append(piece)
        process.wait(_SECONDS)
    finally:
        process.kill()
        os.close(leader)
    return b"".join(pieces).decode("utf-8", "replace")
