"""bind(): a socket, or one clear sentence."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, suppress

import pytest

from zajil.net.listener import BindFailed, bind
from zajil.net.listener_set import bind_shared
from zajil.net.peer import make_peer, split_host_port
from zajil.net.system import SystemClock, system_random


def test_bind_and_in_use() -> None:
    with bind("127.0.0.1:0") as sock:
        address = f"127.0.0.1:{sock.getsockname()[1]}"
        assert not sock.getblocking()
        with pytest.raises(BindFailed, match="in use") as caught:
            bind(address)
    assert str(caught.value).startswith(f"cannot listen on {address}: ")


def test_not_an_address_of_this_machine() -> None:
    with pytest.raises(BindFailed, match="not an address of this machine"):
        bind("192.0.2.1:0")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "name.test:0"])
def test_not_an_address(address: str) -> None:
    with pytest.raises(BindFailed):
        bind(address)


def test_peers() -> None:
    peer = make_peer(("192.0.2.1", 4711), ("192.0.2.25", 25))
    assert (str(peer), peer.local) == ("192.0.2.1:4711", "192.0.2.25:25")
    peer = make_peer(("2001:db8::1", 4711, 0, 0), ("::1", 25, 0, 0))
    assert (str(peer), peer.local) == ("[2001:db8::1]:4711", "[::1]:25")
    assert str(make_peer(("::ffff:192.0.2.1", 1, 0, 0), ("::1", 2)).address) == "192.0.2.1"
    assert split_host_port("[::1]:25") == ("::1", 25)


def test_system() -> None:
    assert SystemClock().now_ms() > 1_700_000_000_000
    assert len(system_random(8)) == 8


def test_workers_share_an_address_and_nobody_else_does() -> None:
    """A second server, started by mistake, must hear that the port is taken."""
    shared = bind_shared("127.0.0.1:0", 3)
    try:
        addresses = {sock.getsockname() for sock in shared}
        assert len(addresses) == 1
        (address,) = addresses
        with pytest.raises(BindFailed, match="in use"):
            bind_shared(f"{address[0]}:{address[1]}", 3)
        served = 0
        with ExitStack() as stack:
            for _ in range(30):
                stack.enter_context(socket.create_connection(address))
            for sock in shared:
                sock.settimeout(0.2)
                with suppress(TimeoutError):
                    while True:
                        sock.accept()[0].close()
                        served += 1
        assert served == 30
    finally:
        for sock in shared:
            sock.close()


def test_answers_in_two_writes_do_not_wait_for_an_acknowledgment() -> None:
    """With Nagle's algorithm the second write would wait up to 40 ms."""

    async def run() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sock = writer.get_extra_info("socket")
            found.set_result(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = bind("127.0.0.1:0")
        async with await asyncio.start_server(accepted, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            writer.close()
            return await found

    assert asyncio.run(run()) != 0
