"""Every set of records is a zone that BIND loads whole."""

from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path

import pytest

from kit.foreign import need_program
from zajil.config.options import Configuration
from zajil.config.options_server import DnsOptions, ListenOptions, ServerOptions
from zajil.operations.dns_advice import records_for
from zajil.operations.server_facts import Issuer, ServerFacts
from zajil.operations.zone_file import zone_file

NOW_MS = 1_795_462_000_000
ISSUER = Issuer(
    domain="letsencrypt.org",
    account_uri="https://acme-v02.api.letsencrypt.org/acme/acct/1234567890",
    challenge="http-01",
)
FACTS = (
    ServerFacts(),
    ServerFacts(addresses=("1.1.1.1", "2606:4700::1111"), tls_keys=("ab" * 32, "cd" * 32)),
    ServerFacts(addresses=("1.1.1.1", "8.8.8.8"), tls_keys=("ab" * 32,), issuer=ISSUER),
)
HOSTS = ("mail.north.test", "north.test", "autoconfig.north.test", "mx.far.test")
LONG = tuple(f"include:_spf{number}.a-relay-with-a-long-name.example.net" for number in range(9))


@pytest.mark.interop
@pytest.mark.parametrize(("facts", "host"), list(product(FACTS, HOSTS)))
def test_bind_loads_it(facts: ServerFacts, host: str, tmp_path: Path) -> None:
    program = need_program("named-checkzone")
    for name, mechanisms in product(("north.test", "xn--mgbkq8e.xn--wgbh1c"), ((), LONG)):
        configuration = Configuration(
            server=ServerOptions(hostname=host, data_dir=Path("data")),
            dns=DnsOptions(spf_mechanisms=mechanisms),
            listen=ListenOptions(web=("127.0.0.1:8080",), pop3=()),
        )
        records = records_for(name, configuration, [], facts)
        file = tmp_path / "zone"
        file.write_text(zone_file(name, host, records, NOW_MS, whole=True), "utf-8")
        command = [program, "-i", "local", "-D", "-o", "-", name, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "out-of-zone" not in done.stderr
        loaded = {tuple(line.split()[i] for i in (0, 3)) for line in done.stdout.splitlines()}
        wanted = [one for one in records if one.is_in(name) and not one.is_open]
        assert {(f"{one.name}.", one.type) for one in wanted} <= loaded


def test_an_address_is_filled_in_where_there_is_no_choice() -> None:
    def addresses(facts: ServerFacts, listener: str = "0.0.0.0:25") -> dict[str, list[str]]:
        configuration = Configuration(
            server=ServerOptions(hostname="mail.north.test", data_dir=Path("data")),
            listen=ListenOptions(smtp=(listener,)),
        )
        records = records_for("north.test", configuration, [], facts)
        return {
            kind: [one.value if kind != "PTR" else one.name for one in records if one.type == kind]
            for kind in ("A", "AAAA", "PTR")
        }

    only = addresses(FACTS[1])
    assert only == {
        "A": ["1.1.1.1"],
        "AAAA": ["2606:4700::1111"],
        "PTR": ["1.1.1.1", "2606:4700::1111"],
    }
    assert addresses(FACTS[2])["A"] == ["<the IPv4 address of this server>"]
    assert addresses(FACTS[1], "9.9.9.9:25")["A"] == ["9.9.9.9"]
