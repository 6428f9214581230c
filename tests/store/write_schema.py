"""Write a store with the code of an older schema, for ``tests/store/test_schemas.py``.

Each ``tests/store/schemas/NNNN.tar.xz`` was written by the last commit whose newest migration is
NNNN, for 0046 and later by the commit that is released::

    git archive COMMIT src tests | tar -x -C FOLDER
    python tests/store/write_schema.py FOLDER tests/store/schemas/NNNN.tar.xz

The libraries may be those of today. The commits of 0001 to 0045 are in ``schemas/README.md``. What
an older program has no table for is left out; its functions are looked up by name, because they
moved between modules.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import inspect
import json
import lzma
import os
import pkgutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

NOW_MS = 1_760_000_000_000
BODIES = (
    b"From: a@elsewhere.test\r\nSubject: Tea\r\nMessage-ID: <1@t>\r\n\r\nA cup of tea.\r\n",
    "From: a@elsewhere.test\nSubject: شاي\nMessage-ID: <2@t>\n\nكوب من الشاي\n".encode(),
    b"Subject: =?utf-8?q?No_end?=\r\nIn-Reply-To: <1@t>\r\n\r\nno line break at the end",
    b"From: b@elsewhere.test\r\n\r\nto be deleted\r\n",
    bytes(range(256)) + b"\r\n\r\nnot a mail at all \x00\xff",
    b"",
)
LARGE = b"Subject: large\r\n\r\n" + b"a long line of a large message\r\n" * 9000


def find(name: str) -> Any:
    """Return what has a name somewhere in the store of the program; ``None``: it is not there."""
    store = importlib.import_module("zajil.store")
    for module in pkgutil.walk_packages(store.__path__, "zajil.store."):
        if ".versions" in module.name or module.name.endswith(".env"):
            continue
        with contextlib.suppress(ImportError):
            found = getattr(importlib.import_module(module.name), name, None)
            if found is not None:
                return found
    return None


def make(name: str, /, **fields: Any) -> Any:
    """Return an object of a class, with those of the fields that it has."""
    kind = find(name)
    known = inspect.signature(kind).parameters
    return kind(**{key: value for key, value in fields.items() if key in known})


class Story:
    """What happens in the store."""

    def __init__(self, store: Any, kit: Any) -> None:
        self.store, self.kit = store, kit
        self.amal = kit.make_account(store, "amal@north.test", admin=True)
        self.badr = kit.make_account(store, "badr@north.test")

    def write(self, unit: str, item: str, /, **fields: Any) -> Any:
        """Run a unit of work, if the program has it."""
        if find(unit) is None or find(item) is None:
            return None
        return self.store.write_now(find(unit), make(item, **fields))

    def happen(self) -> None:
        """People, mailboxes, mail, a queue, keys."""
        parse = importlib.import_module("zajil.core.address").parse_address
        team = parse("team@north.test")
        targets = tuple(parse(text) for text in ("amal@north.test", "far@south.test"))
        self.write("create_alias", "AliasRow", address=team, targets=targets)
        self._receive()
        who, amal = self.amal.account_id, {"account_id": self.amal.account_id}
        boxes = {
            name: self.write("create_mailbox", "NewMailbox", **amal, name=name, created_ms=NOW_MS)
            for name in ("Projects/2026", "رسائل")
        }
        self._put(boxes["Projects/2026"])
        inbox = {**amal, "mailbox_id": self.amal.inbox}
        mode = find("FlagMode").ADD
        flags = frozenset(["\\Seen", "\\Answered", "$Forwarded"])
        self.write("change_flags", "FlagChange", **inbox, uids=(1, 2), mode=mode, flags=flags)
        copy = {**inbox, "uids": (2, 3), "target_id": boxes["رسائل"]}
        self.write("copy_messages", "CopyMessages", **copy)
        gone = {**inbox, "uids": (4,), "deleted_only": False}
        self.write("expunge_messages", "ExpungeMessages", **gone)
        self.write("set_subscribed", "Subscription", **amal, name="رسائل", subscribed=True)
        self.write("create_delegation", "DelegationRow", address=team, account_id=who)
        self.write("set_settings", "NewSettings", **amal, values={"language": "ar"})
        self._add_keys()
        self._add_contact()
        with contextlib.suppress(ImportError):
            indexer = importlib.import_module("zajil.read.indexer")
            indexer.reindex(self.store, lambda done, total: None)

    def _receive(self) -> None:
        store, make_intake = self.store, self.kit.make_intake
        intake = sys.modules[make_intake.__globals__["Intake"].__module__]
        accept = getattr(intake, "write_intakes", None) or intake.accept
        for body in BODIES:
            content = store.blobs.stage([body])
            people = [self.amal, self.badr] if body is BODIES[0] else [self.amal]
            store.write_now(accept, make_intake(content, local=people))
        large = make_intake(
            store.blobs.stage_now([LARGE]), local=[self.badr], remote=["c@south.test"]
        )
        store.write_now(accept, large)
        queued = ["a@south.test", "b@east.test"]
        item = make_intake(store.blobs.stage([BODIES[0]]), local=[self.amal], remote=queued)
        store.write_now(accept, item)

    def _put(self, mailbox_id: Any) -> None:
        given = (("\\Seen", "\\Flagged", "Work"), (), ("\\Draft",))
        for flags, body in zip(given, BODIES, strict=False):
            self.write(
                "put_messages",
                "PutMessage",
                account_id=self.amal.account_id,
                mailbox_id=mailbox_id,
                content=self.store.blobs.stage([body]),
                flags=frozenset(flags),
                received_at_ms=NOW_MS + len(body),
            )

    def _add_keys(self) -> None:
        if find("NewDkimKey") is None:
            return
        key = make(
            "NewDkimKey",
            selector="s1",
            algorithm="ed25519-sha256",
            private_key=b"private",
            public_key=b"public",
        )
        state = find("KeyState").ACTIVE
        some = {"domain": "north.test", "keys": (key,), "created_ms": NOW_MS, "state": state}
        self.write("add_dkim_keys", "NewDkimKeys", **some)

    def _add_contact(self) -> None:
        if find("SavedContact") is None:
            return
        contact = make("Contact", uid="u1", name="Far Friend", emails=("far@south.test",))
        of_amal = {"account_id": self.amal.account_id, "now_ms": NOW_MS}
        self.write("save_contacts", "SavedContact", **of_amal, contact=contact)


def expected(store: Any) -> dict[str, Any]:
    """Return what must be the same after each upgrade."""
    import sqlalchemy as sa

    unpack = find("unpack_flags")
    messages, mails = [], []
    query = """SELECT login, name, uid, flags, keywords, received_at_ms, prefix, blob_id
        FROM message JOIN mailbox ON mailbox.id = mailbox_id JOIN account ON account.id = account_id
        ORDER BY login, name, uid"""

    def look(conn: Any) -> None:
        for row in conn.execute(sa.text(query)).all():
            data = row.prefix.encode() + store.blobs.read(conn, row.blob_id)
            digest = hashlib.sha256(data).hexdigest()
            flags = sorted(unpack(row.flags, row.keywords))
            messages.append([*row[:3], flags, row.received_at_ms, len(data), digest])
        waiting = "SELECT address, state, blob_id FROM recipient JOIN mail ON mail.id = mail_id"
        for row in conn.execute(sa.text(f"{waiting} ORDER BY address, state")).all():
            waits = hashlib.sha256(store.blobs.read(conn, row.blob_id)) if row.blob_id else None
            mails.append([row.address, row.state, waits and waits.hexdigest()])

    store.read_now(look)
    return {
        "messages": sorted(messages, key=lambda one: one[:3]),
        "queue": sorted(mails, key=lambda one: one[:2]),
    }


def write_archive(folder: Path, archive: Path, facts: dict[str, Any]) -> None:
    """Pack the files of a closed store."""
    import pysqlite3.dbapi2 as sqlite

    conn = sqlite.connect(str(folder / "store.sqlite"))
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    text = json.dumps(facts, ensure_ascii=False, indent=0)
    (folder / "expected.json").write_text(text, "utf-8")
    with lzma.open(archive, "wb", preset=9) as raw, tarfile.open(fileobj=raw, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if (
                path.is_file()
                and not name.endswith((".lock", "-wal", "-shm"))
                and "run/" not in name
            ):
                info = tar.gettarinfo(str(path), name)
                info.uid = info.gid = info.mtime = 0
                info.uname = info.gname = ""
                with path.open("rb") as file:
                    tar.addfile(info, file)


def main(tree: Path, archive: Path) -> None:
    """Write one archive by the code of a tree."""
    sys.path[:0] = [str(tree / "src"), str(tree / "tests")]
    if (tree / "src/zajil/testing/store.py").exists():
        kit = importlib.import_module("zajil.testing.store")
    else:
        kit = importlib.import_module("kit.store")
    if not str(importlib.import_module("zajil").__file__).startswith(str(tree)):
        raise SystemExit("another zajil than that of the tree was imported")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chmod(folder, 0o700)
        store = kit.open_test_store("sqlite", folder)
        story = Story(store, kit)
        story.happen()
        facts = expected(store)
        store._dialect.close()
        close = getattr(store, "close_now", None)
        if close:
            close()
        write_archive(folder, archive, facts)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
