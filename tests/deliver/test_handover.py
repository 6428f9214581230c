"""Mail from shard to shard, in one process."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from kit.courier import courier
from kit.store import make_account, open_test_store, running
from kit.talk import acceptance_context
from zajil.core.address import Address
from zajil.core.service import Service
from zajil.deliver.handover import Handover
from zajil.receive.session import refusal_of
from zajil.store.engine.open import Store
from zajil.store.mail.mailboxes import list_mailboxes


def home_of(who: Address) -> str | None:
    return "north" if who.domain == "north.test" else None


def make_handover(north: Store | None) -> Handover:
    contexts = {}
    if north is not None:
        context = acceptance_context(north, service=Service.LMTP)
        contexts["north"] = replace(context, policy=replace(context.policy, is_incoming=False))
    return Handover(home_of, lambda who: False, contexts, contexts, refusal_of)


def test_a_server_that_stops_waits_for_the_other_shard(tmp_path: Path) -> None:
    """It has committed, and its answer has not come: the mail is not brought again."""
    store, north = (open_test_store("sqlite", tmp_path / name) for name in ("main", "north"))
    anna = make_account(north, "anna@north.test")

    async def run() -> None:
        committed, may_answer = asyncio.Event(), asyncio.Event()
        write = north.write

        async def write_slowly(unit: Any, item: Any) -> Any:
            done = await write(unit, item)
            committed.set()
            await may_answer.wait()
            return done

        north.write = write_slowly  # type: ignore[method-assign]
        async with running(north):
            await north.directory.load()
            async with courier(store, {}, handover=make_handover(north)) as setup:
                delivering = asyncio.create_task(setup.deliverer.run())
                mail_id = await setup.put("anna@north.test")
                await committed.wait()
                stopping = asyncio.create_task(setup.deliverer.drain(0))
                await asyncio.sleep(0)
                asyncio.get_running_loop().call_later(0.05, may_answer.set)
                await stopping
                await delivering
                assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]
            boxes = await north.read(lambda conn: list_mailboxes(conn, anna.account_id))
            assert sum(box.uid_next - 1 for box in boxes) == 1

    asyncio.run(run())


def test_a_shard_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path / "main")

    async def run() -> None:
        async with courier(store, {}, handover=make_handover(None)) as setup:
            mail_id = await setup.put("anna@north.test")
            await setup.deliverer.run_due()
            ((state, reason),) = await setup.states(mail_id)
            assert state == "waiting"
            assert "the shard north is not available" in reason

    asyncio.run(run())
