"""Accounting: compare what clients were promised with what is there after all faults."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence

from kit.fault_ledger import Ledger, Outcome
from kit.fault_plan import Fault
from kit.fault_readers import Follower, any_node
from kit.fault_world import ACCOUNTS, FaultWorld
from kit.imap import literals

_SUBJECT = re.compile(rb"Subject: (\S+)")
_UID = re.compile(rb"\bUID (\d+)")
_BEFORE_COMMIT_SECONDS = 5.0
"""Between a peer's 250 and our commit of it: a commit waits this long at most without a fault."""
_QUEUE_SECONDS = 300.0
_CHORE_SECONDS = 60


async def wait_for_queue(world: FaultWorld) -> list[str]:
    """Wait until nothing is in the queue; return what is wrong if something stays."""
    statement = "SELECT count(*) FROM recipient WHERE state = 'waiting'"
    for _ in range(int(_QUEUE_SECONDS)):
        ((waiting,),) = await asyncio.to_thread(world.query, statement)
        if not waiting:
            return []
        await asyncio.sleep(1)
    rows = world.query("SELECT * FROM recipient WHERE state = 'waiting' LIMIT 3")
    return [f"{waiting} recipients stay in the queue: {rows}"]


async def account(world: FaultWorld, ledger: Ledger, faults: Sequence[Fault]) -> list[str]:
    """Return everything that is wrong."""
    contents = {login: await _contents(world, ledger, login) for login in ACCOUNTS}
    wrong = list(ledger.faults)
    wrong += _local_mails(ledger, contents)
    wrong += _remote_mails(world, ledger, faults)
    wrong += _kept_messages(ledger, contents)
    wrong += _rows(world)
    wrong += _chores(world) + await _chore_goes_on(world)
    wrong += await asyncio.to_thread(_check_store, world)
    return wrong


async def followers_agree(followers: Sequence[Follower]) -> list[str]:
    """Compare what each follower believes with what a client sees that knew nothing."""
    wrong = []
    for follower in followers:
        await follower.finish()
        fresh = await follower.fresh()
        try:
            if follower.client.cache != fresh.cache:
                missing = set(fresh.cache) ^ set(follower.client.cache)
                differing = [
                    (uid, sorted(flags), sorted(follower.client.cache.get(uid, ())))
                    for uid, flags in fresh.cache.items()
                    if follower.client.cache.get(uid) != flags
                ]
                wrong.append(
                    f"a follower of {follower.login} does not converge: "
                    f"UIDs {sorted(missing)[:9]}, flags {differing[:5]}"
                )
        finally:
            await fresh.drop()
            await follower.client.drop()
    return wrong


async def _contents(world: FaultWorld, ledger: Ledger, login: str) -> dict[str, Counter[str]]:
    """Return how often each token is in each mailbox of an account."""
    client = await any_node(world, login, world.chance).connect()
    found: dict[str, Counter[str]] = {}
    try:
        await client.log_in()
        for line in await client.command('LIST "" "*"'):
            if not line.startswith(b"* LIST"):
                continue
            name = line.rpartition(b" ")[2].strip(b'"').decode()
            await client.command(f"EXAMINE {name}")
            lines = await client.command("UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            bodies = [one for one in lines if b" FETCH " in one]
            uids = [match[1] for one in bodies if (match := _UID.search(one))]
            if len(set(uids)) != len(uids):
                raise AssertionError(f"a UID is twice in {login}/{name}")
            tokens = [
                match[1].decode()
                for one in bodies
                for literal in literals(one)
                if (match := _SUBJECT.search(literal))
            ]
            found[name] = Counter(tokens)
            for uid, token in zip(uids, tokens, strict=True):
                ledger.names(f"{login}/{name}", int(uid), token)
    finally:
        await client.close()
    return found


def _local_mails(ledger: Ledger, contents: dict[str, dict[str, Counter[str]]]) -> list[str]:
    wrong, known = [], set()
    for mail in ledger.mails:
        known.add(mail.token)
        for address in mail.local:
            login = address.partition("@")[0]
            boxes = contents[login]
            count = sum(box[mail.token] for box in boxes.values())
            least = int(mail.outcome is Outcome.DONE)
            if not least <= count <= 1:
                wrong.append(
                    f"{mail.token} ({mail.outcome.value} by {mail.node}: {mail.answer}) is {count} "
                    f"times in the mailboxes of {login}"
                )
    for login, boxes in contents.items():
        strange = set(boxes.get("INBOX", ())) | set(boxes.get("Junk", ()))
        strange -= known
        if strange:
            wrong.append(f"nobody sent these to {login}: {sorted(strange)[:9]}")
    return wrong


def _remote_mails(world: FaultWorld, ledger: Ledger, faults: Sequence[Fault]) -> list[str]:
    wrong = []
    for mail in ledger.mails:
        for recipient in mail.remote:
            times = world.peer.times(mail.token, recipient)
            if mail.outcome is Outcome.DONE and not times:
                wrong.append(f"{mail.token} was never sent to {recipient}")
            # A node that dies between the peer's 250 and its commit: another sends once more.
            twice = f"{mail.token} was sent {len(times)} times to {recipient}"
            wrong += [twice for at in times[:-1] if not _was_near(at, faults)]
    return wrong


def _was_near(at: float, faults: Sequence[Fault]) -> bool:
    return any(
        one.begun - _BEFORE_COMMIT_SECONDS <= at <= max(one.recovered, one.ended) for one in faults
    )


def _kept_messages(ledger: Ledger, contents: dict[str, dict[str, Counter[str]]]) -> list[str]:
    wrong = []
    for login, messages in ledger.kept.items():
        boxes = contents[login]
        work, moved, copies = (boxes.get(name, Counter()) for name in ("work", "moved", "copies"))
        for one in messages:
            count, there = work[one.token] + moved[one.token], copies[one.token]
            if one.outcome is not Outcome.DONE:
                if count > 1:
                    wrong.append(f"{one.token} was appended {count} times")
                continue
            places = {one.place, one.may_be or one.place}
            if count != 1 or not any(boxes.get(name, Counter())[one.token] for name in places):
                wrong.append(
                    f"{one.token} should be in {sorted(places)}: {work[one.token]} in work, "
                    f"{moved[one.token]} in moved"
                )
            if not one.copies <= there <= one.most_copies:
                wrong.append(
                    f"{one.token} has {there} copies, not {one.copies} to {one.most_copies}"
                )
    return wrong


_NO_ROWS = {
    "a lease is left on the queue": "SELECT mail_id, lease_owner FROM recipient "
    "WHERE lease_owner IS NOT NULL",
    "a maildrop is held": "SELECT account_id, holder FROM maildrop WHERE token <> ''",
    "a UID is above UIDNEXT": "SELECT m.mailbox_id, m.uid FROM message m JOIN mailbox b "
    "ON b.id = m.mailbox_id WHERE m.uid >= b.uid_next",
    "a MODSEQ is above that of its mailbox": "SELECT m.mailbox_id, m.uid FROM message m "
    "JOIN mailbox b ON b.id = m.mailbox_id WHERE m.modseq > b.modseq",
    "two messages have one MODSEQ and one UID": "SELECT mailbox_id, uid FROM message "
    "GROUP BY mailbox_id, uid HAVING count(*) > 1",
    "a message has no bytes": "SELECT m.mailbox_id, m.uid FROM message m "
    "LEFT JOIN blob b ON b.id = m.blob_id WHERE b.id IS NULL",
    "bytes have no message": "SELECT b.id FROM blob b "
    "WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.blob_id = b.id) "
    "AND NOT EXISTS (SELECT 1 FROM mail q WHERE q.blob_id = b.id)",
    "a recipient bounced or was given up": "SELECT mail_id, state, reason FROM recipient "
    "WHERE state NOT IN ('delivered', 'waiting', 'refused')",
}


def _rows(world: FaultWorld) -> list[str]:
    wrong = []
    for what, statement in _NO_ROWS.items():
        rows = world.query(statement)
        if rows:
            wrong.append(f"{what} ({len(rows)} rows): {rows[:3]}")
    return wrong


def _chores(world: FaultWorld) -> list[str]:
    """See that no run of a chore did anything after another run of it had begun."""
    late: Counter[tuple[str, str]] = Counter()
    ended: set[str] = set()
    last = ""
    for line in world.chore_notes.read_text("ascii").splitlines():
        _, run = line.split(" ")
        if run in ended:
            late[run, last] += 1
        elif run != last:
            ended.add(last)
            last = run
    return [
        f"a chore took {count} steps after another had taken it over: {run}, then {other}"
        for (run, other), count in late.items()
    ]


async def _chore_goes_on(world: FaultWorld) -> list[str]:
    """Wait until some node does the chore."""
    before = world.chore_notes.stat().st_size
    for _ in range(_CHORE_SECONDS):
        if world.chore_notes.stat().st_size > before:
            return []
        await asyncio.sleep(1)
    return [f"nobody did a chore for {_CHORE_SECONDS} seconds"]


def _check_store(world: FaultWorld) -> list[str]:
    node = world.nodes[0]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "zajil",
            "--config",
            str(node.configuration),
            "store",
            "check",
            "--json",
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return []
    try:
        findings = json.loads(done.stdout)["findings"]
    except (ValueError, KeyError):
        return [f"store check: {done.stdout[-1000:]} {done.stderr[-1000:]}"]
    kinds = Counter(one["kind"] for one in findings)
    return [f"store check: {dict(kinds)}, such as {findings[:2]}"]
