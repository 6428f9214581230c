"""A new version on one node after the other: both versions work on one store meanwhile."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

import zajil
from kit.node_world import receive, subjects, submit, world
from kit.nodes import DidNotStart, node_rows
from zajil.store.engine.migrate import known_schemas
from zajil.store.engine.open import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

_MIGRATION = '''"""{what}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = "{before}"
KIND = "{kind}"


def upgrade() -> None:
    """Do it."""
    {up}


def downgrade() -> None:
    """Undo it."""
    {down}
'''
_USE = '''
import sqlalchemy as sa

_write_intakes = write_intakes


def write_intakes(tx: Connection, items: Sequence[Intake]) -> list[MailId]:
    """Note in each mail that this version wrote it."""
    results = _write_intakes(tx, items)
    for item in items:
        tx.execute(sa.update(mail).where(mail.c.id == item.mail_id).values(note="new"))
    return results
'''


def number(step: int) -> str:
    """Return the number of a migration after the newest."""
    return f"{int(known_schemas()[-1]) + step:04d}"


def migration(step: int, kind: str, what: str, up: str, down: str) -> str:
    before = number(step - 1)
    given = {"number": number(step), "before": before, "kind": kind, "what": what}
    return _MIGRATION.format(**given, up=up, down=down)


def next_version(folder: Path, *, contracts: bool) -> Path:
    """Make the next version: a column that it writes; and later, one that older ones break."""
    copy = folder / "zajil"
    shutil.copytree(Path(zajil.__file__).parent, copy)
    versions = copy / "store" / "migrations" / "versions"
    add = 'op.add_column("mail", sa.Column("note", sa.Text()))'
    text = migration(1, "expand", "A note", add, 'op.drop_column("mail", "note")')
    (versions / f"{number(1)}_note.py").write_text(text)
    if contracts:
        fill = "op.execute(\"UPDATE mail SET note = '' WHERE note IS NULL\")"
        text = migration(2, "contract", "No mail without a note", fill, "pass")
        (versions / f"{number(2)}_notes.py").write_text(text)
    schema = copy / "store" / "schema.py"
    place = 'mail = sa.Table(\n    "mail",\n    metadata,\n'
    text = schema.read_text()
    assert place in text
    schema.write_text(text.replace(place, f'{place}    sa.Column("note", sa.Text),\n'))
    intake = copy / "store" / "mail" / "intake.py"
    intake.write_text(intake.read_text() + _USE)
    return folder


def notes(store: Store) -> list[str | None]:
    query = sa.text("SELECT note FROM mail ORDER BY at_ms, id")
    return store.read_now(lambda conn: list(conn.scalars(query)))


def tables(store: Store) -> tuple[str, str]:
    """Return the schema, and the oldest whose programs may use it."""
    found = sa.text("SELECT version_num, floor FROM alembic_version, schema_floor")
    return store.read_now(lambda conn: tuple(conn.execute(found).one()))


async def run_both(url: str, folder: Path) -> None:
    old, new = number(0), number(2)
    floor = next(one for one in reversed(known_schemas()) if one <= "0051")
    program = await asyncio.to_thread(next_version, folder / "next", contracts=True)

    async with world(url, folder) as ours:
        one, two = await ours.start("one", "two")
        assert tables(ours.store) == (old, floor)
        one.process.terminate()
        await asyncio.to_thread(one.process.wait, 60)

        # The first node of the new version: it adds its column, and cannot do the rest yet.
        ours.nodes.environment["PYTHONPATH"] = str(program)
        (one,) = await ours.start("one")
        assert tables(ours.store) == (number(1), floor)
        assert "waits for older nodes" in one.log.read_text()
        assert two.node_id in one.log.read_text()
        rows = node_rows(ours.store)
        assert (rows[one.node_id].schema, rows[two.node_id].schema) == (new, old)
        for node in (one, two):
            await asyncio.to_thread(receive, node, f"by {node.folder.name}")
            await asyncio.to_thread(submit, node, "x@far.test", f"from {node.folder.name}")
        await ours.until(lambda: ours.queue() == {}, "all is delivered")
        for node in (one, two):
            found = await asyncio.to_thread(subjects, node)
            assert {"Subject: by one", "Subject: by two"} <= set(found)
        assert sorted(notes(ours.store), key=str) == [None, None, "new", "new"]
        waiting = await asyncio.to_thread(ours.nodes.run, "one", "upgrade", "run")
        assert waiting.returncode == 1
        assert f"the rest waits until these nodes are upgraded or stopped: {two.node_id} on" in (
            waiting.stdout
        )

        # The old version starts again beside it, and its commands work.
        ours.nodes.environment.pop("PYTHONPATH")
        await asyncio.to_thread(two.kill)
        (two,) = await ours.start("two")
        await asyncio.to_thread(receive, two, "again")
        listed = await asyncio.to_thread(ours.nodes.run, "two", "queue", "list")
        assert listed.returncode == 0, listed.stderr
        # A backup by it would lack a column.
        target = ("--target", str(folder / "backup"))
        backup = await asyncio.to_thread(ours.nodes.run, "two", "backup", "create", *target)
        assert backup.returncode == 1
        assert "run this on a node of the newer version" in backup.stderr

        # It leaves: the rest is done by a command, while the new version serves.
        two.process.terminate()
        await asyncio.to_thread(two.process.wait, 60)
        ours.nodes.environment["PYTHONPATH"] = str(program)
        done = await asyncio.to_thread(ours.nodes.run, "one", "upgrade", "run")
        assert done.returncode == 0, done.stderr
        assert f"upgraded the store from schema {number(1)} to {new}" in done.stdout
        assert tables(ours.store) == (new, new)
        assert None not in notes(ours.store)
        await asyncio.to_thread(receive, one, "after")

        # The old version is shut out, with the version that it needs; the new one comes in.
        ours.nodes.environment.pop("PYTHONPATH")
        with pytest.raises(DidNotStart, match=f"schema {new}.*install Zajil"):
            await asyncio.to_thread(ours.nodes.start, "two")
        ours.nodes.environment["PYTHONPATH"] = str(program)
        (two,) = await ours.start("two")
        assert "Subject: after" in await asyncio.to_thread(subjects, two)


def test_two_versions_on_one_store(postgres_url: str, tmp_path: Path) -> None:
    asyncio.run(run_both(postgres_url, tmp_path))
