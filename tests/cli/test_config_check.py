"""`zajil config check` finds what keeps a server from running well, before it runs."""

from __future__ import annotations

import datetime
import json
import os
import pwd
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.certificates import TestAuthority
from kit.marks import MarkAuthority
from kit.name_server import zone_server
from kit.operator_world import listen_elsewhere
from zajil.cli.main import main
from zajil.operations.as_user import first_unreadable, python_paths

Run = Callable[..., tuple[int, str, str]]
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
_ZAJIL = [sys.executable, "-m", "zajil"]
_NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    copy = Path(shutil.copytree(template, tmp_path / "mail"))
    listen_elsewhere(copy / "zajil.toml")
    return copy


@pytest.fixture
def check(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Check that server with more options; give status, stdout, stderr without what root gets."""

    def run(*settings: str, arguments: tuple[str, ...] = ()) -> tuple[int, str, str]:
        given = [part for one in settings for part in ("--set", one)]
        command = ["--config", str(folder / "zajil.toml"), *given, "config", "check", *arguments]
        with pytest.raises(SystemExit) as ended:
            main(command)
        printed = capsys.readouterr()
        said = [
            line
            for line in printed.err.splitlines()
            if "the server keeps running as root" not in line
        ]
        return int(ended.value.code or 0), printed.out, "\n".join(said)

    return run


def test_a_new_server_is_right(check: Run, folder: Path) -> None:
    assert check() == (0, f"{folder / 'zajil.toml'} is right\n", "")
    status, out, _ = check(arguments=("--json",))
    told = json.loads(out)
    assert (status, told["ok"], told["mistakes"]) == (0, True, [])
    as_root = ["server.user"] if os.geteuid() == 0 else []
    assert [one["option"] for one in told["warnings"]] == as_root


# ---- the certificate ----------------------------------------------------------------------------


def _install(folder: Path, authority: TestAuthority, name: str, days: float) -> list[str]:
    pair = authority.issue(name, end=_NOW + datetime.timedelta(days=days))
    for source, target in zip(pair, ("certificate.pem", "key.pem"), strict=True):
        shutil.copy(source, folder / "tls" / target)
    (folder / "tls" / "key.pem").chmod(0o600)
    return []


@pytest.mark.parametrize(
    ("name", "days", "status", "reason"),
    [
        ("mail.north.test", 20, 0, None),
        ("mail.north.test", 13.5, 0, r"warning: .*the certificate ends in 13 days"),
        ("mail.north.test", -1, 1, r"tls.certificate: .*the certificate expired on"),
        ("www.north.test", 90, 1, r"is for www.north.test, not for server.hostname, mail.north"),
    ],
    ids=["fresh", "near its end", "expired", "another name"],
)
def test_a_certificate(
    name: str, days: float, status: int, reason: str | None, check: Run, folder: Path
) -> None:
    _install(folder, TestAuthority(folder), name, days)
    found, _, err = check()
    assert found == status
    assert re.search(reason, err) if reason else not err
    told = json.loads(check(arguments=("--json",))[1])
    assert told["ok"] is (status == 0)


def test_roots_of_logos(check: Run, folder: Path) -> None:
    setting = "web.bimi_roots=roots.pem"
    status, _, err = check(setting)
    assert status == 1
    assert f"web.bimi_roots: cannot read {folder / 'roots.pem'}: No such file" in err
    (folder / "roots.pem").write_text("nothing", "utf-8")
    assert "roots.pem: it contains no PEM certificate" in check(setting)[2]
    (folder / "roots.pem").write_bytes(MarkAuthority().root)
    assert check(setting)[0] == 0


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (("acme.challenge=dns-01",), "dns_provider.name: acme.challenge = 'dns-01' needs it"),
        (("listen.http=[]",), "listen.http: acme.challenge = 'http-01' needs it"),
        (("acme.challenge=tls-alpn-01", "listen.https=[]"), "listen.https: acme.challenge"),
        ((), "is self-signed and has priority over a certificate of the authority"),
        (("acme.directory=http://ca.test/dir",), "acme.directory: it must begin with https://"),
        (("acme.ca_file=/nowhere.pem",), "acme.ca_file: cannot read /nowhere.pem"),
    ],
)
def test_what_an_authority_needs(settings: tuple[str, ...], reason: str, check: Run) -> None:
    bare = ("acme.directory=https://ca.test/dir", "acme.agree_terms=true")
    _, out, err = check(*bare, *settings)
    assert reason in out + err


def test_a_key_of_another_certificate(check: Run, folder: Path) -> None:
    _install(folder, TestAuthority(folder), "mail.north.test", 90)
    shutil.copy(TestAuthority(folder).issue("other.test")[1], folder / "tls" / "key.pem")
    (folder / "tls" / "key.pem").chmod(0o600)
    status, _, err = check()
    assert (status, "is not the key of" in err) == (1, True)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o666])
def test_a_key_that_all_can_read(mode: int, check: Run, folder: Path) -> None:
    key = folder / "tls" / "key.pem"
    key.chmod(mode)
    status, out, err = check()
    assert (status, out) == (0, f"{folder / 'zajil.toml'} is right\n")
    assert (
        f"warning: {folder / 'zajil.toml'}: tls.key: all users of this machine can read {key}"
        in err
    )
    key.chmod(0o640)
    assert check()[2] == ""


# ---- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "status", "reason"),
    [
        ("server.user=nobody-at-all", 1, "user nobody-at-all does not exist"),
        (
            "check.weights={'format.no-dat' = 1.0}",
            1,
            r"unknown signal .*did you mean format\.no-date",
        ),
        ("store.url=postgresql://u:secret@127.0.0.1:port/x", 2, "store.url: it is not an address"),
        ("store.url=postgres//u:secret@127.0.0.1/x", 2, "store.url: it is neither"),
        ("store.url=mysql://u:secret@127.0.0.1/x", 2, "store.url: it is neither"),
        ("store.url=sqlite3", 2, "store.url: it is neither"),
        ("web.url=mail.example.org", 2, "web.url: .*is not an address like"),
        ("web.url=https//mail.example.org", 2, "web.url: .*is not an address like"),
        ("web.url=https://", 2, "web.url: .*is not an address like"),
        ("web.url=https://mail example.org/", 2, "web.url: .*is not an address like"),
        ("web.url=https://mail.example.org:99999/", 2, "web.url: .*is not an address like"),
        ("web.url=ftp://mail.example.org/", 2, "web.url: .*is not an address like"),
        ("deliver.source_address=192.0.2", 2, "deliver.source_address: .*is not an IP address"),
    ],
)
def test_an_option_that_means_nothing(setting: str, status: int, reason: str, check: Run) -> None:
    found, out, err = check(setting)
    assert (found, out) == (status, "")
    assert re.search(reason, err)
    assert "secret" not in err
    told: dict[str, Any] = json.loads(check(setting, arguments=("--json",))[1])
    assert next(one["option"] for one in told["mistakes"]) == re.split("[=.]{1}", setting)[0] + (
        "." + re.split("[=.]", setting)[1]
    )


@pytest.mark.parametrize("url", ["https://mail.example.org", "http://[2001:db8::1]:8080/"])
def test_an_address_of_pages(url: str, check: Run) -> None:
    assert check(f"web.url={url}")[0] == 0


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("nonsense", "{token='x'}", "dns-lexicon knows no provider 'nonsense'"),
        ("rfc2136", "{server='ns1', key='k', secret='AAAA'}", "'ns1' is not ADDRESS"),
        ("rfc2136", "{server='192.0.2.1', key='k', secret='!'}", "secret is not base64"),
    ],
)
def test_a_provider_of_dns_that_cannot_be_used(
    name: str, options: str, reason: str, check: Run
) -> None:
    status, _, err = check(f"dns_provider.name={name}", f"dns_provider.options={options}")
    assert (status, reason in err) == (1, True)


def test_an_address_that_nobody_has(check: Run) -> None:
    """Alerts may go to others; an echo account is one of ours."""
    settings = ("alerts.to=['ops@north.test', 'x@other.test']", "mail.echo_accounts=['e@far.test']")
    status, _, err = check(*settings)
    assert status == 0
    assert "alerts.to: nobody here has the address ops@north.test" in err
    assert "mail.echo_accounts: nobody here has the address e@far.test" in err
    assert "x@other.test" not in err
    assert (
        check("alerts.to=['admin@north.test']", "mail.echo_accounts=['admin@north.test']")[2] == ""
    )


@pytest.mark.parametrize(
    "name", ["localhost", "mail", "localhost.localdomain", "mx.localhost", "192.0.2.1"]
)
def test_a_hostname_that_nobody_can_look_up(name: str, check: Run) -> None:
    status, _, err = check(f"server.hostname={name}")
    assert status == 1
    assert f"server.hostname: {name} cannot be resolved by other servers" in err


@pytest.mark.parametrize("domain", ["localhost", "mail", "192.0.2.1", "x.localhost", "10.1"])
def test_a_domain_that_nobody_can_look_up(
    domain: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (
        ["setup", domain, "--dir", str(tmp_path / "x")],
        ["setup", "north.test", "--hostname", domain, "--dir", str(tmp_path / "x")],
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert "a name that others can look up in DNS" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


# ---- folders and store --------------------------------------------------------------------------


def test_a_folder_that_is_missing(check: Run, folder: Path) -> None:
    (folder / "data").rename(folder / "elsewhere")
    status, _, err = check()
    assert status == 1
    assert f"server.data_dir: the data folder {folder / 'data'} is missing" in err
    assert not (folder / "data").exists()


def test_a_folder_that_is_a_file(check: Run, folder: Path) -> None:
    assert "is not a folder" in check(f"server.data_dir={folder / 'zajil.toml'}")[2]


def test_a_folder_that_others_can_read(check: Run, folder: Path) -> None:
    (folder / "data").chmod(0o755)
    (folder / "data" / "store.sqlite").chmod(0o644)
    status, _, err = check()
    assert (status, err.count("other users of this machine have access to")) == (0, 2)


def test_a_database_that_is_missing(check: Run, folder: Path) -> None:
    (folder / "data" / "store.sqlite").unlink()
    status, _, err = check()
    assert status == 1
    assert f"store.url: the database {folder / 'data' / 'store.sqlite'} is missing" in err
    assert not (folder / "data" / "store.sqlite").exists()


def test_a_database_that_does_not_answer(check: Run) -> None:
    status, _, err = check("store.url=postgresql://u@127.0.0.1:1/x")
    assert (status, "store.url: cannot open the database" in err) == (1, True)


@only_root
def test_a_store_of_another_user(check: Run, folder: Path) -> None:
    os.chown(folder / "data" / "store.sqlite", 65534, 65534)
    status, _, err = check()
    assert (status, "belongs to user nobody" in err) == (1, True)


# ---- as the user of the server ------------------------------------------------------------------


@only_root
def test_what_the_user_of_the_server_cannot_enter(check: Run, folder: Path) -> None:
    """pytest's own folder is closed to it: a data folder below /root is the same."""
    status, _, err = check("server.user=nobody")
    assert status == 1
    assert "server.data_dir: the user nobody cannot enter" in err
    assert re.search("warning: .*the user nobody cannot read .*key.pem .*counts from the next", err)


@only_root
def test_a_python_that_the_user_of_the_server_cannot_read(open_folder: Path) -> None:
    """A virtual environment made by root under umask 077, or of a Python below /root."""
    nobody = pwd.getpwnam("nobody")
    package = open_folder / "lib" / "site-packages" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("", "utf-8")
    assert first_unreadable([package, open_folder / "missing"], nobody) == {}
    package.chmod(0o700)
    assert first_unreadable([package], nobody) == {package: package}
    package.chmod(0o755)
    (open_folder / "lib").chmod(0o700)
    inside = package / "__init__.py"
    assert first_unreadable([inside], nobody) == {inside: open_folder / "lib"}
    me = pwd.getpwuid(os.geteuid())
    assert first_unreadable([inside, *python_paths()], me) == {}


def test_all_that_this_python_is_made_of() -> None:
    paths = set(python_paths())
    assert {
        Path(sys.executable),
        Path(sys.base_prefix),
        Path(os.path.realpath(sys.executable)),
    } <= paths
    assert Path(os.__file__).parent in paths
    assert any(path.name == "sqlalchemy" for path in paths)


@only_root
def test_a_server_is_not_started_with_a_python_that_it_cannot_read(
    open_folder: Path, tmp_path: Path
) -> None:
    """pytest's folder stands for a home that only root can enter."""
    library = tmp_path / "lib"
    library.mkdir()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "zajil",
            "setup",
            "north.test",
            "--dir",
            str(open_folder / "mail"),
            "--user",
            "nobody",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    file = open_folder / "mail" / "zajil.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    for command in (["config", "check"], ["serve"]):
        done = subprocess.run(
            [*_ZAJIL, "--config", str(file), *command],
            env={**os.environ, "PYTHONPATH": str(library)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert "server.user: the user nobody cannot read " in done.stderr
        assert "Traceback" not in done.stderr


# ---- the machine and its network -----------------------------------------------------------------


def test_a_port_of_another_program(check: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, _, said = check(f'listen.smtp=["{address}"]')
    assert status == 1
    assert re.search(rf"listen\.smtp: port \d+ is in use by .*\(pid {os.getpid()}\)", said)


def test_addresses_that_cannot_be_used(check: Run) -> None:
    status, _, said = check('listen.smtp=["192.0.2.7:0", "127.0.0.1:5", "127.0.0.1:5"]')
    assert status == 1
    assert "listen.smtp: 192.0.2.7 is not an address of this machine" in said
    assert "127.0.0.1:5 stands in listen.smtp already" in said


def test_networks_that_are_too_wide(check: Run) -> None:
    wide = 'net.proxy_peers=["0.0.0.0/0", "10.0.0.0/8", "::/0"]'
    status, _, said = check(wide, 'web.trusted_proxies=["0.0.0.0/1"]')
    assert status == 0
    assert said.count("trusts a large part of the Internet") == 3
    assert "10.0.0.0" not in said


def test_a_name_server_that_does_not_answer(check: Run) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, zone_server({}) as answers:
        silent.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{silent.getsockname()[1]}"
        status, _, said = check(f'dns.nameservers=["{answers}", "{dead}"]')
    assert status == 0
    assert f"dns.nameservers: {dead}: it did not answer within 2 seconds" in said
    assert answers not in said


def test_sizes_and_times_that_contradict_each_other(check: Run) -> None:
    status, _, said = check(
        "mail.quota=1MiB", "store.free_space_reserve=1MiB", "tracking.retention=1d"
    )
    assert status == 0
    for option in ("mail.quota", "store.free_space_reserve", "tracking.retention"):
        assert f": {option}: " in said
