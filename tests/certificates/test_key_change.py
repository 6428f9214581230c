"""When the next key of a name is used, by what DNS says from look to look."""

from __future__ import annotations

import asyncio

from kit.certificate_site import HOST, Site
from kit.store import running
from kit.zone import ZoneResolver
from zajil.certificates.host_key import make_host_key
from zajil.store.people.host_keys import HostKeyState, add_host_keys, list_host_keys
from zajil.tls.certificate import DAY_MS


def test_records_that_are_gone_for_a_moment_exchange_no_key(site: Site) -> None:
    """Attack, or an accident of the DNS provider: there is a record of the old key alone."""
    now_ms, [old] = site.clock.now_ms(), site.store.read_now(list_host_keys)
    site.store.write_now(add_host_keys, make_host_key(HOST, HostKeyState.NEXT, now_ms - DAY_MS))
    records = {"TLSA": [f"3 1 1 {old.key_hash}"]}
    name = f"_25._tcp.{HOST}"
    zone: dict[str, dict[str, list[str]]] = {HOST: {"A": ["127.0.0.1"]}, name: records}
    resolver = ZoneResolver(zone)
    upkeep = site.upkeep(resolver)

    async def look() -> str:
        await upkeep.look()
        keys = await site.store.read(list_host_keys)
        return next(key.key_hash for key in keys if key.state is HostKeyState.ACTIVE)

    async def run() -> list[str]:
        async with running(site.store):
            found = [await look()]
            for gone in (True, False, True, True):
                resolver.zone = {HOST: zone[HOST]} if gone else zone
                site.clock.advance(DAY_MS // 24)
                found.append(await look())
            return found

    *before, after = asyncio.run(run())
    assert before == [old.key_hash] * 4
    assert after != old.key_hash
