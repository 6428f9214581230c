"""Add manual pages and completion files, made from the code, and systemd units to the wheel."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualHook(BuildHookInterface[Any]):
    """Runs with the dependencies of the program installed: the pages are made by importing it."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the files and name their places below the prefix of the installation."""
        if version == "editable":
            return
        root = Path(self.root)
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        sys.path[:0] = [str(root / "src"), str(root / "tools")]
        try:
            from man_pages import write_man_pages
            from shell_completion import write_completion_files

            released = self.metadata.version
            write_man_pages(folder / "man", released)
            write_completion_files(folder)
        finally:
            del sys.path[:2]
        locked = re.findall(r"^([\w.-]+==[^ ;\\]+)", (root / "requirements.lock").read_text(), re.M)
        (folder / "zajil").mkdir()
        # `zajil self-check` compares with it.
        (folder / "zajil" / "tested-versions.txt").write_text("\n".join(locked) + "\n", "utf-8")
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                build_data["shared_data"][str(path)] = f"share/{path.relative_to(folder)}"

        for path in sorted((root / "packaging" / "systemd").iterdir()):
            build_data["shared_data"][str(path)] = f"share/zajil/systemd/{path.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the files that are in the wheel now."""
        if version != "editable":
            self._folder.cleanup()
