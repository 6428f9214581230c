"""Probes of the machine itself: disk, memory, ports, clock."""

from __future__ import annotations

import ctypes
import http.client
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from zajil.message.date import parse_date
from zajil.net.port_owner import can_listen, is_taken, program_on
from zajil.operations.probe import Probe
from zajil.tracking.check_names import mark

_MIB = 2**20
_FEW_SPACE = 1024 * _MIB
_LOW_SPACE = 5 * 1024 * _MIB
_FEW_MEMORY = 400 * _MIB
_LOW_MEMORY = 900 * _MIB
"""Two workers, the database's cache and a mail being checked take about 300 MiB."""
_SYNCS = 20
_UNREAL_SECONDS = 0.000_020
"""No disk writes a block in 20 microseconds, power-loss protection or not; memory does in two."""
_SLOW_SECONDS = 0.05
_IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs")
_ON_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "virtiofs", "glusterfs", "ceph")
_CLOCK_SECONDS = 60.0

DISK, SPACE, MEMORY = mark("Disk"), mark("Free space"), mark("Memory")
PORTS, CLOCK = mark("Ports"), mark("Clock")


def probe_disk(folder: Path) -> Probe:
    """Write to the disk of a folder and measure how long it takes until the data is safe.

    Args:
        folder: exists; a file is made in it and removed.
    """
    kind, options = _file_system(folder)
    facts = {"folder": str(folder), "kind": kind}
    if kind in _IN_MEMORY:
        text = mark("{folder} is in memory ({kind}): all mail would be lost at a restart.")
        return Probe(DISK, "problem", text, facts, mark("Choose a folder on a disk."))
    try:
        seconds = _time_syncs(folder)
    except OSError as error:
        facts["reason"] = error.strerror or str(error)
        text = mark("Cannot write to {folder}: {reason}.")
        advice = mark("Choose a folder on a disk that can be written to.")
        return Probe(DISK, "problem", text, facts, advice)
    facts["time"] = f"{seconds * 1000:.2g} ms"
    if "volatile" in options or seconds < _UNREAL_SECONDS:
        text = mark(
            "The disk of {folder} says after {time} that data is safe, faster than a disk can "
            "be: it does not honour fsync, and mail may be lost when the power fails."
        )
        advice = mark("Turn off the unsafe write cache of the virtual disk or its file system.")
        return Probe(DISK, "warning", text, facts, advice)
    if kind in _ON_NETWORK:
        text = mark("{folder} is on a network file system ({kind}).")
        advice = mark("Use a local disk, or PostgreSQL: SQLite may be damaged there.")
        return Probe(DISK, "warning", text, facts, advice)
    if seconds > _SLOW_SECONDS:
        text = mark("The disk of {folder} needs {time} until data is safe (fsync).")
        advice = mark("Mail works, but slowly; a faster disk helps.")
        return Probe(DISK, "warning", text, facts, advice)
    return Probe(DISK, "ok", mark("Data is safe on disk after {time} (fsync)."), facts)


def probe_space(folder: Path, reserve: int) -> Probe:
    """Compare the free space with what mail needs.

    Args:
        folder: on the disk.
        reserve: bytes, ``store.free_space_reserve``; below it no mail is accepted.
    """
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    facts = {"free": _spell(free), "folder": str(folder)}
    text = mark("{free} are free on the disk of {folder}.")
    if free < reserve + _FEW_SPACE:
        advice = mark("Mail is refused when the disk is nearly full: make room first.")
        return Probe(SPACE, "problem" if free < reserve else "warning", text, facts, advice)
    if free < _LOW_SPACE:
        return Probe(SPACE, "warning", text, facts, mark("This is little for mail of some users."))
    return Probe(SPACE, "ok", text, facts)


def probe_memory(table: Path = Path("/proc/meminfo")) -> Probe:
    """Compare the memory of the machine with what the server needs."""
    try:
        rows = (line.split() for line in table.read_text("ascii").splitlines())
        sizes = {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) > 1}
        total, free = sizes["MemTotal"], sizes["MemAvailable"]
    except (OSError, ValueError, KeyError):
        return Probe(MEMORY, "skipped", mark("The memory of this machine could not be read."))
    facts = {"total": _spell(total), "free": _spell(free)}
    text = mark("{free} of {total} memory are available.")
    if free < _FEW_MEMORY or total < _LOW_MEMORY:
        advice = mark("The server needs about 300 MiB; set server.workers = 1 or add memory.")
        return Probe(MEMORY, "warning", text, facts, advice)
    return Probe(MEMORY, "ok", text, facts)


def probe_ports(addresses: Iterable[str]) -> list[Probe]:
    """Try to listen on each address.

    Args:
        addresses: ``ADDRESS:PORT``, as in ``[listen]``.

    Returns:
        One finding for each address that cannot be used; one ``ok`` where all can.
    """
    found: list[Probe] = []
    for listener in addresses:
        host, _, port = listener.rpartition(":")
        error = can_listen(host.strip("[]"), int(port))
        if error is not None:
            found.append(_explain(error, listener, int(port)))
    return found or [Probe(PORTS, "ok", mark("All ports are free."))]


def _explain(error: OSError, listener: str, port: int) -> Probe:
    facts = {"address": listener, "port": str(port)}
    if is_taken(error):
        facts["program"] = program_on(port) or "?"
        text = mark("Port {port} is in use by another program: {program}.")
        advice = mark("Stop and disable that program: two programs cannot share the port.")
        return Probe(PORTS, "problem", text, facts, advice)
    if isinstance(error, PermissionError):
        text = mark("This user may not listen on {address}.")
        advice = mark("Start the server as root with server.user, or by the systemd unit.")
        return Probe(PORTS, "warning", text, facts, advice)
    facts["reason"] = error.strerror or str(error)
    text = mark("Nothing can listen on {address}: {reason}.")
    advice = mark("Correct the address in [listen].")
    return Probe(PORTS, "problem", text, facts, advice)


def probe_clock(date_url: str | None) -> Probe:
    """Ask the kernel whether the clock is synchronized, and else a web server for the date.

    Args:
        date_url: ``http://`` address whose Date field is compared; ``None``: none is asked.
    """
    if _is_synchronized():
        return Probe(CLOCK, "ok", mark("The clock is synchronized."))
    advice = mark("Turn on time synchronization (systemd-timesyncd or chrony).")
    seconds = None if date_url is None else _clock_error(date_url)
    if seconds is None:
        text = mark("It is not known whether the clock is right.")
        return Probe(CLOCK, "warning", text, {}, advice)
    facts = {"seconds": f"{abs(seconds):.0f}"}
    if abs(seconds) > _CLOCK_SECONDS:
        text = mark("The clock is wrong by {seconds} seconds: certificates and signatures fail.")
        return Probe(CLOCK, "problem", text, facts, advice)
    text = mark("The clock is right now, but nothing keeps it synchronized.")
    return Probe(CLOCK, "ok", text, facts)


def _spell(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / _MIB:.0f} MiB"


def _file_system(folder: Path) -> tuple[str, Sequence[str]]:
    """Return the kind and the options of the file system of a folder (proc_pid_mountinfo(5))."""
    best = ""
    found: tuple[str, Sequence[str]] = ("?", ())
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
        path = str(folder.resolve())
    except OSError:
        return found
    for line in lines:
        left, _, right = line.partition(" - ")
        point = left.split()[4].replace("\\040", " ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            kind, _, options = right.split(maxsplit=2)
            best, found = point, (kind, options.split(","))
    return found


def _time_syncs(folder: Path) -> float:
    """Return the median time of a write of one block that is on disk afterwards."""
    block, times = os.urandom(4096), []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_SYNCS):
            begun = time.perf_counter()
            os.write(file.fileno(), block)
            os.fsync(file.fileno())
            times.append(time.perf_counter() - begun)
    return statistics.median(times)


_TIMEX_BYTES = 512
_TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronized."""


def _is_synchronized() -> bool:
    try:
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return False
    return 0 <= state != _TIME_ERROR


def _clock_error(url: str) -> float | None:
    """Return by how many seconds the clock is ahead of a web server's; ``None``: no answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=5)
    try:
        connection.request("HEAD", parts.path or "/")
        at_ms = parse_date(connection.getresponse().getheader("Date") or "")
        return None if at_ms is None else time.time() - at_ms / 1000
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
