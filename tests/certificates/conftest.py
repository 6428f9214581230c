"""What the tests of certificates share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography import x509

from kit.certificate_site import HOST, Site
from kit.clock import FakeClock
from kit.odd_authority import odd_authority
from zajil.certificates.host_key import make_host_key, make_request
from zajil.net.system import SystemClock
from zajil.store.engine.open import Store
from zajil.store.people.certificates import NewCertificate, keep_certificates
from zajil.store.people.host_keys import HostKeyState, add_host_keys
from zajil.tls.certificate import DAY_MS


@pytest.fixture
def store_url() -> str:
    """One database is enough: the store has tests of its own."""
    return "sqlite"


@pytest.fixture
def site(store: Store) -> Iterator[Site]:
    clock = FakeClock(SystemClock().now_ms())
    now_ms = clock.now_ms()
    with odd_authority() as authority:
        key = make_host_key(HOST, HostKeyState.ACTIVE, now_ms)
        request = x509.load_pem_x509_csr(make_request(HOST, key.private_key))
        old = authority.issue(request, HOST)
        store.write_now(add_host_keys, key)
        fresh = NewCertificate(
            name=HOST,
            key_hash=key.key_hash,
            chain=old,
            not_before_ms=now_ms - DAY_MS,
            not_after_ms=now_ms + DAY_MS,
            renew_ms=0,
            ask_ms=now_ms,
            at_ms=0,
        )
        store.write_now(keep_certificates, fresh)
        yield Site(store, authority, clock, old)
