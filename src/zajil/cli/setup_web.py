"""``zajil setup --web``: serve the questions of setup to one browser, then end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Generator, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

from zajil.cli.asking import TIMEOUT_SECONDS
from zajil.cli.errors import WrongUsage

if TYPE_CHECKING:
    from zajil.operations.dns_check import CheckedRecord
    from zajil.operations.dns_record import DnsRecord
    from zajil.operations.probe import Probe
    from zajil.operations.setup_plan import SetupPlan

DEFAULT_ADDRESS = "127.0.0.1:8025"


def serve_setup(address: str, more: Sequence[str] = ()) -> None:
    """Print the one-time address and serve it until setup has ended, or an hour has passed.

    Args:
        address: ``ADDRESS:PORT`` to listen on.
        more: further options for the file, as ``KEY=VALUE``.

    Raises:
        WrongUsage: it is none, or nothing can listen there.
    """
    from zajil.net.system import SystemClock, system_random
    from zajil.operations.setup_answers import this_machine
    from zajil.web.setup_app import LIFETIME_MS, SetupPages, SetupTools

    sock = _listen(address)
    host, port = sock.getsockname()[:2]
    ended = asyncio.Event()
    tools = SetupTools(
        machine=this_machine(),
        probe=_probe,
        check=_check,
        clock=SystemClock(),
        random=system_random,
        end=ended.set,
    )
    pages = SetupPages(tools, more)
    shown = f"[{host}]" if ":" in host else host
    print(
        f"Open this address in a browser; it works once, and for an hour:\n\n"
        f"  http://{shown}:{port}/start/{pages.token}\n"
    )
    if ip_address(host).is_loopback:
        print(
            "From another computer, first connect the port by SSH:\n\n"
            f"  ssh -L {port}:{shown}:{port} USER@THIS-MACHINE\n"
        )
    else:
        print("Warning: the pages are not encrypted; use this address in a network you trust.\n")
    sys.stdout.flush()
    names = [host, "localhost", "127.0.0.1", "[::1]"] if ip_address(host).is_loopback else ["*"]
    asyncio.run(_run(pages.application(names), sock, ended, LIFETIME_MS / 1000))


async def _run(
    application: object, sock: socket.socket, ended: asyncio.Event, seconds: float
) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            """Leave Ctrl+C to the command."""
            yield

    config = uvicorn.Config(
        application,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()
    server.should_exit = True
    await task


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        family = socket.AF_INET6 if ip_address(host.strip("[]")).version == 6 else socket.AF_INET
        return socket.create_server((host.strip("[]"), int(port)), family=family)
    except ValueError:
        raise WrongUsage(f"--web {address}: use ADDRESS:PORT, like {DEFAULT_ADDRESS}") from None
    except OSError as error:
        raise WrongUsage(f"--web {address}: {error.strerror}") from None


async def _probe(plan: SetupPlan) -> Sequence[Probe]:
    from zajil.cli.setup_dialog import probe_plan

    return await asyncio.to_thread(probe_plan, plan)


async def _check(records: Sequence[DnsRecord]) -> Sequence[CheckedRecord]:
    from zajil.cli.asking import run_with_resolver
    from zajil.operations.dns_check import check_dns

    return await asyncio.to_thread(
        run_with_resolver, lambda resolve: check_dns(records, resolve), None, TIMEOUT_SECONDS
    )
