"""What another user of this machine can read: asked of the kernel, as that user.

Modes alone do not tell (groups, access lists, folders above); so a forked child becomes the user
and looks.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path


def first_unreadable(paths: Iterable[Path], user: pwd.struct_passwd) -> dict[Path, Path]:
    """Find what a user cannot read.

    Args:
        paths: files and folders; what is missing is passed over.
        user: who. Only root can ask for another than itself.

    Returns:
        For each path that the user cannot read: the first part of it where the user is stopped.
    """
    wanted = [str(path.absolute()) for path in paths]
    if os.geteuid() != 0:
        return _look(wanted)
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        _look_as(user, wanted, write)
    os.close(write)
    with open(read, "rb") as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    if not text:
        raise OSError(f"cannot switch to the user {user.pw_name}")
    return {Path(path): Path(part) for path, part in json.loads(text).items()}


def python_paths() -> list[Path]:
    """List what this Python and its packages are made of: what the server reads as it runs.

    Folders where packages lie are listed one level deep: each package has its own permissions.
    """
    names = {sys.executable, os.path.realpath(sys.executable), sys.base_prefix, sys.prefix}
    names |= {name for name in sys.path if name} | {sysconfig.get_path("scripts")}
    names.add(sys.argv[0] if os.path.isabs(sys.argv[0]) else "")
    paths = [Path(name) for name in sorted(names) if name and os.path.exists(name)]
    for folder in [path for path in paths if path.name in ("site-packages", "dist-packages")]:
        # Python does without the compiled files that it cannot read.
        paths += sorted(path for path in folder.iterdir() if path.name != "__pycache__")
    return [*paths, Path(__file__).parent.parent]


def _look_as(user: pwd.struct_passwd, paths: list[str], write: int) -> None:
    """Be the child: become the user, look, answer, end."""
    status = 1
    try:
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        answer = json.dumps({str(path): str(part) for path, part in _look(paths).items()})
        with open(write, "w") as pipe:
            pipe.write(answer)
        status = 0
    finally:
        # Not sys.exit: the child must not unwind into the frames of the command.
        os._exit(status)


def _look(paths: Iterable[str]) -> dict[Path, Path]:
    found: dict[Path, Path] = {}
    entered: dict[Path, bool] = {}
    for name in paths:
        path = Path(name)
        for part in [*reversed(path.parents), path]:
            if part not in entered:
                entered[part] = _may_use(part, is_last=part == path)
            if not entered[part]:
                found[path] = part
                break
    return found


def _may_use(path: Path, *, is_last: bool) -> bool:
    try:
        is_folder = path.is_dir()
    except OSError:
        return False
    if not is_folder:
        return os.access(path, os.R_OK) or not os.path.lexists(path)
    # To pass through a folder, search permission is enough.
    return os.access(path, os.X_OK | (os.R_OK if is_last else 0))
