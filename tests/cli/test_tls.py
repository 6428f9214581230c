"""``zajil tls`` tells what certificates there are and what they wait for."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

from kit.certificates import TestAuthority
from kit.command_line import Run
from zajil.certificates.host_key import make_host_key
from zajil.config.load import load_configuration
from zajil.net.system import SystemClock
from zajil.operations.run import open_admin_store
from zajil.store.people.certificates import (
    NewCertificate,
    OrderFailed,
    keep_certificates,
    list_certificates,
    note_order_failed,
    note_waiting,
)
from zajil.store.people.host_keys import HostKeyState, add_host_keys
from zajil.tls.self_signed import make_self_signed

ACME = ["--set", "acme.directory=https://ca.test/dir", "--set", "acme.agree_terms=true"]


def test_own_files_are_listed_and_checked(run: Run, tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)
    status, text, _ = run("tls", "list")
    assert status == 0
    assert "mail.north.test  own" in text
    assert run("tls", "check") == (0, "All certificates are valid.\n", "")
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=5)
    certificate, key = authority.issue("more.north.test", end=soon)
    more = f'tls.more=[{{certificate="{certificate}", key="{key}"}}]'
    status, text, _ = run("--set", more, "tls", "check")
    assert status == 1
    assert "more.north.test: the certificate ends in 4 days" in text
    assert run("--set", more, "tls", "show", "more.north.test")[0] == 0
    assert run("tls", "show", "none.north.test")[0] == 2


def test_names_of_an_authority_say_what_they_wait_for(run: Run, server: Path) -> None:
    now_ms = SystemClock().now_ms()
    name = "mta-sts.north.test"
    pair = make_self_signed((name,), now_ms)
    key = make_host_key(name, HostKeyState.ACTIVE, now_ms)
    with open_admin_store(load_configuration(server)) as store:
        store.write_now(add_host_keys, key)
        fresh = NewCertificate(
            name=name,
            key_hash=key.key_hash,
            chain=pair.certificate,
            not_before_ms=now_ms,
            not_after_ms=now_ms + 10**10,
            ask_ms=0,
            renew_ms=now_ms + 10**9,
            at_ms=now_ms,
        )
        store.write_now(keep_certificates, fresh)
        store.write_now(note_waiting, ("autoconfig.north.test", "there is no A record"))
        failed = OrderFailed("autodiscover.north.test", "no route\x1b[31m", now_ms, now_ms + 1000)
        store.write_now(note_order_failed, failed)
    status, text, _ = run(*ACME, "tls", "list", "--json")
    states = {one["name"]: (one["state"], one["reason"]) for one in json.loads(text)}
    assert status == 0
    assert states == {
        "mail.north.test": ("own", None),
        name: ("valid", None),
        "autoconfig.north.test": ("waiting", "there is no A record"),
        "autodiscover.north.test": ("failing", "no route\x1b[31m"),
    }
    assert "\x1b" not in run(*ACME, "tls", "list")[1]
    status, text, _ = run(*ACME, "tls", "check")
    assert (status, text) == (1, "autodiscover.north.test: no route\\u001b[31m\n")
    assert run(*ACME, "tls", "show", name)[0] == 0

    assert run(*ACME, "tls", "renew", name.upper())[0] == 0
    status, _, error = run(*ACME, "tls", "renew", "none.north.test")
    assert (status, "there is no certificate for none.north.test" in error) == (1, True)
    status, _, error = run("tls", "renew", name)
    assert (status, "acme.directory is not set" in error) == (1, True)
    assert f"A new certificate for {name} was requested." in run(*ACME, "audit")[1]
    with open_admin_store(load_configuration(server)) as store:
        rows = {row.name: row.renew_ms for row in store.read_now(list_certificates)}
    assert rows[name] == 0
