"""One run: a world, a load, faults one after the other, the accounts at the end."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kit.fault_accounts import account, followers_agree, wait_for_queue
from kit.fault_ledger import Ledger, Outcome
from kit.fault_plan import Fault, FaultDraw, do_faults
from kit.fault_readers import Follower, Keeper
from kit.fault_senders import Sender
from kit.fault_world import FaultNode, FaultWorld, fault_world
from kit.imap_cache import Law

_RECOVERY_SECONDS = 120.0
_LONG_SECONDS = 15.0
"""Who recovers no sooner has to say where its threads are."""
_TRACEBACK = re.compile(r"^.* error .*$|^\w*(?:Error|Exception)\b.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FaultRun:
    """What is asked for."""

    faults: int
    seed: int
    nodes: int = 3
    kind: str | None = None
    """``None``: all kinds."""
    objects: bool = True
    """Whether large messages are in S3."""
    brief: bool = False
    """No fault lasts longer than a moment."""


@dataclass
class FaultReport:
    """What came of it."""

    plan: FaultRun
    ledger: Ledger
    faults: list[Fault] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    """Lines of the logs of the nodes that tell of an error of ours."""

    def table(self) -> str:
        """Return what the faults did, for people."""
        lines = [
            f"seed {self.plan.seed}, {len(self.faults)} faults, {self.plan.nodes} nodes",
            "",
            f"{'fault':34}{'times':>6}{'accepted':>10}{'refused':>9}{'lost':>6}"
            f"{'longest gap':>13}{'recovery':>10}",
        ]
        lines += [
            self._line(kind, [one for one in self.faults if one.kind == kind])
            for kind in sorted({fault.kind for fault in self.faults})
        ]
        outcomes = Counter(mail.outcome for mail in self.ledger.mails)
        kept = [one for messages in self.ledger.kept.values() for one in messages]
        lines += [
            "",
            f"mails accepted {outcomes[Outcome.DONE]}, refused {outcomes[Outcome.REFUSED]}, "
            f"connection lost before the answer {outcomes[Outcome.UNKNOWN]}",
            f"messages appended {sum(one.outcome is Outcome.DONE for one in kept)}, "
            f"copied {sum(one.copies for one in kept)}, "
            f"moved {sum(one.place == 'moved' for one in kept)}",
            f"wrong: {len(self.wrong)}",
        ]
        if self.ledger.answers:
            lines += ["", "answers that promised nothing:"]
            ordered = sorted(self.ledger.answers.items(), key=lambda pair: -pair[1])
            lines += [f"{count:6}  {answer}" for answer, count in ordered[:25]]
        if self.errors:
            lines += ["", "in the logs of the nodes:"]
            lines += [f"{count:6}  {line}" for line, count in self.errors.most_common(25)]
        return "\n".join(lines)

    def _line(self, kind: str, faults: Sequence[Fault]) -> str:
        during = [
            mail
            for mail in self.ledger.mails
            if any(one.begun <= mail.ended <= one.recovered for one in faults)
        ]
        counts = Counter(mail.outcome for mail in during)
        gap = max(self._longest_gap(one) for one in faults)
        recovery = max(one.recovered - one.ended for one in faults)
        return (
            f"{kind:34}{len(faults):6}{counts[Outcome.DONE]:10}{counts[Outcome.REFUSED]:9}"
            f"{counts[Outcome.UNKNOWN]:6}{gap:11.1f} s{recovery:8.1f} s"
        )

    def _longest_gap(self, fault: Fault) -> float:
        """Return the longest time in which a node without a fault accepted no mail, in seconds."""
        together = [
            one
            for one in self.faults
            if one.begun <= fault.recovered and fault.begun <= one.recovered
        ]
        gaps = [0.0]
        for name in (f"node{number}" for number in range(1, self.plan.nodes + 1)):
            if name in {one.where for one in together}:
                continue
            times = [
                mail.ended
                for mail in self.ledger.mails
                if mail.outcome is Outcome.DONE
                and mail.node == name
                and fault.begun <= mail.ended <= fault.recovered
            ]
            points = [fault.begun, *sorted(times), fault.recovered]
            gaps += [later - earlier for earlier, later in itertools.pairwise(points)]
        return max(gaps)


async def run_faults(
    folder: Path,
    plan: FaultRun,
    tell: Callable[[str], None],
    enough: asyncio.Event | None = None,
) -> FaultReport:
    """Do it.

    Args:
        folder: an empty one.
        plan: what is asked for.
        tell: gets a line about each fault.
        enough: no more faults are done once it is set; what was done is accounted for.
    """
    enough = enough or asyncio.Event()
    chance = random.Random(plan.seed)
    report = FaultReport(plan, Ledger())
    async with fault_world(folder, chance, nodes=plan.nodes, objects=plan.objects) as world:
        ending = asyncio.Event()
        followers = _followers(world, report.ledger, chance)
        load: list[Sender | Follower | Keeper] = [
            *_senders(world, report.ledger, chance),
            *followers,
        ]
        load += (Keeper(world, report.ledger, login, _part(chance)) for login in ("a3", "a4"))
        tasks = [asyncio.create_task(one.run(ending)) for one in load]
        try:
            await _do_faults(world, report, chance, tell, enough)
        finally:
            ending.set()
            done = await asyncio.gather(*tasks, return_exceptions=True)
        report.wrong += [f"a client failed: {one!r}" for one in done if one is not None]
        report.wrong += await wait_for_queue(world)
        report.wrong += await followers_agree(followers)
        report.wrong += await account(world, report.ledger, report.faults)
        for node in world.nodes:
            if status := await node.end():
                report.wrong.append(f"{node.name} ended with status {status}")
            report.errors.update(_errors((node.folder / "log").read_text("utf-8", "replace")))
    return report


async def _do_faults(
    world: FaultWorld,
    report: FaultReport,
    chance: random.Random,
    tell: Callable[[str], None],
    enough: asyncio.Event,
) -> None:
    plan = report.plan
    probe = Sender(world, report.ledger, "probe", _part(chance), submits=False)
    draw = FaultDraw(chance, brief=plan.brief)
    await asyncio.sleep(0.5 if plan.brief else 1)
    while (left := plan.faults - len(report.faults)) > 0 and not enough.is_set():
        count = 2 if left > 1 and (plan.brief or chance.random() < 0.25) else 1
        faults = await do_faults(world, draw, count, plan.kind)
        report.faults += faults
        mended = time.monotonic()
        for fault in faults:
            fault.recovered = mended
        nodes = await asyncio.gather(*(_recovers(probe, node) for node in world.nodes))
        for node, after in zip(world.nodes, nodes, strict=True):
            if after is None:
                report.wrong.append(f"{node.name} accepts no mail after: {faults[0].kind}")
        what = " and ".join(f"{fault.kind} ({fault.where})" for fault in faults)
        took = ", ".join("never" if after is None else f"{after:.1f} s" for after in nodes)
        tell(
            f"{len(report.faults):4} {what}, {mended - faults[0].begun:.1f} s; "
            f"the nodes accepted mail after {took}"
        )
        for fault in faults:
            fault.recovered = time.monotonic()
        await draw.pause(0.2, 0.5, 1, 2)


async def _recovers(probe: Sender, node: FaultNode) -> float | None:
    """Wait until a node accepts a mail; return the seconds, ``None``: it does not."""
    begun = time.monotonic()
    curious = asyncio.get_running_loop().call_later(_LONG_SECONDS, node.tell_where)
    try:
        while time.monotonic() < begun + _RECOVERY_SECONDS:
            if await probe.send_one(node):
                return time.monotonic() - begun
            await asyncio.sleep(0.2)
    finally:
        curious.cancel()
    return None


def _senders(world: FaultWorld, ledger: Ledger, chance: random.Random) -> list[Sender]:
    """Return one sender for each node, and two that log in and go from node to node."""
    bound = [
        Sender(world, ledger, f"s{number}", _part(chance), submits=False, node=node)
        for number, node in enumerate(world.nodes, start=1)
    ]
    free = [Sender(world, ledger, name, _part(chance), submits=True) for name in ("u1", "u2")]
    return [*bound, *free]


def _followers(world: FaultWorld, ledger: Ledger, chance: random.Random) -> list[Follower]:
    laws = {login: Law() for login in ("a1", "a2")}
    return [
        Follower(world, ledger, laws[login], login, _part(chance))
        for login in ("a1", "a1", "a2", "a2")
    ]


def _part(chance: random.Random) -> random.Random:
    return random.Random(chance.random())


def _errors(log: str) -> list[str]:
    return [
        re.sub(r"^\S+ |\b\d+\b|[0-9a-f]{16,}", "", line)[:200] for line in _TRACEBACK.findall(log)
    ]
