"""Which way the mail of a domain takes: tables of routes, and the smarthost as default."""

from __future__ import annotations

import pytest

from zajil.config.options import DeliverOptions
from zajil.config.options_smarthost import SmarthostOptions
from zajil.route.transport import Relay, Transports

SMARTHOST = SmarthostOptions(host="smtp.provider.test", login="me", password="secret")
ROUTES = {
    "a.test": "direct",
    ".a.test": "10.0.0.1",
    "b.a.test": "smarthost",
    ".deep.a.test": "[2001:db8::1]:26",
}


def transports(smarthost: SmarthostOptions = SMARTHOST) -> Transports:
    return Transports(smarthost, DeliverOptions(routes=ROUTES, port=2525))


@pytest.mark.parametrize(
    ("domain", "relay"),
    [
        ("a.test", None),
        ("A.Test", None),
        ("b.a.test", "smtp.provider.test:587"),
        ("c.b.a.test", "10.0.0.1:2525"),
        ("x.deep.a.test", "[2001:db8::1]:26"),
        ("deep.a.test", "10.0.0.1:2525"),
        ("aa.test", "smtp.provider.test:587"),
        ("test", "smtp.provider.test:587"),
        ("[192.0.2.1]", "smtp.provider.test:587"),
    ],
)
def test_the_most_exact_route_decides(domain: str, relay: str | None) -> None:
    found = transports().find(domain)
    assert (found and str(found)) == relay


def test_without_a_smarthost_mail_goes_to_the_servers_of_its_domain() -> None:
    routes = Transports(SmarthostOptions(), DeliverOptions())
    assert routes.find("a.test") is None
    assert routes.hop("a.test") == "a.test"


def test_domains_of_one_relay_share_a_hop_and_mailboxes_of_ours_have_none() -> None:
    routes = transports()
    assert routes.hop("x.test") == routes.hop("y.test") == routes.hop("[192.0.2.1]")
    assert routes.hop("a.test") == "a.test"
    assert routes.hop("c.a.test") not in (routes.hop("x.test"), "c.a.test")
    assert routes.hop("") == ""


def test_no_text_of_a_relay_shows_the_password() -> None:
    relay = transports().find("x.test")
    assert isinstance(relay, Relay)
    assert relay.password == "secret"
    assert "secret" not in f"{relay} {relay!r}"
