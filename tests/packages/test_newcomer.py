"""Every command of ``docs/run/start.md`` in a fresh system, with DNS, ACME and another server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kit.foreign import need_program
from kit.fresh_root import make_fresh_root

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.interop,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.timeout(1500),
]


def test_the_page_leads_to_a_trusted_mail_domain(tmp_path: Path) -> None:
    """HTTPS with a valid certificate, all DNS records, and mail that passes DMARC elsewhere."""
    for program in ("named", "unbound", "pebble", "unshare"):
        need_program(program)
    suite = re.findall(r"VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text())[0]
    root = make_fresh_root(tmp_path / "root", suite)
    build = [str(ROOT / "packaging" / "build-deb"), str(tmp_path / "package")]
    built = subprocess.run(build, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-4000:]
    (root.folder / "zajil.deb").write_bytes(Path(built.stdout.strip()).read_bytes())
    root.run("dpkg", "--install", "/zajil.deb")
    (tmp_path / "world").mkdir()
    follow = [sys.executable, str(Path(__file__).with_name("newcomer.py")), str(root.folder)]
    follow += ["start", str(tmp_path / "world")]
    script = 'mount -t proc proc "$0/proc"; exec "$@"'
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
    done = subprocess.run(
        [*unshare, "sh", "-c", script, str(root.folder), *follow],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'src'}"},
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    assert "All records are right." in done.stdout
    found = done.stdout.partition("The other server found:")[2].splitlines()[0]
    for result in ("iprev=pass", "spf=pass", "dkim=pass", "dmarc=pass"):
        assert result in found, found
    assert "HTTPS with a valid certificate" in done.stdout
