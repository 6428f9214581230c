"""Each domain gets an address of its own, and all share a port."""

from __future__ import annotations

import random
import socket
from ipaddress import IPv4Address

import pytest

from zajil.lab.addresses import LOOPBACK, NoFreePort, choose_places, own_addresses


def test_one_port_on_all_addresses() -> None:
    addresses = own_addresses(3)
    if addresses is None:
        pytest.skip("this system has only 127.0.0.1")
    places = choose_places(addresses, 3, random.Random(1).randrange)
    assert [str(place.address) for place in places] == ["127.1.0.1", "127.1.0.2", "127.1.0.3"]
    assert len({place.smtp_port for place in places}) == 1


def test_a_port_each_where_only_one_address_exists() -> None:
    places = choose_places(None, 3, random.Random(2).randrange)
    assert {place.address for place in places} == {LOOPBACK}
    assert len({place.smtp_port for place in places}) == 3


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        (place,) = choose_places([LOOPBACK], 1, random.Random(3).randrange)
        assert place.smtp_port != taken.getsockname()[1]


def test_no_free_port_is_said() -> None:
    with pytest.raises(NoFreePort, match=r"192\.0\.2\.1"):
        choose_places([IPv4Address("192.0.2.1")], 1, random.Random(4).randrange)
