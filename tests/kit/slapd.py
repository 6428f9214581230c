"""OpenLDAP's slapd with people of an organisation, unprivileged and on loopback."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import ldap3

from kit.certificates import TestAuthority
from kit.foreign import need_program
from kit.name_servers import free_port
from zajil.config.options_directory import DirectoryOptions

BASE = "dc=south,dc=test"
PEOPLE = f"ou=people,{BASE}"
ADMIN_DN, ADMIN_PASSWORD = f"cn=root,{BASE}", "secret of the root"
SERVICE_DN, SERVICE_PASSWORD = f"cn=zajil,{BASE}", "secret of the service"
_START_SECONDS = 60.0

_CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCACertificateFile {ca}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
database mdb
maxsize 104857600
suffix "{base}"
rootdn "{root}"
rootpw "{password}"
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{service}" read by anonymous auth by * none
{more}
"""


@dataclass(slots=True)
class Slapd:
    """A directory that runs."""

    folder: Path
    plain_port: int
    tls_port: int
    authority: TestAuthority
    arguments: Sequence[str]
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def ldaps(self) -> str:
        """Address with TLS from the first byte."""
        return f"ldaps://localhost:{self.tls_port}"

    @property
    def starttls(self) -> str:
        """Address that is not on this machine, as far as the name tells."""
        return f"ldap://127.0.0.2:{self.plain_port}"

    @property
    def socket(self) -> str:
        """Address of the Unix socket."""
        return f"ldapi://{quote(str(self.folder / 'ldapi'), safe='')}"

    def options(self, **others: Any) -> DirectoryOptions:
        """Return ``[directory]`` for it."""
        values: dict[str, Any] = {
            "urls": (self.ldaps,),
            "ca_file": self.authority.ca_file,
            "bind_dn": SERVICE_DN,
            "password": SERVICE_PASSWORD,
            "base": PEOPLE,
            "domains": ("south.test",),
            "alias_attribute": "labeledURI",
            "quota_attribute": "employeeNumber",
            "timeout_ms": 30_000,
        }
        return DirectoryOptions().model_copy(update={**values, **others})

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(self.arguments, stderr=log)
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.tls_port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)

    def stop(self) -> None:
        """Stop it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    @contextmanager
    def editor(self) -> Iterator[ldap3.Connection]:
        """Yield a connection that may change everything."""
        server = ldap3.Server("127.0.0.1", port=self.plain_port, get_info=ldap3.NONE)
        conn = ldap3.Connection(server, ADMIN_DN, ADMIN_PASSWORD, raise_exceptions=True)
        conn.bind()
        try:
            yield conn
        finally:
            conn.unbind()

    def add(self, uid: str, **attributes: object) -> str:
        """Add a person; returns the DN. The password is ``password of UID``."""
        dn = f"uid={uid},{PEOPLE}"
        values: dict[str, Any] = {
            "cn": uid.title(),
            "sn": uid,
            "mail": f"{uid}@south.test",
            "userPassword": f"password of {uid}",
        }
        with self.editor() as conn:
            conn.add(dn, ["inetOrgPerson"], {**values, **attributes})
        return dn

    def change(self, uid: str, **attributes: object) -> None:
        """Replace attributes of a person."""
        changes: Mapping[str, Any] = {
            name: [(ldap3.MODIFY_REPLACE, value if isinstance(value, list) else [value])]
            for name, value in attributes.items()
        }
        with self.editor() as conn:
            conn.modify(f"uid={uid},{PEOPLE}", changes)

    def rename(self, uid: str, new: str) -> None:
        """Give a person another DN."""
        with self.editor() as conn:
            conn.modify_dn(f"uid={uid},{PEOPLE}", f"uid={new}")

    def remove(self, uid: str) -> None:
        """Delete a person."""
        with self.editor() as conn:
            conn.delete(f"uid={uid},{PEOPLE}")


def person(uid: str, **attributes: str) -> str:
    """Return a person as LDIF; the password is ``password of UID``."""
    values = {
        "cn": uid.title(),
        "sn": uid,
        "uid": uid,
        "mail": f"{uid}@south.test",
        "userPassword": f"password of {uid}",
        **attributes,
    }
    lines = [f"dn: uid={uid},{PEOPLE}", "objectClass: inetOrgPerson"]
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in values.items()), ""])


@contextmanager
def serving(folder: Path, people: Sequence[str] = (), *, more: str = "") -> Iterator[Slapd]:
    """Start a directory with people (``person``).

    Args:
        folder: for everything it needs; short, because of the socket.
        people: LDIF of each.
        more: lines for the configuration of its database.
    """
    slapd, slapadd = need_program("slapd"), need_program("slapadd")
    authority = TestAuthority(folder)
    certificate, key = authority.issue("localhost", "127.0.0.2")
    (folder / "data").mkdir()
    configuration, ldif = folder / "slapd.conf", folder / "people.ldif"
    configuration.write_text(
        _CONFIGURATION.format(
            folder=folder,
            ca=authority.ca_file,
            certificate=certificate,
            key=key,
            more=more,
            base=BASE,
            root=ADMIN_DN,
            password=ADMIN_PASSWORD,
            service=SERVICE_DN,
        )
    )
    head = [
        f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: South\ndc: south\n",
        f"dn: {SERVICE_DN}\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\n"
        f"cn: zajil\nuserPassword: {SERVICE_PASSWORD}\n",
        f"dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: people\n",
    ]
    ldif.write_text("\n".join([*head, *people]))
    subprocess.run(
        [slapadd, "-q", "-f", str(configuration), "-l", str(ldif)], check=True, capture_output=True
    )
    plain, encrypted = free_port(), free_port()
    listen = " ".join(
        [
            f"ldap://127.0.0.1:{plain}/",
            f"ldap://127.0.0.2:{plain}/",
            f"ldaps://127.0.0.1:{encrypted}/",
            f"ldapi://{quote(str(folder / 'ldapi'), safe='')}/",
        ]
    )
    server = Slapd(
        folder,
        plain,
        encrypted,
        authority,
        [slapd, "-f", str(configuration), "-h", listen, "-d", "0"],
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()
