"""What root reads for others, it reads with their rights."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zajil.operations.moving.model import Unreadable
from zajil.operations.moving.tree import open_tree

NOBODY = 65534


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
def test_further_groups_of_root_do_not_help(tmp_path: Path) -> None:
    """A hard link to a file of root's group is not read for the owner of the folder."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "secret").write_text("secret")
    (mine / "secret").chmod(0o640)
    os.chown(mine, NOBODY, NOBODY)
    groups = os.getgroups()
    os.setgroups([0])
    tree = open_tree(mine)
    try:
        with pytest.raises(Unreadable, match="denied"), tree.open(b"secret"):
            pass
        assert os.getgroups() == [0]
    finally:
        tree.close()
        os.setgroups(groups)
