"""What is wrong with a configuration on this machine, beyond what its own text shows.

``zajil config check`` tells all of it. ``zajil serve`` refuses what ``must_mend`` finds, and warns
of what ``should_mend`` finds.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import stat
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from zajil.check.verdict.signals import SIGNALS
from zajil.config.options import Configuration
from zajil.config.options_server import ServerOptions
from zajil.config.options_shards import MAIN_SHARD
from zajil.config.shards import configuration_of, shard_names
from zajil.core.address import parse_address
from zajil.core.domain import is_public_name
from zajil.net.control import ControlDenied, NotRunning, ask_server
from zajil.operations.as_user import first_unreadable, python_paths
from zajil.operations.finding import Finding
from zajil.operations.machine_findings import (
    listener_findings,
    network_findings,
    size_findings,
)
from zajil.operations.run import WrongUser, as_server_user, find_user
from zajil.resolver.provider import open_provider
from zajil.resolver.zone_access import BadProvider
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.folder import claim_folder, open_to_others
from zajil.store.engine.migrate import require_usable
from zajil.store.engine.open import make_dialect, make_replica
from zajil.store.engine.reader import Snapshot
from zajil.store.people.directory import look_up
from zajil.store.shards.catalogue import list_shards, used_shards
from zajil.tls.certificate import (
    CertificateProblem,
    find_problems,
    read_certificate,
    read_mark_roots,
)
from zajil.tls.context import BadCertificate, client_context, server_context


def find_mistakes(configuration: Configuration, file: Path, now_ms: int) -> list[Finding]:
    """Return everything that is wrong, in the order of the manual.

    Args:
        configuration: of which each option is right by itself.
        file: where it was read from.
        now_ms: the time, for certificates.
    """
    return [
        *must_mend(configuration),
        *should_mend(configuration, file, now_ms),
        *_stores(configuration),
        *_tls_files(configuration),
        *_listeners(configuration, file),
        *network_findings(configuration),
        *size_findings(configuration),
        *_messages_elsewhere(configuration),
    ]


def _messages_elsewhere(configuration: Configuration) -> Iterator[Finding]:
    if configuration.store.has_s3 or configuration.store.key_file is not None:
        # Imported here: few configurations need it.
        from zajil.operations.s3_findings import s3_findings

        with contextlib.suppress(WrongUser), as_server_user(configuration.server.user):
            yield from s3_findings(configuration)


def _listeners(configuration: Configuration, file: Path) -> Iterator[Finding]:
    """Return ports that cannot be used, and what a reload of the running server would not take."""
    own: list[str] = []
    try:
        status = ask_server(configuration.server.data_dir, {"do": "status"})
    except ControlDenied:
        return  # its ports are in use, and only its user can tell them from others
    except NotRunning:
        status = {}
    for addresses in status.get("listen", {}).values():
        own += addresses
    yield from listener_findings(configuration, own)
    if status.get("configuration") == str(file.resolve()):
        for option in status["restart"]:
            reason = "changed; it takes effect at the next start, not by a reload"
            yield Finding(option, reason, is_warning=True)


_LEAST_LEASE_MS = 180_000
"""A lease is renewed after a third, so two thirds are more than clocks may differ by."""


def must_mend(configuration: Configuration) -> Iterator[Finding]:
    """Return what keeps a server from running: a user, a Python, a library."""
    server = configuration.server
    if configuration.tracing.endpoint is not None:
        from zajil.monitor.tracing import MISSING, has_library

        if not has_library():
            yield Finding("tracing.endpoint", MISSING)
    if configuration.store.url != "sqlite" and configuration.queue.lease_ms < _LEAST_LEASE_MS:
        yield Finding(
            "queue.lease",
            "with PostgreSQL it must not be shorter than 3m: the clocks of nodes may differ",
        )
    try:
        user = _user(server)
    except WrongUser as error:
        yield Finding("server.user", str(error).removeprefix("server.user: "))
        return
    if user is None:
        return
    stopped = sorted(set(first_unreadable(python_paths(), user).values()))
    if stopped:
        more = f" (nor {len(stopped) - 1} others)" if len(stopped) > 1 else ""
        yield Finding(
            "server.user",
            f"the user {user.pw_name} cannot read {stopped[0]}{more}, which this Python is made "
            "of: install Zajil with a Python and in a folder that all users may read, such as "
            "/usr/bin/python3 in /opt",
        )


def should_mend(configuration: Configuration, file: Path, now_ms: int) -> Iterator[Finding]:
    """Return what a server works with, but badly, or for others to read."""
    server = configuration.server
    if not is_public_name(server.hostname):
        yield Finding(
            "server.hostname",
            f"{server.hostname} cannot be resolved by other servers: use a fully qualified "
            "host name, such as mail.example.org",
        )
    if os.geteuid() == 0 and server.user is None:
        yield Finding(
            "server.user",
            "not set: if started as root, the server keeps running as root; specify an "
            "unprivileged user that owns the data folder",
            is_warning=True,
        )
    for name in configuration.check.weights:
        if name not in SIGNALS:
            nearest = get_close_matches(name, SIGNALS, 1)
            yield Finding(
                "check.weights",
                f"unknown signal {name}; see `zajil check signals`",
                nearest=nearest[0] if nearest else None,
            )
    yield from certificate_findings(configuration, now_ms)
    yield from _acme(configuration)
    yield from _provider(configuration)
    yield from _permissions(configuration, file)


def certificate_findings(configuration: Configuration, now_ms: int) -> Iterator[Finding]:
    """Return what clients find wrong with a certificate that can be read."""
    tls = configuration.tls
    for path, _ in tls.own_files:
        option = "tls.certificate" if path == tls.certificate else "tls.more"
        with contextlib.suppress(BadCertificate):  # told by ``_tls_files``
            facts = read_certificate(path)
            for one in find_problems(facts, configuration.server.hostname, now_ms):
                if option == "tls.more" and one.problem is CertificateProblem.OTHER_NAME:
                    continue  # it is there for other names
                yield Finding(option, f"{path}: {one.text}", is_warning=one.is_warning)


def _acme(configuration: Configuration) -> Iterator[Finding]:
    """Return what the challenges of ``[acme]`` need and do not find."""
    acme, listen = configuration.acme, configuration.listen
    if acme.directory is None:
        return
    if acme.challenge == "dns-01" and configuration.dns_provider.name is None:
        yield Finding("dns_provider.name", "acme.challenge = 'dns-01' needs it")
    for challenge, service, port in (("http-01", "http", 80), ("tls-alpn-01", "https", 443)):
        if acme.challenge == challenge and not getattr(listen, service):
            reason = (
                f"acme.challenge = '{challenge}' needs it: the authority connects to port {port}"
            )
            yield Finding(f"listen.{service}", reason)
    for path, _ in configuration.tls.own_files:
        with contextlib.suppress(BadCertificate):  # told by ``_tls_files``
            facts = read_certificate(path)
            if facts.self_signed and facts.fits(configuration.server.hostname):
                reason = (
                    f"{path} is self-signed and has priority over a certificate of the authority: "
                    "remove tls.certificate and tls.key"
                )
                yield Finding("tls.certificate", reason, is_warning=True)


def _provider(configuration: Configuration) -> Iterator[Finding]:
    if configuration.dns_provider.name is not None:
        try:
            open_provider(configuration.dns_provider)
        except BadProvider as error:
            yield Finding(None, str(error))


def _permissions(configuration: Configuration, file: Path) -> Iterator[Finding]:
    """Return what others can read, and what the server cannot."""
    for _, key in configuration.tls.own_files:
        if _mode(key) & stat.S_IROTH:
            reason = f"all users of this machine can read {key}: chmod o= {key}"
            option = "tls.key" if key == configuration.tls.key else "tls.more"
            yield Finding(option, reason, is_warning=True)
    if _mode(file) & stat.S_IROTH and _holds_secrets(configuration):
        reason = (
            f"all users of this machine can read {file}, which holds a password: chmod o= {file}"
        )
        yield Finding(None, reason, is_warning=True)
    with contextlib.suppress(WrongUser):
        user = _user(configuration.server)
        tls = configuration.tls
        files = [file, *itertools.chain.from_iterable(tls.own_files)]
        files += [tls.ca_file] if tls.ca_file else []
        if user is None or os.geteuid() != 0:
            return
        for path, part in first_unreadable(files, user).items():
            reason = (
                f"the user {user.pw_name} cannot read {path} (stopped at {part}): it counts from "
                "the next start, not from a reload"
            )
            yield Finding("server.user", reason, is_warning=True)


def _store(configuration: Configuration, shard: str = MAIN_SHARD) -> Iterator[Finding]:
    server = configuration.server
    try:
        user = _user(server)
    except WrongUser:
        return  # told by ``must_mend``
    data_dir = server.data_dir
    if user is not None and os.geteuid() == 0 and data_dir.is_dir():
        part = first_unreadable([data_dir], user).get(data_dir.absolute())
        if part is not None and part != data_dir.absolute():
            yield Finding("server.data_dir", f"the user {user.pw_name} cannot enter {part}")
            return
    for path in open_to_others(data_dir):
        reason = f"other users of this machine have access to {path}; serve takes it away"
        yield Finding("server.data_dir", reason, is_warning=True)
    try:
        with as_server_user(server.user):
            option = "server.data_dir"
            if shard == MAIN_SHARD or configuration.store.url == "sqlite" or data_dir.exists():
                claim_folder(data_dir)
            option = "store.url"
            dialect = make_dialect(configuration.store, data_dir)
            try:
                require_usable(dialect)
                with dialect.examining() as conn:
                    for reason in dialect.advise(conn, worker_count(configuration)):
                        yield Finding(option, reason, is_warning=True)
                    if shard == MAIN_SHARD:
                        yield from _addresses(conn, configuration)
                        yield from _missing_shards(conn, configuration)
                option = "store.replica_url"
                yield from _replica(configuration)
            finally:
                dialect.close()
    except WrongUser as error:
        yield Finding("server.user", f"the store was not checked: {error}", is_warning=True)
    except StoreUnavailable as error:
        yield Finding(option, str(error))


def _stores(configuration: Configuration) -> Iterator[Finding]:
    of_main = list(_store(configuration))
    yield from of_main
    named = {one.option for one in of_main}
    for shard in configuration.store.shards:
        option = f"store.shards.{shard}"
        if option not in named:  # one that is not created yet has nothing to look at
            for one in _store(configuration_of(configuration, shard), shard):
                yield Finding(option, one.reason, is_warning=one.is_warning)


def _missing_shards(conn: Snapshot, configuration: Configuration) -> Iterator[Finding]:
    """Return shards that are used or configured, and not both."""
    names = set(shard_names(configuration))
    for name in sorted(used_shards(conn) - names):
        reason = f"domains are in the shard {name}, which is not in store.shards"
        yield Finding("store.shards", reason)
    for name in sorted(names - {MAIN_SHARD} - {row.name for row in list_shards(conn)}):
        reason = f"the shard does not exist; run `zajil shard create {name}`"
        yield Finding(f"store.shards.{name}", reason)


def _replica(configuration: Configuration) -> Iterator[Finding]:
    replica = make_replica(configuration.store, configuration.store.timeout_ms / 1000)
    if replica is not None:
        try:
            for reason in replica.advise():
                yield Finding("store.replica_url", reason, is_warning=True)
        finally:
            replica.close()


def worker_count(configuration: Configuration) -> int:
    """Return how many worker processes a configuration asks for."""
    return configuration.server.workers or os.cpu_count() or 1


def _addresses(conn: Snapshot, configuration: Configuration) -> Iterator[Finding]:
    """Return addresses of options that lead nowhere in this store."""
    echo = configuration.mail.echo_accounts
    for option, texts in (("alerts.to", configuration.alerts.to), ("mail.echo_accounts", echo)):
        for text in texts:
            found = look_up(conn, parse_address(text))
            if found.entry is None and (found.is_local or option != "alerts.to"):
                yield Finding(option, f"nobody here has the address {text}", is_warning=True)


def _tls_files(configuration: Configuration) -> Iterator[Finding]:
    tls = configuration.tls
    for pair in tls.own_files:
        try:
            server_context(*pair)
        except BadCertificate as error:
            yield Finding("tls", str(error))
    authority = configuration.acme.ca_file
    for option, file in (("tls.ca_file", tls.ca_file), ("acme.ca_file", authority)):
        try:
            client_context(file, verify=True)
        except BadCertificate as error:
            yield Finding(option, str(error))
    try:
        read_mark_roots(configuration.web.bimi_roots)
    except BadCertificate as error:
        yield Finding("web.bimi_roots", str(error))


def _user(server: ServerOptions) -> pwd.struct_passwd | None:
    """Return who the server runs as, if that is written down; raises ``WrongUser``."""
    return None if server.user is None else find_user(server.user)


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def _holds_secrets(configuration: Configuration) -> bool:
    secrets = (
        configuration.login.token_client_secret,
        configuration.smarthost.password,
        configuration.dns_provider.options,
        configuration.acme.eab_hmac_key,
    )
    return configuration.store.url != "sqlite" or any(secrets)
