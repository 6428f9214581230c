"""Set up a new server in one step: configuration, certificate, store, domain, first account.

Laws:
- No existing file is overwritten. A failed setup removes what it made, so that it can be repeated.
- The configuration file is written last: where it exists, the setup was complete.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zajil.config.example import example_file
from zajil.config.load import parse_configuration
from zajil.config.options import Configuration
from zajil.core.address import Address, parse_address
from zajil.core.clock import Clock, Random
from zajil.core.domain import BadDomain, is_public_name, to_ascii, to_unicode
from zajil.core.errors import AlreadyExists, Unavailable
from zajil.operations.accounts import AddedAccount, add_account
from zajil.operations.dkim_keys import show_keys
from zajil.operations.dns_advice import records_for
from zajil.operations.dns_record import DnsRecord
from zajil.operations.domains import add_domain
from zajil.operations.run import find_user, make_runner, open_admin_store
from zajil.operations.server_facts import find_facts
from zajil.operations.store import make_store
from zajil.store.engine.errors import StoreExists
from zajil.store.people.accounts import list_accounts
from zajil.store.people.dkim_keys import DkimKeyRow
from zajil.tls.self_signed import make_self_signed

CONFIGURATION_NAME = "zajil.toml"
_DATA, _CERTIFICATE, _KEY = "data", "tls/certificate.pem", "tls/key.pem"


class AlreadySetUp(AlreadyExists):
    """A file or database that setup would write exists already; nothing was changed."""


class CannotSetUp(Unavailable):
    """The folder cannot be written; the text is one sentence for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupPlan:
    """What the operator wants."""

    domain: str
    """U-labels or A-labels."""
    folder: Path
    data_dir: Path | None = None
    """Folder for mail; it may exist if it is empty; ``None``: ``data`` in the folder."""
    hostname: str | None
    """``None``: ``mail.`` before the domain."""
    admin: str | None
    """Address of the first account; ``None``: ``admin@`` the domain."""
    login: str | None
    """``None``: derived from the address."""
    password: str | None
    """``None``: one is generated and returned."""
    user: str | None
    """User of this machine that the server will run as."""
    store_url: str | None
    """``None``: SQLite in the data folder."""


@dataclass(frozen=True, slots=True)
class SetupResult:
    """The new server, and the DNS records that the operator must publish."""

    configuration: Path
    domain: str
    """ASCII form."""
    account: AddedAccount
    records: list[DnsRecord]


def set_up(plan: SetupPlan, clock: Clock, random: Random) -> SetupResult:
    """Set up a server that ``zajil serve`` can run.

    Raises:
        AlreadySetUp: the folder holds a server already.
        CannotSetUp: the folder cannot be written.
        BadAddress, BadDomain, BadLogin, BadPassword: what was given is not usable.
        StoreUnavailable, WrongUser: as ``open_admin_store``.
    """
    domain = to_ascii(plan.domain)
    _require_public(domain, "a mail domain", "example.org")
    hostname = to_ascii(plan.hostname or f"mail.{domain}")
    _require_public(hostname, "a mail server", "mail.example.org")
    address = parse_address(plan.admin) if plan.admin else Address("admin", domain)
    file = plan.folder / CONFIGURATION_NAME
    text = _configuration_text(plan, domain, hostname)
    configuration = parse_configuration(text, file)
    data_dir = configuration.server.data_dir
    _refuse_overwriting(plan.folder, data_dir)
    if plan.user is not None:
        find_user(plan.user)
    made: list[Path] = []
    try:
        _write_files(plan.folder, data_dir, hostname, clock.now_ms(), made)
        _give_to(plan.user, plan.folder / _KEY, data_dir)
        account, keys = _fill_store(configuration, plan, domain, address, clock, random)
        _write_configuration(plan, file, text, made)
    except BaseException as error:
        _remove(made, data_dir)
        if isinstance(error, OSError):
            where = error.filename or plan.folder
            raise CannotSetUp(f"cannot write {where}: {error.strerror}") from error
        raise
    records = records_for(domain, configuration, keys, find_facts(configuration))
    return SetupResult(file, domain, account, records)


def _require_public(name: str, what: str, example: str) -> None:
    if not is_public_name(name):
        raise BadDomain(f"{name}: {what} has a name that others can look up in DNS, like {example}")


def _configuration_text(plan: SetupPlan, domain: str, hostname: str) -> str:
    chosen = {
        "server.hostname": hostname,
        "server.data_dir": _DATA if plan.data_dir is None else str(plan.data_dir.absolute()),
        "tls.certificate": _CERTIFICATE,
        "tls.key": _KEY,
    }
    if plan.user:
        chosen["server.user"] = plan.user
    if plan.store_url:
        chosen["store.url"] = plan.store_url
    return example_file(chosen, f"Zajil, mail server of {to_unicode(domain)}")


def _refuse_overwriting(folder: Path, data_dir: Path) -> None:
    for path in (*(folder / name for name in (CONFIGURATION_NAME, _CERTIFICATE, _KEY)), data_dir):
        # A package, or a volume of a container, makes an empty folder for data.
        if path.exists() and not (path == data_dir and _is_empty_folder(path)):
            raise AlreadySetUp(f"{path} already exists; nothing was changed")


def _is_empty_folder(path: Path) -> bool:
    try:
        return path.is_dir() and not any(path.iterdir())
    except PermissionError:
        return False


def _write_files(
    folder: Path, data_dir: Path, hostname: str, now_ms: int, made: list[Path]
) -> None:
    _make_folder(folder, made)
    _make_folder(folder / "tls", made)
    pair = make_self_signed((hostname,), now_ms)
    _write_new(folder / _CERTIFICATE, pair.certificate, 0o644, made)
    _write_new(folder / _KEY, pair.key, 0o600, made)
    # Security: other users of this machine must not list the folder.
    if not data_dir.exists():
        _make_folder(data_dir.parent, made)
        data_dir.mkdir(mode=0o700)
        made.append(data_dir)
    data_dir.chmod(0o700)


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Create a folder that the server's user can enter, whatever the umask."""
    if folder.exists():
        return
    _make_folder(folder.parent, made)
    folder.mkdir()
    made.append(folder)
    folder.chmod(0o755)


def _write_configuration(plan: SetupPlan, file: Path, text: str, made: list[Path]) -> None:
    # Security: it may hold the password of a database or of an OAuth 2 client, which only the
    # server may read. The server reads it again when it reloads.
    _write_new(file, text.encode(), 0o600, made)
    if plan.user is not None and os.geteuid() == 0:
        os.chown(file, -1, find_user(plan.user).pw_gid)
        file.chmod(0o640)


def _write_new(path: Path, content: bytes, mode: int, made: list[Path]) -> None:
    # Security: the mode is set before the first byte, and no file is overwritten.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    made.append(path)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # whatever the umask
        file.write(content)


def _give_to(user: str | None, *paths: Path) -> None:
    """Make the user that the server runs as the owner of key and data."""
    if user is None or os.geteuid() != 0:
        return
    entry = find_user(user)
    for path in paths:
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _fill_store(
    configuration: Configuration,
    plan: SetupPlan,
    domain: str,
    address: Address,
    clock: Clock,
    random: Random,
) -> tuple[AddedAccount, list[DkimKeyRow]]:
    with suppress(StoreExists):  # an empty one, left by a setup with PostgreSQL that failed
        make_store(configuration)
    with open_admin_store(configuration) as store:
        if store.read_now(list_accounts):
            raise AlreadySetUp("the database already contains a server; nothing was changed")
        runner = make_runner(store, clock, random)
        runner.run(add_domain, domain, address, configuration.keys)
        account = runner.run(
            add_account, address, login=plan.login, password=plan.password, admin=True
        )
        return account, runner.read(lambda conn: show_keys(conn, domain))


def _remove(made: list[Path], data_dir: Path) -> None:
    """Remove what this setup made, newest first; the data folder was empty or not there."""
    for path in data_dir.iterdir() if data_dir.is_dir() else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):
            path.unlink(missing_ok=True)
    for path in reversed(made):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
