"""Which schema a store must have."""

from __future__ import annotations

from pathlib import Path

from alembic.script import ScriptDirectory

from zajil.store import migrations
from zajil.store.engine.migrate import known_schemas


def test_the_names_of_migrations_say_their_order() -> None:
    """A store is opened without Alembic, which reads the order in the files."""
    scripts = ScriptDirectory(str(Path(str(migrations.__file__)).parent))
    chain = [script.revision for script in scripts.walk_revisions()]
    assert known_schemas() == chain[::-1]
    assert scripts.get_heads() == [chain[0]]
