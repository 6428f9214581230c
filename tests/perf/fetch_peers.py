"""Fetch the optional peers of the benchmark into a folder: ``fetch_peers.py FOLDER``.

Exim and OpenSMTPD are Debian's packages, unpacked and not installed; Haraka comes from npm.
Nothing is changed outside the folder.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

_PACKAGES = {"exim4": "exim4-daemon-light", "opensmtpd": "opensmtpd"}
_HARAKA = "Haraka@3.3.4"


def main(arguments: list[str]) -> int:
    """Fetch all of them; give the exit status."""
    if len(arguments) != 1:
        print("usage: fetch_peers.py FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, package in _PACKAGES.items():
        with tempfile.TemporaryDirectory(prefix="zajil-fetch-") as place:
            # Its own user may not write into our folder; the archive is checked either way.
            download = ["apt-get", "-o", "APT::Sandbox::User=root", "download", package]
            subprocess.run(download, cwd=place, check=True)
            (archive,) = Path(place).glob("*.deb")
            subprocess.run(["dpkg", "-x", str(archive), str(folder / name)], check=True)
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder / "haraka")]
    subprocess.run([*install, _HARAKA], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
