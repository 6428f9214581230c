"""Set up a new server in one step: configuration, certificate, store, domain, first account.

Laws:
- No existing file is overwritten. A failed setup removes what it made, so that it can be repeated;
  what one that was killed has left is removed by the next one (``setup_undo``).
- The configuration file gets its name last: where it exists, the setup was complete.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zajil.config.options import Configuration
from zajil.core.clock import Clock, Random
from zajil.core.errors import AlreadyExists, Unavailable
from zajil.core.login_name import parse_login
from zajil.operations.accounts import AddedAccount, add_account
from zajil.operations.credentials import prepare_usable
from zajil.operations.dkim_keys import show_keys
from zajil.operations.dns_advice import records_for
from zajil.operations.dns_record import DnsRecord
from zajil.operations.domains import add_domain
from zajil.operations.run import find_user, make_runner, open_admin_store
from zajil.operations.server_facts import find_facts
from zajil.operations.setup_plan import (
    CERTIFICATE,
    CONFIGURATION_NAME,
    KEY,
    SECRETS,
    Names,
    SetupPlan,
    configuration_text,
    preview,
    read_names,
    secrets_of,
)
from zajil.operations.setup_undo import MadePaths, make_open_folder, undone_on_failure
from zajil.operations.store import make_store
from zajil.store.engine.errors import StoreExists
from zajil.store.people.accounts import list_accounts
from zajil.store.people.dkim_keys import DkimKeyRow
from zajil.store.people.domains import list_domains
from zajil.tls.context import server_context
from zajil.tls.self_signed import make_self_signed


class AlreadySetUp(AlreadyExists):
    """A file or database that setup would write exists already; nothing was changed."""


class CannotSetUp(Unavailable):
    """The folder cannot be written; the text is one sentence for the operator."""


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
        SetupRuns: another setup works in the folder.
        CannotSetUp: the folder cannot be written.
        BadAddress, BadCertificate, BadConfiguration, BadDomain, BadLogin, BadPassword: what was
            given is not usable.
        StoreUnavailable, WrongUser: as ``open_admin_store``.
    """
    names = read_names(plan)
    file = plan.folder / CONFIGURATION_NAME
    configuration = preview(plan)
    data_dir = configuration.server.data_dir
    _refuse_configured(file)
    _check_account(plan)
    if plan.user is not None:
        find_user(plan.user)
    if plan.certificate is not None:
        server_context(*plan.certificate)
    try:
        with undone_on_failure(plan.folder) as made:
            made.undo_earlier()
            _refuse_configured(file)
            _refuse_overwriting(plan, data_dir)
            _write_files(plan, data_dir, names, clock.now_ms(), made)
            account, keys = _fill_store(configuration, plan, names, clock, random)
            new = file.with_name(f"{file.name}.new")
            _write_private(plan, new, configuration_text(plan, names), made)
            made.keep()
            new.rename(file)
    except OSError as error:
        where = error.filename or plan.folder
        raise CannotSetUp(f"cannot write {where}: {error.strerror}") from error
    records = records_for(names.domain, configuration, keys, find_facts(configuration))
    return SetupResult(file, names.domain, account, records)


def _refuse_configured(file: Path) -> None:
    if file.exists():
        raise AlreadySetUp(
            f"{file} already exists; nothing was changed. Start that server with `zajil serve "
            f"--config {file}`, or choose another folder"
        )


def _check_account(plan: SetupPlan) -> None:
    """Check what would fail only after a database was filled."""
    if plan.login is not None:
        parse_login(plan.login)
    if plan.password is not None:
        prepare_usable(plan.password)


def _refuse_overwriting(plan: SetupPlan, data_dir: Path) -> None:
    own = (CERTIFICATE, KEY) if plan.makes_certificate else ()
    for path in (*(plan.folder / name for name in (*own, *SECRETS.values())), data_dir):
        # A package, or a volume of a container, makes an empty folder for data.
        if path.exists() and not (path == data_dir and _is_empty_folder(path)):
            raise AlreadySetUp(
                f"{path} already exists; nothing was changed. Remove it, if it is not needed, or "
                "choose another folder"
            )


def _is_empty_folder(path: Path) -> bool:
    try:
        return path.is_dir() and not any(path.iterdir())
    except PermissionError:
        return False


def _write_files(
    plan: SetupPlan, data_dir: Path, names: Names, now_ms: int, made: MadePaths
) -> None:
    if plan.makes_certificate:
        _make_folder(plan.folder / "tls", made)
        pair = make_self_signed((names.hostname,), now_ms)
        _write_new(plan.folder / CERTIFICATE, pair.certificate, 0o644, made)
        _write_new(plan.folder / KEY, pair.key, 0o600, made)
        _give_to(plan.user, plan.folder / KEY)
    for option, value in secrets_of(plan, names).items():
        _write_private(plan, plan.folder / SECRETS[option], f"{value}\n", made)
    # Security: other users of this machine must not list the folder.
    if not data_dir.exists():
        _make_folder(data_dir.parent, made)
        made.folder(data_dir)
        data_dir.mkdir(mode=0o700)
    made.content(data_dir)
    data_dir.chmod(0o700)
    _give_to(plan.user, data_dir)


def _make_folder(folder: Path, made: MadePaths) -> None:
    if folder.exists():
        return
    _make_folder(folder.parent, made)
    made.folder(folder)
    make_open_folder(folder)


def _write_private(plan: SetupPlan, file: Path, text: str, made: MadePaths) -> None:
    # Security: it may hold a password, which only the server may read. The server reads it again
    # when it reloads.
    _write_new(file, text.encode(), 0o600, made)
    if plan.user is not None and os.geteuid() == 0:
        os.chown(file, -1, find_user(plan.user).pw_gid)
        file.chmod(0o640)


def _write_new(path: Path, content: bytes, mode: int, made: MadePaths) -> None:
    # Security: the mode is set before the first byte, and no file is overwritten.
    made.file(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # whatever the umask
        file.write(content)
        file.flush()
        os.fsync(descriptor)


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
    names: Names,
    clock: Clock,
    random: Random,
) -> tuple[AddedAccount, list[DkimKeyRow]]:
    with suppress(StoreExists):  # an empty one, left by a setup with PostgreSQL that failed
        make_store(configuration)
    with open_admin_store(configuration) as store:
        accounts, domains = store.read_now(list_accounts), store.read_now(list_domains)
        if accounts or domains:
            raise AlreadySetUp(
                "the database already contains a server; nothing was changed. Use an empty one"
            )
        runner = make_runner(store, clock, random)
        runner.run(add_domain, names.domain, names.admin, configuration.keys)
        account = runner.run(
            add_account, names.admin, login=plan.login, password=plan.password, admin=True
        )
        return account, runner.read(lambda conn: show_keys(conn, names.domain))
