"""The faults that are drawn, done, and mended again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from kit.fault_world import FaultNode, FaultWorld


@dataclass(slots=True)
class Fault:
    """One that was done."""

    kind: str
    where: str
    """A node, or what all of them use."""
    begun: float
    """By ``time.monotonic``."""
    ended: float = 0.0
    """When it was mended; what it did may last longer."""
    recovered: float = 0.0
    """When all nodes accepted mail again."""


class FaultDraw:
    """Draws what is done, and how long it lasts.

    Args:
        chance: from this.
        brief: nothing lasts longer than a moment.
    """

    def __init__(self, chance: random.Random, *, brief: bool = False) -> None:
        self.chance = chance
        self.brief = brief

    async def pause(self, *seconds: float) -> None:
        """Wait for one of these times."""
        chosen = self.chance.choice(seconds)
        await asyncio.sleep(min(chosen, _BRIEF_SECONDS) if self.brief else chosen)

    def is_so(self) -> bool:
        """Toss a coin."""
        return self.chance.random() < 0.5


_BRIEF_SECONDS = 0.3
_START_SECONDS = 120.0


async def _killed(node: FaultNode, _world: FaultWorld, draw: FaultDraw) -> None:
    node.kill()
    # Half of them come back before the others notice.
    await draw.pause(0, 1, 14, 17)
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        # As a service manager does: it starts again what did not find its database.
        with suppress(RuntimeError):
            await node.start()
            return
    raise RuntimeError(f"{node.name} does not start: {node.tail()}")


async def _frozen(node: FaultNode, _world: FaultWorld, draw: FaultDraw) -> None:
    node.freeze()
    # Nine seconds of silence, or more, and a node is gone.
    await draw.pause(2, 14, 17)
    node.thaw()


async def _database_partition(
    node: FaultNode, _world: FaultWorld, draw: FaultDraw, **ways: bool
) -> None:
    node.database.partition(**ways)
    await draw.pause(0.5, 3, 15)
    draw.chance.choice((node.database.reset, node.database.forget, node.database.heal))()
    node.database.heal()


async def _database_to(node: FaultNode, world: FaultWorld, draw: FaultDraw) -> None:
    await _database_partition(node, world, draw, to_node=False)


async def _database_from(node: FaultNode, world: FaultWorld, draw: FaultDraw) -> None:
    await _database_partition(node, world, draw, to_service=False)


async def _database_reset(node: FaultNode, _world: FaultWorld, draw: FaultDraw) -> None:
    node.database.refuse()
    await draw.pause(0, 1, 5)
    node.database.heal()


async def _objects_away(node: FaultNode, _world: FaultWorld, draw: FaultDraw) -> None:
    node.objects.partition()
    await draw.pause(1, 8)
    if draw.is_so():
        node.objects.reset()
    node.objects.heal()


async def _objects_reset(node: FaultNode, _world: FaultWorld, draw: FaultDraw) -> None:
    node.objects.refuse()
    await draw.pause(0, 1, 5)
    node.objects.heal()


async def _objects_answer(node: FaultNode, _world: FaultWorld, draw: FaultDraw) -> None:
    node.objects.answer(draw.chance.choice((500, 503)))
    await draw.pause(1, 3, 8)
    node.objects.answer(0)
    node.objects.heal()


async def _database_restart(_node: FaultNode, world: FaultWorld, draw: FaultDraw) -> None:
    await asyncio.to_thread(world.database.stop)
    await draw.pause(0, 2)
    await asyncio.to_thread(world.database.start)


async def _database_crash(_node: FaultNode, world: FaultWorld, draw: FaultDraw) -> None:
    await asyncio.to_thread(world.database.kill)
    await draw.pause(0, 2)
    await asyncio.to_thread(world.database.start)


_Act = Callable[[FaultNode, FaultWorld, FaultDraw], Awaitable[None]]

_OF_NODES: Mapping[str, tuple[_Act, int]] = {
    "node killed": (_killed, 6),
    "node frozen": (_frozen, 4),
    "partition from PostgreSQL": (_database_partition, 3),
    "packets to PostgreSQL lost": (_database_to, 2),
    "packets from PostgreSQL lost": (_database_from, 2),
    "connections to PostgreSQL reset": (_database_reset, 3),
}
_OF_OBJECTS: Mapping[str, tuple[_Act, int]] = {
    "partition from S3": (_objects_away, 2),
    "connections to S3 reset": (_objects_reset, 2),
    "S3 answers 500 or 503": (_objects_answer, 3),
}
_OF_ALL: Mapping[str, tuple[_Act, int]] = {
    "PostgreSQL restarted": (_database_restart, 2),
    "PostgreSQL killed": (_database_crash, 2),
}
ALL = "all"


async def do_faults(
    world: FaultWorld, draw: FaultDraw, count: int, kind: str | None = None
) -> list[Fault]:
    """Draw faults, do them at the same time, and mend them.

    Args:
        world: where.
        draw: how.
        count: how many, each of another node; one of them may be of PostgreSQL itself.
        kind: only this one.
    """
    table = {**_OF_NODES, **(_OF_OBJECTS if world.objects else {})}
    drawn: list[str] = []
    for _ in range(count):
        choices = table if any(one in _OF_ALL for one in drawn) else {**table, **_OF_ALL}
        # The start of a node takes longer than all else that is brief.
        weights = [min(weight, 2) if draw.brief else weight for _, weight in choices.values()]
        drawn += [kind] if kind else draw.chance.choices(list(choices), weights)
    nodes = draw.chance.sample(world.nodes, count)

    async def do(one: str, node: FaultNode) -> Fault:
        fault = Fault(one, ALL if one in _OF_ALL else node.name, time.monotonic())
        act, _ = {**table, **_OF_ALL}[one]
        await act(node, world, draw)
        fault.ended = time.monotonic()
        return fault

    return await asyncio.gather(*map(do, drawn, nodes))
