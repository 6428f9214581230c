"""A fresh Debian below a folder, made by mmdebstrap, and a server that runs there as on a machine.

Commands run in namespaces of their own, without any network but a loopback of their own. The
server is confined as ``packaging/systemd/zajil.service`` does it, by the same means of the kernel:
its user, one capability, a read-only file system, no new privileges, only its own processes in
``/proc``. Needs root.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kit.foreign import need_program

_NEEDED = "ca-certificates,python3,libstdc++6,zlib1g,systemd-standalone-sysusers"
"""The dependencies of our package, so that it is installed without a network."""


@dataclass(frozen=True, slots=True)
class FreshRoot:
    """A system that is changed by commands."""

    folder: Path

    def run(self, *command: str, status: int = 0, has_network: bool = False) -> str:
        """Run a command as root, without a network unless it needs ours; return what it prints."""
        setup = 'mount -t proc proc "$0/proc"; exec chroot "$0" "$@"'
        return self._unshared(setup, *command, status=status, has_network=has_network)

    def run_confined(self, script: str, *arguments: str, low_ports: bool = False) -> str:
        """Run a script of Python as root beside a read-only system; return what it prints.

        Only /var/lib/zajil, /run/zajil and /tmp can be written.

        Args:
            script: its text.
            arguments: of the script.
            low_ports: every user may listen on ports below 1024, as in a container.
        """
        (self.folder / "tmp" / "script.py").write_text(script, "utf-8")
        setup = """
            set -e
            ip link set lo up
            LOW_PORTS
            mount --bind "$0" "$0"
            mount --bind "$0/var/lib/zajil" "$0/var/lib/zajil"
            mount -o remount,bind,ro "$0"
            mount -t tmpfs tmpfs "$0/run"
            mount --bind "$0/tmp" "$0/tmp"
            mount -o remount,bind,rw "$0/tmp"
            mount -t proc -o subset=pid,hidepid=invisible proc "$0/proc"
            install -d -o 0 -g 0 "$0/run/zajil"
            exec chroot "$0" /usr/bin/python3 /tmp/script.py "$@"
        """
        allow = "echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start" if low_ports else ""
        return self._unshared(setup.replace("LOW_PORTS", allow), *arguments)

    def _unshared(
        self, setup: str, *arguments: str, status: int = 0, has_network: bool = False
    ) -> str:
        """Run a shell script in new namespaces; its ``$0`` is the folder of the system."""
        unshare = [need_program("unshare"), "--mount", "--pid", "--ipc"]
        unshare += [] if has_network else ["--net"]
        done = subprocess.run(
            [*unshare, "--fork", "--kill-child", "sh", "-c", setup, str(self.folder), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def files(self, folder: str) -> list[str]:
        """Return the names below a folder of the system; empty if it does not exist."""
        place = self.folder / folder.lstrip("/")
        return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND": "noninteractive",
    "LC_ALL": "C.UTF-8",
}


def make_fresh_root(folder: Path, suite: str, packages: str = _NEEDED) -> FreshRoot:
    """Make a minimal Debian of a release with packages: those that ours depends on."""
    command = [need_program("mmdebstrap"), "--quiet", "--mode=root", "--variant=minbase"]
    command += [f"--include={packages}", suite, str(folder)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, env=dict(os.environ))
    return FreshRoot(folder)
