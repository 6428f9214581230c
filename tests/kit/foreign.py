"""Programs we did not write, as tests use them: found, or the test is skipped and says so."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

PACKAGES = {
    "apt-get": "apt",
    "bash": "bash",
    "buildah": "buildah",
    "caddy": "caddy",
    "chromium": "chromium",
    "curl": "curl",
    "dovecot": "dovecot-core",
    "dpkg": "dpkg",
    "dpkg-buildpackage": "dpkg-dev",
    "fetchmail": "fetchmail",
    "firefox-esr": "firefox-esr",
    "fish": "fish",
    "glewlwyd": "glewlwyd",
    "haproxy": "haproxy",
    "interimap": "interimap",
    "lintian": "lintian",
    "logrotate": "logrotate",
    "man": "man-db",
    "mandoc": "mandoc",
    "mbsync": "isync",
    "mmdebstrap": "mmdebstrap",
    "mpop": "mpop",
    "msmtp": "msmtp",
    "named": "bind9",
    "named-checkzone": "bind9-utils",
    "neomutt": "neomutt",
    "nginx": "nginx-light",
    "node": "nodejs",
    "npm": "npm",
    "opendkim": "opendkim",
    "pdns_server": "pdns-server",
    "pebble": "pebble",
    "pgbouncer": "pgbouncer",
    "postconf": "postfix",
    "postfix": "postfix",
    "readpst": "pst-utils",
    "rspamd": "rspamd",
    "slapadd": "slapd",
    "slapd": "slapd",
    "smtp-sink": "postfix",
    "smtp-source": "postfix",
    "strace": "strace",
    "swaks": "swaks",
    "swift-proxy-server": "swift-proxy",
    "swift-account-server": "swift-account",
    "swift-container-server": "swift-container",
    "swift-object-server": "swift-object",
    "systemd-analyze": "systemd",
    "systemd-socket-activate": "systemd",
    "unbound": "unbound",
    "unshare": "util-linux",
    "zsh": "zsh",
}
"""Debian's package of each program."""

NODE_PACKAGES = Path(__file__).parents[1] / "interop" / "npm"
"""The packages that are driven under Node: pinned versions."""

_REASON = re.compile(r"needs (\S+) \((apt-get install |)([^()]+)\)")


def find_program(name: str) -> Path | None:
    """Return the program's path; servers' programs lie in ``sbin``, which not every PATH has."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    return Path(found) if found else None


def need_program(name: str) -> str:
    """Return the program's path, or skip the test that calls."""
    found = find_program(name)
    if found is None:
        pytest.skip(f"needs {name} (apt-get install {PACKAGES[name]})")
    return str(found)


def need_swaks_with_tls() -> str:
    """Return the path of a swaks that can speak TLS, or skip the test that calls."""
    swaks = need_program("swaks")
    support = subprocess.run([swaks, "--support"], capture_output=True, text=True).stdout
    if "TLS supported" not in support:
        pytest.skip("needs Net::SSLeay (apt-get install libnet-ssleay-perl)")
    return swaks


def need_msmtp_with_scram() -> None:
    """Skip the test that calls where msmtp is not there, or knows no SCRAM-SHA-256."""
    version = subprocess.run([need_program("msmtp"), "--version"], capture_output=True, text=True)
    if "scram-sha-256" not in version.stdout.lower():
        pytest.skip("needs msmtp with GNU SASL (apt-get install msmtp)")


def need_node_packages() -> tuple[str, Path]:
    """Return node and the folder of its packages, or skip the test that calls.

    What ``package-lock.json`` pins is installed from the npm registry beside it, once.
    """
    node, npm = need_program("node"), need_program("npm")
    lock = NODE_PACKAGES / "package-lock.json"
    modules = NODE_PACKAGES / "node_modules"
    stamp = modules / ".installed"
    with (NODE_PACKAGES / "package.json").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
            return node, modules
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=NODE_PACKAGES, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"needs its packages (npm ci in {NODE_PACKAGES}): {done.stderr[-300:]}")
        stamp.write_bytes(lock.read_bytes())
    return node, modules


def missing_line(skip_reasons: Iterable[str]) -> str | None:
    """Return one line with the missing programs; ``None``: none."""
    matches = [match for reason in skip_reasons if (match := _REASON.search(reason))]
    if not matches:
        return None
    count = Counter(match[1] for match in matches)
    programs = ", ".join(f"{name} ({number} tests)" for name, number in sorted(count.items()))
    packages = " ".join(sorted({match[3] for match in matches if match[2]}))
    others = sorted({match[3] for match in matches if not match[2]})
    commands = "; ".join(([f"apt-get install {packages}"] if packages else []) + others)
    return f"skipped for want of {programs}; to run them: {commands}"
