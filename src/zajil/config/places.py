"""Where a server is kept that was installed by the package of the system."""

from __future__ import annotations

import sys
from pathlib import Path

CONFIGURATION_FOLDER = Path("/etc/zajil")
CONFIGURATION_FILE = CONFIGURATION_FOLDER / "zajil.toml"
DATA_FOLDER = Path("/var/lib/zajil")
USER = "zajil"
"""Made by the package; the units of systemd name it, too."""

_PREFIX = Path("/usr/lib/zajil")


def is_system_package() -> bool:
    """Check whether this program was installed by the package, not by pip."""
    return Path(sys.prefix) == _PREFIX


def has_systemd() -> bool:
    """Check whether systemd runs this machine (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()
