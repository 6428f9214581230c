"""A new server in one step, and nothing left behind by a step that failed."""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from zajil.config.load import BadConfiguration, load_configuration
from zajil.core.domain import BadDomain
from zajil.core.login_name import BadLogin
from zajil.net.system import SystemClock
from zajil.operations.credentials import BadPassword
from zajil.operations.run import open_admin_store
from zajil.operations.setup import AlreadySetUp, CannotSetUp, SetupResult, set_up
from zajil.operations.setup_plan import SetupPlan
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.people.accounts import AccountRow, find_by_login, list_accounts
from zajil.store.people.aliases import list_aliases
from zajil.store.people.domains import list_domains
from zajil.tls.context import server_context


def plan(
    folder: Path,
    domain: str = "north.test",
    *,
    hostname: str | None = None,
    admin: str | None = None,
    login: str | None = None,
    password: str | None = None,
    store_url: str | None = None,
    data_dir: Path | None = None,
) -> SetupPlan:
    return SetupPlan(
        domain=domain,
        folder=folder,
        data_dir=data_dir,
        hostname=hostname,
        admin=admin,
        login=login,
        password=password,
        user=None,
        store_url=store_url,
    )


def run(wanted: SetupPlan) -> SetupResult:
    return set_up(wanted, SystemClock(), os.urandom)


def account(folder: Path, login: str) -> AccountRow:
    with open_admin_store(load_configuration(folder / "zajil.toml")) as store:
        row = store.read_now(lambda conn: find_by_login(conn, login))
    assert row is not None
    return row


def test_a_server_is_complete(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    result = run(plan(folder))
    configuration = load_configuration(result.configuration)
    assert configuration.server.hostname == "mail.north.test"
    assert configuration.server.data_dir == folder / "data"
    tls = configuration.tls
    assert tls.certificate is not None
    assert tls.key is not None
    server_context(tls.certificate, tls.key)
    row = account(folder, "admin")
    assert row.admin
    assert result.account.password is not None
    assert PasswordHasher().verify(row.password_hash, result.account.password)
    with open_admin_store(configuration) as store:
        assert [row.ascii_name for row in store.read_now(list_domains)] == ["north.test"]
        targets = {str(row.address): row.targets for row in store.read_now(list_aliases)}
    assert targets == {
        "postmaster@north.test": (row.address,),
        "abuse@north.test": (row.address,),
    }


@pytest.mark.usefixtures("strong_hashes")
def test_passwords_are_hashed_by_argon2id(tmp_path: Path) -> None:
    """RFC 9106 section 4: the second recommendation, 64 MiB, three passes, four lanes."""
    run(plan(tmp_path / "mail", password="correct horse"))
    assert account(tmp_path / "mail", "admin").password_hash.startswith(
        "$argon2id$v=19$m=65536,t=3,p=4$"
    )


def test_nobody_else_on_the_machine_reads_key_or_mail(tmp_path: Path) -> None:
    run(plan(tmp_path / "mail"))
    modes = {
        name: stat.S_IMODE((tmp_path / "mail" / name).stat().st_mode)
        for name in ("data", "tls/key.pem")
    }
    assert modes == {"data": 0o700, "tls/key.pem": 0o600}


def test_nobody_else_reads_the_password_of_a_database(store_url: str, tmp_path: Path) -> None:
    run(plan(tmp_path / "mail", store_url=store_url))
    mode = stat.S_IMODE((tmp_path / "mail" / "zajil.toml").stat().st_mode)
    assert mode == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_server_reads_the_password_of_its_database() -> None:
    # Not below pytest's own folder: that is closed to the user the server runs as.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "mail"
        run(replace(plan(folder, store_url="sqlite"), user="nobody"))
        found = (folder / "zajil.toml").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o640, 0)
    assert found.st_gid == pwd.getpwnam("nobody").pw_gid


def test_an_arabic_domain_and_its_first_account(tmp_path: Path) -> None:
    folder = tmp_path / "بريد"
    result = run(plan(folder, "زاجل.مصر", admin="سلمى@زاجل.مصر"))
    assert result.domain == "xn--mgbkq8e.xn--wgbh1c"
    assert result.account.login == "slma"
    assert account(folder, "slma").address.unicode == "سلمى@زاجل.مصر"
    assert account(folder, "سلمى@زاجل.مصر").login == "slma"
    assert "زاجل.مصر" in (folder / "zajil.toml").read_text("utf-8").splitlines()[0]
    assert all(record.name.isascii() and record.value.isascii() for record in result.records)


def test_the_records_name_the_server(tmp_path: Path) -> None:
    result = run(plan(tmp_path / "mail", hostname="mx1.north.test"))
    found = {(record.type, record.name): record.value for record in result.records}
    assert found["MX", "north.test"] == "10 mx1.north.test."
    assert found["TXT", "north.test"] == '"v=spf1 mx -all"'
    assert found["TXT", "_dmarc.north.test"].startswith('"v=DMARC1; p=none;')
    assert found["SRV", "_imaps._tcp.north.test"] == "0 1 993 mx1.north.test."
    assert {kind for kind, name in found if name == "mx1.north.test"} == {"A", "AAAA", "TXT"}
    assert found["TXT", "mx1.north.test"] == '"v=spf1 a -all"'
    keys = [name for kind, name in found if kind == "TXT" and "._domainkey." in name]
    assert len(keys) == 2
    assert all(found["TXT", name].startswith('"v=DKIM1; h=sha256; k=') for name in keys)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    run(plan(folder))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(AlreadySetUp, match="nothing was changed"):
        run(plan(folder, "south.test"))
    (folder / "zajil.toml").unlink()
    with pytest.raises(AlreadySetUp):
        run(plan(folder, "south.test"))
    for path in folder.rglob("*.pem"):
        assert path.read_bytes() == before[path]


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ({"password": "short"}, BadPassword),
        ({"domain": "not a domain"}, BadDomain),
        ({"store_url": "postgresql://127.0.0.1:1/none"}, StoreUnavailable),
        ({"store_url": "mysql://x"}, BadConfiguration),
        ({"login": "with space"}, BadLogin),
        ({"domain": "localhost"}, BadDomain),
        ({"hostname": "192.0.2.1"}, BadDomain),
    ],
)
def test_a_failed_setup_leaves_nothing(
    wanted: dict[str, Any], error: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(error):
        run(plan(tmp_path / "mail", **wanted))
    assert list(tmp_path.iterdir()) == []
    run(plan(tmp_path / "mail"))


def test_what_lay_in_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(BadPassword):
        run(plan(tmp_path, password="short"))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_mail_may_be_in_another_folder_that_is_there_already(tmp_path: Path) -> None:
    """A package makes it, or it is a volume of a container; a failed setup leaves it empty."""
    folder, data = tmp_path / "etc", tmp_path / "var" / "mail"
    data.mkdir(parents=True, mode=0o755)
    with pytest.raises(BadPassword):
        run(plan(folder, data_dir=data, password="short"))
    assert list(data.iterdir()) == []
    assert not folder.exists()
    result = run(plan(folder, data_dir=data))
    assert load_configuration(result.configuration).server.data_dir == data
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    with pytest.raises(AlreadySetUp, match="already exists"):
        run(plan(tmp_path / "other", data_dir=data))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(CannotSetUp, match=f"cannot write {tmp_path}/file"):
        run(plan(tmp_path / "file" / "mail"))


def test_postgresql(store_url: str, tmp_path: Path) -> None:
    run(plan(tmp_path / "mail", store_url=store_url))
    configuration = load_configuration(tmp_path / "mail" / "zajil.toml")
    with open_admin_store(configuration) as store:
        assert [row.login for row in store.read_now(list_accounts)] == ["admin"]


def test_further_options_are_in_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    wanted = replace(plan(folder), more=("queue.lifetime=3d", "mail.echo_accounts=[]"))
    file = run(wanted).configuration
    assert 'lifetime = "3d"' in file.read_text("utf-8").splitlines()
    assert load_configuration(file).queue.lifetime_ms == 3 * 86_400_000


@pytest.mark.parametrize(
    "wrong",
    [
        *("queue.lifetme=3d", "queue=3d", "queue.lifetime=soon"),
        *("server.hostname=localhost", "tls.key=/none", "store.url=sqlite"),  # setup asks for them
    ],
)
def test_a_wrong_further_option_changes_nothing(tmp_path: Path, wrong: str) -> None:
    folder = tmp_path / "new"
    with pytest.raises(BadConfiguration):
        run(replace(plan(folder), more=(wrong,)))
    assert not folder.exists()
