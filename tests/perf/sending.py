"""Start load generators at the same time, and add up their results."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from kit.foreign import need_program
from plan import Plan, Sent

_DEADLINE_SECONDS = 300.0
_GENERATOR = (sys.executable, str(Path(__file__).parent / "generator.py"))


class SendingFailed(Exception):
    """A generator did not get its 250s."""


def send(plan: Plan, address: str, processes: int = 1) -> Sent:
    """Send a plan with our own generator, in processes of its own.

    Raises:
        SendingFailed: one of them ended with an error.
    """
    return send_to_all(plan, [address] * processes)


def send_to_all(
    plan: Plan, addresses: Sequence[str], begin: Callable[[], object] = lambda: None
) -> Sent:
    """Send equal parts of a plan to servers at the same time, by a generator for each.

    Args:
        plan: what all of them send together.
        addresses: of the servers.
        begin: called when the generators have started, which takes CPU, and before they send.

    Raises:
        SendingFailed: one of them ended with an error.
    """
    running: list[subprocess.Popen[str]] = []
    processes = len(addresses)
    with ExitStack() as stack:
        for number, address in enumerate(addresses):
            share = replace(
                plan,
                mails=_share(plan.mails, processes, number),
                sessions=_share(plan.sessions, processes, number),
            )
            generator = subprocess.Popen(
                [*_GENERATOR, *_options(share), "--wait", address],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(_end, generator)
            running.append(generator)
        for generator in running:
            if generator.stdout is None or generator.stdout.readline() != "ready\n":
                raise SendingFailed(f"a load generator cannot begin at one of {addresses}")
        begin()
        for generator in running:
            if generator.stdin is not None:
                generator.stdin.write("go\n")
                generator.stdin.flush()
        return _join([_result(generator) for generator in running])


def send_by_smtp_source(plan: Plan, address: str) -> Sent:
    """Send a plan with Postfix's smtp-source: plain text only.

    Raises:
        SendingFailed: it ended with an error, as it does at the first refusal.
    """
    command = [need_program("smtp-source"), "-4", "-M", "client.x.test"]
    command += ["-s", str(plan.sessions), "-m", str(plan.mails), "-l", str(plan.size)]
    command += [
        "-f",
        plan.sender,
        "-t",
        plan.recipient,
        *(["-d"] if not plan.per_connection else []),
    ]
    cpu, begin = _children_cpu(), time.monotonic()
    if subprocess.run([*command, address], timeout=_DEADLINE_SECONDS).returncode:
        raise SendingFailed(f"smtp-source failed at {address}")
    end, cpu = time.monotonic(), _children_cpu() - cpu
    connections = plan.mails if plan.per_connection else plan.sessions
    return Sent(plan.mails, begin, end, cpu * 1e6, connections, 0, [])


def _share(whole: int, parts: int, number: int) -> int:
    return whole // parts + (number < whole % parts)


def _options(plan: Plan) -> list[str]:
    options = []
    for name, value in asdict(plan).items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            options += [option] if value else []
        else:
            options += [option, str(value)]
    return options


def _result(generator: subprocess.Popen[str]) -> Sent:
    output, _ = generator.communicate(timeout=_DEADLINE_SECONDS)
    if generator.returncode:
        raise SendingFailed(f"the load generator ended with status {generator.returncode}")
    return Sent(**json.loads(output))


def _join(results: list[Sent]) -> Sent:
    return Sent(
        mails=sum(one.mails for one in results),
        begin=min(one.begin for one in results),
        end=max(one.end for one in results),
        cpu_us=sum(one.cpu_us for one in results),
        connections=sum(one.connections for one in results),
        resumed=sum(one.resumed for one in results),
        milliseconds=[max(part) for part in zip(*(o.milliseconds for o in results), strict=True)],
    )


def _end(generator: subprocess.Popen[str]) -> None:
    if generator.poll() is None:
        generator.kill()
    generator.communicate()


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
