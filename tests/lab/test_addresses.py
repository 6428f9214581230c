"""A lab has a block of ports of its own, and an address for each domain."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address

import pytest

from zajil.lab.addresses import LOOPBACK, NoFreePort, PortBlock, own_addresses

Reserve = Callable[..., PortBlock]


@pytest.fixture
def reserve() -> Iterator[Reserve]:
    """Reserve a block as ``PortBlock`` does; all are freed at the end."""
    with ExitStack() as stack:

        def make(addresses: list[IPv4Address] | None, count: int, *kept: int | None) -> PortBlock:
            block = PortBlock(addresses, count, random.randrange, *kept)
            stack.callback(block.close)
            return block

        yield make


def test_one_port_on_all_addresses(reserve: Reserve) -> None:
    addresses = own_addresses(3)
    if addresses is None:
        pytest.skip("this system has only 127.0.0.1")
    places = reserve(list(addresses), 3).places
    assert [str(place.address) for place in places] == ["127.1.0.1", "127.1.0.2", "127.1.0.3"]
    for name in places[0].ports:
        # The pages of all domains are on 127.0.0.1.
        assert len({place.ports[name] for place in places}) == (3 if name == "web" else 1)


def test_ports_of_their_own_where_only_one_address_exists(reserve: Reserve) -> None:
    block = reserve(None, 3)
    assert {place.address for place in block.places} == {LOOPBACK}
    ports = [port for place in block.places for port in place.ports.values()]
    assert len({*ports, block.dns, block.page, block.first}) == len(ports) + 3


def test_two_labs_share_no_port(reserve: Reserve) -> None:
    first = reserve([LOOPBACK], 1)
    assert reserve([LOOPBACK], 1, first.first).first != first.first


def test_the_block_of_an_earlier_start_is_taken_again(reserve: Reserve) -> None:
    first = reserve([LOOPBACK], 1)
    first.close()
    assert reserve([LOOPBACK], 1, first.first).first == first.first


@pytest.mark.parametrize("kept", [0, 80, 20_050, 70_000, None])
def test_a_block_that_is_none_is_passed_over(kept: int | None, reserve: Reserve) -> None:
    assert reserve([LOOPBACK], 1, kept).first in range(20_000, 32_000, 100)


def test_a_block_with_a_taken_port_is_passed_over(reserve: Reserve) -> None:
    block = reserve([LOOPBACK], 1)
    block.close()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", block.places[0].smtp_port))
        taken.listen(1)
        assert reserve([LOOPBACK], 1, block.first).first != block.first


def test_no_free_port_is_said(reserve: Reserve) -> None:
    with pytest.raises(NoFreePort, match=r"192\.0\.2\.1"):
        reserve([IPv4Address("192.0.2.1")], 1)
