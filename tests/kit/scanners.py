"""The real scanners, private to a test run: clamd and Rspamd of the system, without a network."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""The file that every scanner knows and that does nothing."""
MADE_WORD = b"zajil-made-up-malware-for-tests"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
"""The line that every spam filter knows."""


def find_program(name: str) -> str | None:
    """Return the path of a daemon; they stand where only root's PATH looks."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")


@contextmanager
def running_clamd(folder: Path, max_size: int) -> Iterator[str]:
    """Run clamd with a database of two signatures of our own; gives its Unix socket."""
    database = folder / "db"
    database.mkdir()
    database.joinpath("made.hdb").write_text("44d88612fea8a8f36de82e1278abb02f:68:Zajil.Eicar\n")
    database.joinpath("made.ndb").write_text(f"Zajil.Made:0:*:{MADE_WORD.hex()}\n")
    path = folder / "clamd.sock"
    config = folder / "clamd.conf"
    config.write_text(
        f"Foreground yes\nLocalSocket {path}\nDatabaseDirectory {database}\n"
        f"TemporaryDirectory {folder}\nStreamMaxLength {max_size}\nLogFile {folder}/log\n"
        "OfficialDatabaseOnly no\n"
    )
    program = find_program("clamd") or "clamd"
    with _running([program, "-c", str(config)], folder):
        _wait(lambda: _answers(path))
        yield f"unix:{path}"


@contextmanager
def running_rspamd(folder: Path) -> Iterator[str]:
    """Run Rspamd's normal worker with no module that asks anybody; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder.chmod(0o777)
    # Its list of all top level domains takes it ten seconds to read.
    folder.joinpath("tld").write_text("example\ntest\n")
    config = folder / "rspamd.conf"
    config.write_text(
        f'options {{ url_tld = "{folder}/tld"; disable_hyperscan = true;\n'
        f'  pidfile = "{folder}/pid"; tempdir = "{folder}"; filters = "";\n'
        f'  control_socket = "{folder}/control mode=0600"; cache_file = "{folder}/cache";\n'
        f'  hs_cache_dir = "{folder}"; history_file = "{folder}/history";\n'
        '  dns { nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; } }\n'
        f'logging {{ type = "file"; filename = "{folder}/log"; level = "notice"; }}\n'
        "actions { reject = 15; add_header = 6; }\n"
        f'worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}\n'
    )
    program = find_program("rspamd") or "rspamd"
    with _running([program, "-f", "-i", "-c", str(config)], folder):
        _wait(lambda: _answers(("127.0.0.1", port)))
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[None]:
    with folder.joinpath("output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(address: Path | tuple[str, int]) -> bool:
    with suppress(OSError):
        if isinstance(address, Path):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(address))
                return True
        with socket.create_connection(address, 1):
            return True
    return False


def _wait(is_ready: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_ready():
        if time.monotonic() > deadline:
            raise TimeoutError("the scanner does not answer")
        time.sleep(0.02)
