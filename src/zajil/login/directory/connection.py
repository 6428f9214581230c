"""Connections to the LDAP servers: TLS, the log-in of this server, time limits.

Everything here waits, and is called in a thread.

Laws:
- A password travels only over TLS with a verified certificate, or by a Unix socket, or on this
  machine. There is no option for anything else (RFC 4513 section 5.1.3).
- Referrals are not followed: the server that they name would get the password.
- An answer that is not whole is an error: a limit of the server must not look like fewer people.
- An answer that does not end is an error, too: it would keep a thread for ever.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from zajil.config.options_directory import DirectoryOptions
from zajil.core.errors import Unavailable
from zajil.login.tokens import JudgeUnavailable

_PAGE = 500
"""Entries of one page (RFC 2696); Active Directory gives up to 1000."""
_MOST = 1_000_000
"""Entries that are read; more are a mistake in the base or the filter."""
_MOST_EMPTY = 100
"""Pages without an entry, one after the other."""
_PATIENCE = 6
"""A whole answer may take so many times ``directory.timeout``."""
_PAGED_RESULTS = "1.2.840.113556.1.4.319"
_HERE = ("127.0.0.1", "::1", "localhost")


class DirectoryUnavailable(JudgeUnavailable):
    """No server of the directory can be reached or asked; the text says why, without secrets."""


class NoLdapLibrary(Unavailable):
    """The extra ``directory`` is not installed."""


def load_ldap3() -> Any:
    """Return the library.

    Raises:
        NoLdapLibrary: it is not installed.
    """
    try:
        # Imported here, because it takes 15 MiB, and few servers have a directory.
        import ldap3
    except ImportError:
        raise NoLdapLibrary(
            "[directory] needs the package ldap3: pip install 'zajil[directory]'"
        ) from None
    return ldap3


@contextmanager
def connected(options: DirectoryOptions) -> Iterator[Any]:
    """Connect to the first server that answers, log in as ``bind_dn``, and close at the end.

    Raises:
        DirectoryUnavailable: none can be reached, or each refuses the log-in.
        NoLdapLibrary: the library is not installed.
    """
    conn = open_service(options)
    try:
        yield conn
    finally:
        close(conn)


def open_service(options: DirectoryOptions) -> Any:
    """Return a connection that is logged in as ``bind_dn``; the caller closes it.

    Raises:
        DirectoryUnavailable, NoLdapLibrary: as ``connected``.
    """
    ldap3 = load_ldap3()
    reasons: list[str] = []
    for url in options.urls:
        conn = None
        try:
            conn = _connect(ldap3, url, options, options.bind_dn, options.password)
            with _limited(conn):
                is_bound = conn.bind()
            if is_bound:
                return conn
            reasons.append(f"{url}: the log-in of directory.bind_dn was refused")
        except (ldap3.core.exceptions.LDAPException, OSError) as error:
            reasons.append(f"{url}: {describe(error)}")
        if conn is not None:
            close(conn)
    raise DirectoryUnavailable("cannot ask the directory: " + "; ".join(reasons))


def binds(options: DirectoryOptions, url_of: Any, dn: str, password: str) -> bool:
    """Return whether the owner of an entry proves to know its password.

    Args:
        options: of the directory.
        url_of: a connection to the server that is to be asked.
        dn: name of the entry; it came from the directory.
        password: of the person, never empty.

    Raises:
        DirectoryUnavailable: the server cannot say now.
    """
    ldap3 = load_ldap3()
    # Security: an empty password is an "unauthenticated bind", which succeeds for anybody
    # (RFC 4513 section 5.1.2); so does one for an empty name.
    if not password or "\0" in password or not dn:
        return False
    conn = None
    try:
        conn = _connect(ldap3, url_of.zajil_url, options, dn, password)
        with _limited(conn):
            return bool(conn.bind())
    except ldap3.core.exceptions.LDAPOperationResult as error:
        if error.result in _REFUSALS:
            return False
        raise DirectoryUnavailable(f"the directory did not check: {describe(error)}") from None
    except (ldap3.core.exceptions.LDAPException, OSError) as error:
        raise DirectoryUnavailable(f"cannot ask the directory: {describe(error)}") from None
    finally:
        if conn is not None:
            close(conn)


_REFUSALS = frozenset({32, 34, 48, 49, 50, 53, 19})
"""Results that say no to this person (RFC 4511 appendix A.1): noSuchObject, invalidDNSyntax,
inappropriateAuthentication, invalidCredentials, insufficientAccessRights, unwillingToPerform,
constraintViolation (a locked or expired password). All others are faults of the server."""


def _connect(ldap3: Any, url: str, options: DirectoryOptions, dn: str | None, secret: Any) -> Any:
    parts, seconds = urlsplit(url), options.timeout_ms / 1000
    is_local = parts.scheme == "ldapi" or parts.hostname in _HERE
    tls = None if parts.scheme == "ldapi" else _make_tls(ldap3, options)
    server = ldap3.Server(
        url if parts.scheme == "ldapi" else parts.hostname,
        port=parts.port or (636 if parts.scheme == "ldaps" else 389),
        use_ssl=parts.scheme == "ldaps",
        tls=tls,
        get_info=ldap3.NONE,
        connect_timeout=seconds,
        allowed_referral_hosts=[],
    )
    conn = ldap3.Connection(
        server,
        user=dn,
        password=secret,
        authentication=ldap3.SIMPLE if dn else ldap3.ANONYMOUS,
        auto_referrals=False,
        raise_exceptions=True,
        check_names=False,
        receive_timeout=max(1, round(seconds)),  # whole seconds: it packs them into a C long
        read_only=True,
    )
    conn.zajil_url, conn.zajil_seconds = url, seconds * _PATIENCE
    try:
        conn.open()
        if parts.scheme == "ldap" and not is_local and not conn.start_tls(read_server_info=False):
            raise DirectoryUnavailable(f"{url}: TLS could not be started")
    except BaseException:
        _drop(conn)
        raise
    return conn


def _make_tls(ldap3: Any, options: DirectoryOptions) -> Any:
    """Return what wraps a socket; certificate and name are checked by OpenSSL.

    The library's own check of the name calls a function that Python 3.12 does not have.
    """
    try:
        context = ssl.create_default_context(
            cafile=None if options.ca_file is None else str(options.ca_file)
        )
    except OSError as error:
        raise DirectoryUnavailable(f"cannot read {options.ca_file}: {describe(error)}") from None

    class VerifyingTls(ldap3.Tls):  # type: ignore[misc]
        def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
            connection.socket = context.wrap_socket(
                connection.socket,
                server_hostname=connection.server.host,
                do_handshake_on_connect=do_handshake,
            )

    return VerifyingTls(validate=ssl.CERT_REQUIRED)


def search(conn: Any, base: str, filter_: str, attributes: list[str]) -> Iterator[Any]:
    """Yield ``(dn, raw attributes)`` of all entries below a base, page by page (RFC 2696).

    Raises:
        DirectoryUnavailable: the answer is not whole.
    """
    ldap3 = load_ldap3()
    cookie: bytes | None = None
    count = empty = 0
    try:
        while True:
            with _limited(conn):
                conn.search(
                    base, filter_, attributes=attributes, paged_size=_PAGE, paged_cookie=cookie
                )
            result = conn.result
            # The library raises for all results but those of a limit of size or time.
            if result["result"] != 0:
                raise DirectoryUnavailable(f"cannot search {base}: {result['description']}")
            found = [entry for entry in conn.response if entry["type"] == "searchResEntry"]
            count, empty = count + len(found), 0 if found else empty + 1
            if count > _MOST or empty > _MOST_EMPTY:
                raise DirectoryUnavailable(f"the answer does not end: more than {_MOST} entries")
            for entry in found:
                yield entry["dn"], entry["raw_attributes"]
            control = (result.get("controls") or {}).get(_PAGED_RESULTS, {})
            cookie = control.get("value", {}).get("cookie")
            if not cookie:
                return
    except (ldap3.core.exceptions.LDAPException, OSError) as error:
        raise DirectoryUnavailable(f"cannot search {base}: {describe(error)}") from None


@contextmanager
def _limited(conn: Any) -> Iterator[None]:
    """Break the connection if the whole of an answer takes too long: then the library fails."""

    def interrupt() -> None:
        with suppress(OSError):
            # Not that of SSLSocket, which is not for several threads.
            socket.socket.shutdown(conn.socket, socket.SHUT_RDWR)

    timer = threading.Timer(conn.zajil_seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def close(conn: Any) -> None:
    """Close a connection, in whatever state it is."""
    ldap3 = load_ldap3()
    with suppress(ldap3.core.exceptions.LDAPException, OSError):
        conn.unbind()
    _drop(conn)


def _drop(conn: Any) -> None:
    """Close the socket, which the library leaves open after some errors."""
    if conn.socket is not None:
        with suppress(OSError):
            conn.socket.close()


def describe(error: Exception) -> str:
    """Return an error of the library in one line, without anything that was sent."""
    result = getattr(error, "description", None)
    text = re.sub(r"\(_ssl\.c:\d+\)", "", " ".join(str(result or error).split()))
    # The library wraps some texts in tuples of tuples.
    return (text.strip("()'\", ") or type(error).__name__)[:300]
