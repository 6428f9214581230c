"""Random commands of one account leave another's mailboxes as its rights demand. (RFC 4314)

After each command the store is compared with what it was before. Every change must be one that a
right allows, and no response may hold a word of a mailbox that may not be read, nor the name of one
that may not be seen.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.imap import ImapClient, imap_place, make_reader
from kit.store import running
from zajil.core.ids import AccountId, MailboxId
from zajil.core.mailbox_rights import ALL_RIGHTS, flag_right
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.access import Entry, list_entries
from zajil.store.mail.mailboxes import list_mailboxes
from zajil.store.mail.messages import get_messages, list_uids

COMMANDS = 100
NAMES = ("Alpha", "Beta", "Alpha/Gamma")
FLAGS = (r"\Seen", r"\Deleted", r"\Flagged", r"\Answered", "$Junk", "word")


@dataclass(frozen=True, slots=True)
class State:
    """One mailbox, as the store has it."""

    name: str
    rights: frozenset[str]
    """Of the other account."""
    entries: tuple[Entry, ...]
    messages: dict[int, frozenset[str]]
    """Flags by UID."""


def load(conn: Snapshot, owner: AccountId) -> dict[MailboxId, State]:
    states = {}
    for box in list_mailboxes(conn, owner):
        entries = tuple(list_entries(conn, box.mailbox_id))
        held = frozenset().union(*[entry.rights for entry in entries])
        found = get_messages(conn, box.mailbox_id, list_uids(conn, box.mailbox_id))
        messages = {int(one.uid): one.flags for one in found}
        states[box.mailbox_id] = State(box.name, held, entries, messages)
    return states


def check(before: dict[MailboxId, State], after: dict[MailboxId, State]) -> None:
    """Compare two states of an account's mailboxes with the rights of the other."""
    for mailbox_id, old in before.items():
        new = after.get(mailbox_id)
        if new is None:
            assert "x" in old.rights, f"{old.name} was deleted"
            continue
        assert new.entries == old.entries, f"rights on {old.name} were changed"
        if new.name != old.name:
            assert "x" in old.rights, f"{old.name} was renamed"
        if new.messages.keys() - old.messages.keys():
            assert "i" in old.rights, f"messages came into {old.name}"
        if old.messages.keys() - new.messages.keys():
            assert "e" in old.rights, f"messages of {old.name} were expunged"
        for uid in old.messages.keys() & new.messages.keys():
            for flag in old.messages[uid] ^ new.messages[uid]:
                assert flag_right(flag) in old.rights, f"{flag} in {old.name} was changed"
        for uid in new.messages.keys() - old.messages.keys():
            for flag in new.messages[uid]:
                assert flag_right(flag) in old.rights, f"{flag} came into {old.name}"
    for mailbox_id in after.keys() - before.keys():
        parents = [old for old in before.values() if after[mailbox_id].name.startswith(old.name)]
        assert any("k" in old.rights for old in parents), f"{after[mailbox_id].name} was made"


def command(choose: random.Random) -> str:
    """Return a random command about mailboxes of the other account."""
    name, other = (f"Shared/amal/{choose.choice(NAMES)}" for _ in range(2))
    flags = " ".join([choose.choice(FLAGS[:2]), *choose.sample(FLAGS[2:], 2)])
    sign, uid = choose.choice(("", "+", "-")), choose.choice(("", "UID "))
    target = choose.choice((other, "INBOX"))
    return choose.choice(
        (
            f"SELECT {name}",
            f"SELECT {name}",
            f"EXAMINE {name}",
            "SELECT INBOX",
            f"{uid}STORE 1:* {sign}FLAGS ({flags})",
            f"{uid}STORE 1 {sign}FLAGS ({flags})",
            f"{uid}COPY 1:* {name}",
            "CLOSE",
            "EXPUNGE",
            "UID EXPUNGE 1:*",
            f"{uid}STORE 1:* {sign}FLAGS ({flags})",
            f"{uid}STORE 1:* {sign}FLAGS.SILENT ({flags})",
            f"{uid}FETCH 1:* (FLAGS BODY[])",
            f"{uid}FETCH 1:* ENVELOPE",
            f"{uid}COPY 1:* {target}",
            f"{uid}MOVE 1:* {target}",
            "SEARCH TEXT secret",
            f"STATUS {name} (MESSAGES UNSEEN SIZE)",
            f"CREATE {name}/new{choose.randrange(3)}",
            f"DELETE {choose.choice((name, other + '/new1'))}",
            f"RENAME {choose.choice((name, other + '/new2'))} {other}{choose.randrange(3)}",
            f"RENAME {name} Mine{choose.randrange(100)}",
            f"SETACL {name} badr {ALL_RIGHTS}",
            f"DELETEACL {name} badr",
            f"GETACL {name}",
            f"SUBSCRIBE {name}",
            'LIST "" * RETURN (STATUS (MESSAGES) MYRIGHTS METADATA (/shared/comment))',
            'LSUB "" *',
            f'SETMETADATA {name} (/private/comment "x")',
            f"GETMETADATA {name} /shared/comment",
        )
    )


async def answer(imap: ImapClient, sent: str) -> list[bytes]:
    """Send a command; give all responses, up to BYE where the session ends."""
    await imap.send(b"t " + sent.encode() + b"\r\n")
    lines = [await imap.read_response()]
    while not lines[-1].startswith((b"t ", b"* BYE")):
        lines.append(await imap.read_response())
    return lines


def check_shown(states: dict[MailboxId, State], sent: str, lines: list[bytes]) -> None:
    """Check that no response tells of what may not be read, or names what may not be seen."""
    shown = b"\n".join(lines).lower()
    for state in states.values():
        if state.name not in NAMES or state.rights & {"r", "l"}:
            continue
        word = state.name.rpartition("/")[2].lower().encode()
        assert b"secret %b" % word not in shown, (sent, state)
        above = any("l" in one.rights and one.name.startswith("Alpha/") for one in states.values())
        if word not in sent.lower().encode() and not (word == b"alpha" and above):
            assert word not in shown, (sent, state)


@pytest.mark.parametrize("seed", range(6))
def test_no_command_passes_its_rights(store: Store, tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    amal_id = make_reader(store).account_id
    make_reader(store, "badr@north.test")
    letters = ALL_RIGHTS.replace("a", "")

    async def prepare(amal: ImapClient) -> None:
        for name in NAMES:
            await amal.ok(f"CREATE {name}")
            await amal.ok(f"SETACL {name} badr -{ALL_RIGHTS}")
        for name in NAMES:
            word = name.rpartition("/")[2].lower()
            for number in range(3):
                text = f"Subject: secret {word} {number}\r\n\r\nx\r\n"
                await amal.append(name, text.encode())
            await amal.ok(f'SETMETADATA {name} (/shared/comment "secret {word}")')
            some = choose.sample(letters, choose.randrange(len(letters) + 1))
            some += "lr" if choose.random() < 0.6 else ""  # else little of the rest can happen
            await amal.ok(f"SETACL {name} badr +{''.join(some)}")

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            async with place.session("amal") as amal:
                await prepare(amal)
            async with place.session("badr") as badr:
                for _ in range(2):  # with flags, for COPY into the other's mailboxes
                    await badr.append("INBOX", b"Subject: own\r\n\r\nx\r\n", f"({' '.join(FLAGS)})")
            before = await store.read(lambda conn: load(conn, amal_id))
            left = COMMANDS
            while left:
                async with place.session("badr") as badr:
                    ended = False
                    while left and not ended:
                        left -= 1
                        sent = command(choose)
                        lines = await answer(badr, sent)
                        if b"t BAD not in the state" in lines[-1]:
                            sent = f"SELECT Shared/amal/{choose.choice(NAMES)}"
                            lines = await answer(badr, sent)
                        ended = lines[-1].startswith(b"* BYE")
                        after = await store.read(lambda conn: load(conn, amal_id))
                        check(before, after)
                        check_shown(before, sent, lines)
                        before = after

    asyncio.run(run())
