"""The domains of the lab and their accounts, as plain data.

In the Arabic domain every address has a UTF-8 local part, and every account has an ASCII log-in
name, because many clients do not support others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zajil.core.address import Address
from zajil.core.domain import to_ascii

ECHO_LOGIN = "echo"
"""Login name and local part of the account of each domain that answers what it gets."""


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """One account that the lab makes."""

    login: str
    address: Address
    display_name: str
    admin: bool
    password_name: str
    """Under what ``lab.json`` keeps its password; the added accounts of a domain share one."""


@dataclass(frozen=True, slots=True)
class DomainPlan:
    """One mail domain of the lab."""

    domain: str
    """As people read it."""
    label: str
    """ASCII word for folders, cookies and schemas."""
    accounts: tuple[AccountPlan, ...]
    """The first is an admin's."""

    @property
    def ascii_domain(self) -> str:
        """The domain on the wire."""
        return to_ascii(self.domain)

    @property
    def hostname(self) -> str:
        """The name of its server: the target of its MX record."""
        return f"mx.{self.ascii_domain}"


_DOMAINS: Sequence[tuple[str, str, Sequence[tuple[str, str, str]]]] = (
    ("north.test", "north", (("amal", "amal", "Amal North"), ("badr", "badr", "Badr North"))),
    ("south.test", "south", (("noor", "noor", "Noor South"), ("samir", "samir", "Samir South"))),
    ("زاجل.test", "zajil", (("salma", "سلمى", "سلمى الزاجل"), ("yusuf", "يوسف", "يوسف الزاجل"))),
)


def lab_domains(more_accounts: int = 0) -> tuple[DomainPlan, ...]:
    """Return the lab's domains, each with ``more_accounts`` beside its two."""
    return tuple(
        DomainPlan(domain, label, _accounts(domain, people, more_accounts))
        for domain, label, people in _DOMAINS
    )


def _accounts(
    domain: str, people: Sequence[tuple[str, str, str]], more: int
) -> tuple[AccountPlan, ...]:
    ascii_domain = to_ascii(domain)
    first = [
        AccountPlan(
            login=login,
            address=Address(local_part, ascii_domain),
            display_name=name,
            admin=number == 0,
            password_name=f"{login}@{ascii_domain}",
        )
        for number, (login, local_part, name) in enumerate(people)
    ]
    pigeon = "pigeon" if domain.isascii() else "حمامة"
    pigeons = [
        AccountPlan(
            login=f"pigeon{number}",
            address=Address(f"{pigeon}{number}", ascii_domain),
            display_name=f"{pigeon} {number}",
            admin=False,
            password_name=f"pigeons@{ascii_domain}",
        )
        for number in range(1, more + 1)
    ]
    return (*first, *pigeons)
