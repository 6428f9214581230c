"""DNS records are written into real name servers: BIND by RFC 2136, PowerDNS by dns-lexicon."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from kit.name_servers import SIGNING, WritableZone, bind_with, power_dns
from zajil.config.options_acme import DnsProviderOptions
from zajil.config.options_server import DnsOptions
from zajil.dns.flow import Answer, Question, run_flow
from zajil.net.system import SystemClock
from zajil.resolver.client import Resolver
from zajil.resolver.provider import find_zone, open_provider
from zajil.resolver.zone_access import BadProvider, Provider, ProviderFailed, ZoneRecord

pytestmark = pytest.mark.interop

_KEY = "v=DKIM1; k=rsa; p=" + "MIIB" * 100
_OWN = ZoneRecord("s1._domainkey.x.test", "TXT", _KEY)


def resolve(zone: WritableZone, question: Question) -> Answer:
    """Ask without a cache."""
    options = DnsOptions(nameservers=(zone.address,), cache_size=0)

    async def ask() -> Answer:
        return await Resolver(options, SystemClock(), os.urandom).resolve(question)

    return asyncio.run(ask())


def write_and_remove(provider: Provider, zone: WritableZone) -> None:
    txt = Question(_OWN.name, "TXT")
    assert provider.list_records("x.test", _OWN.name, "TXT") == []
    provider.change("x.test", [], [_OWN])
    assert resolve(zone, txt).values == (_KEY,)
    found = provider.list_records("x.test", _OWN.name, "TXT")
    assert [(one.name, one.type, one.value) for one in found] == [(_OWN.name, "TXT", _KEY)]

    other = ZoneRecord(_OWN.name, "TXT", "v=other; a word")
    provider.change("x.test", [_OWN], [other])
    assert resolve(zone, txt).values == (other.value,)
    provider.change("x.test", [other], [])
    assert resolve(zone, txt).values == ()

    tlsa = ZoneRecord("_25._tcp.mail.x.test", "TLSA", f"3 1 1 {'ab' * 32}")
    srv = ZoneRecord("_imaps._tcp.x.test", "SRV", "0 1 993 mail.x.test.")
    provider.change("x.test", [], [tlsa, srv])
    assert resolve(zone, Question(tlsa.name, "TLSA")).values == (tlsa.value,)
    assert resolve(zone, Question(srv.name, "SRV")).values == ("0 1 993 mail.x.test",)


def test_bind_takes_dynamic_updates(tmp_path: Path) -> None:
    """RFC 2136, signed with TSIG (RFC 8945)."""
    with bind_with(tmp_path, "x.test", "mail A 127.0.0.1") as zone:
        options = DnsProviderOptions(name="rfc2136", options=zone.options)
        provider = open_provider(options)
        write_and_remove(provider, zone)

        with pytest.raises(ProviderFailed, match=r"refused the request for y\.test: NOTAUTH"):
            provider.change("y.test", [], [ZoneRecord("y.test", "TXT", "x")])
        with pytest.raises(ProviderFailed, match="cannot be written"):
            provider.change("x.test", [], [ZoneRecord("x.test", "A", "not an address")])
        wrong = {**zone.options, "secret": "AAAA" * 8}
        forged = open_provider(DnsProviderOptions(name="rfc2136", options=wrong))
        with pytest.raises(ProviderFailed, match="refused"):
            forged.change("x.test", [], [_OWN])

        async def zone_of(name: str) -> str | None:
            dns = DnsOptions(nameservers=(zone.address,))
            resolver = Resolver(dns, SystemClock(), os.urandom)
            return await run_flow(find_zone(name), resolver.resolve)

        assert asyncio.run(zone_of("_acme-challenge.mail.x.test")) == "x.test"
    with pytest.raises(ProviderFailed, match="does not answer"):
        provider.change("x.test", [], [_OWN])


def test_a_zone_that_is_signed_after_the_change(tmp_path: Path) -> None:
    """BIND accepts the update, and answers with the new records once it has signed them."""
    with bind_with(tmp_path, "x.test", "mail A 127.0.0.1", in_zone=SIGNING) as zone:
        provider = open_provider(DnsProviderOptions(name="rfc2136", options=zone.options))
        records = [ZoneRecord(f"t{number}.x.test", "TXT", _KEY) for number in range(100)]
        provider.change("x.test", [], records)
        for record in (records[0], records[-1]):
            (found,) = provider.list_records("x.test", record.name, "TXT")
            assert found.value == _KEY


def test_power_dns_is_written_by_lexicon(tmp_path: Path) -> None:
    with power_dns(tmp_path, "x.test") as zone:
        provider = open_provider(DnsProviderOptions(name="powerdns", options=zone.options))
        write_and_remove(provider, zone)
        token = "wrong" * 8
        wrong = DnsProviderOptions(name="powerdns", options={**zone.options, "auth_token": token})
        with pytest.raises(ProviderFailed, match="401") as caught:
            open_provider(wrong).change("x.test", [], [_OWN])
        assert token not in str(caught.value)


def test_what_is_not_configured_is_said() -> None:
    with pytest.raises(BadProvider, match="is not set"):
        open_provider(DnsProviderOptions())
    with pytest.raises(BadProvider, match="knows no provider 'nosuch'"):
        open_provider(DnsProviderOptions(name="nosuch"))
    given = {"server": "ns.x.test", "key": "k", "secret": "AAAA"}
    with pytest.raises(BadProvider, match="is not ADDRESS"):
        open_provider(DnsProviderOptions(name="rfc2136", options=given))
    given |= {"server": "127.0.0.1", "secret": "!"}
    with pytest.raises(BadProvider, match="secret is not base64"):
        open_provider(DnsProviderOptions(name="rfc2136", options=given))
    given |= {"secret": "AAAA", "algorithm": "hmac-rot13"}
    with pytest.raises(BadProvider, match="unknown algorithm"):
        open_provider(DnsProviderOptions(name="rfc2136", options=given))
