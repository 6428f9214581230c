"""The container image: what its configuration says, and that it serves as a container would.

A container cannot be started everywhere where tests run, so the image is unpacked and runs in
namespaces: with its user, a read-only root, a volume, and no capability at all.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kit.foreign import need_program
from kit.fresh_root import FreshRoot

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.interop,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.timeout(1500),
]

_SERVE_AND_SEND = (Path(__file__).parent / "serve_and_send.py").read_text("utf-8")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image, unpacked: ``config.json`` and the folder ``root``."""
    for name in ("buildah", "mmdebstrap", "dpkg-buildpackage"):
        need_program(name)
    folder = tmp_path_factory.mktemp("image")
    done = subprocess.run(
        [str(ROOT / "packaging" / "build-oci"), str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    archive = Path(done.stdout.strip().splitlines()[-1])
    with tarfile.open(archive) as packed:

        def blob(digest: str) -> Any:
            return packed.extractfile(f"blobs/{digest.replace(':', '/')}")

        index = json.load(packed.extractfile("index.json"))  # type: ignore[arg-type]
        manifest = json.load(blob(index["manifests"][0]["digest"]))
        (folder / "config.json").write_bytes(blob(manifest["config"]["digest"]).read())
        (folder / "root").mkdir()
        for layer in manifest["layers"]:
            unpack = ["tar", "-xz", "--numeric-owner", "-C", str(folder / "root")]
            subprocess.run(unpack, input=blob(layer["digest"]).read(), check=True)
    return folder


def test_the_configuration(image: Path) -> None:
    config = json.loads((image / "config.json").read_text())["config"]
    assert config["User"] == "940:940"
    assert config["Entrypoint"] == ["/usr/bin/zajil"]
    assert config["Cmd"] == ["serve"]
    assert config["StopSignal"] == "SIGTERM"
    assert list(config["Volumes"]) == ["/var/lib/zajil"]
    assert "ZAJIL_CONFIG=/var/lib/zajil/zajil.toml" in config["Env"]
    assert {"25/tcp", "443/tcp", "993/tcp"} <= set(config["ExposedPorts"])


def test_it_serves_without_any_privilege(image: Path) -> None:
    root = FreshRoot(image / "root")
    user = ["setpriv", "--reuid=940", "--regid=940", "--clear-groups", "--no-new-privs"]
    user += ["--bounding-set=-all", "env", "ZAJIL_CONFIG=/var/lib/zajil/zajil.toml"]
    (root.folder / "password").write_text("correct horse battery staple\n")
    arguments = ["y.test", "--dir", "/var/lib/zajil", "--admin", "b@y.test"]
    root.run(*user, "zajil", "setup", *arguments, "--password-file", "/password")
    assert "problem" not in root.run(*user, "zajil", "self-check")
    said = root.run_confined(_SERVE_AND_SEND, *user, low_ports=True)
    assert "the mail arrived" in said


def test_nothing_is_left_that_a_server_does_not_need(image: Path) -> None:
    root = image / "root"
    assert not (root / "usr" / "bin" / "apt").exists()
    assert not list((root / "usr" / "share" / "man").rglob("*.gz"))
    assert not (root / "zajil.deb").exists()
    entry = (root / "etc" / "passwd").read_text().splitlines()[-1].split(":")
    assert entry[:4] == ["zajil", "x", "940", "940"]
