"""Who lives in the lab."""

from __future__ import annotations

from zajil.lab.domains import lab_domains


def test_three_domains_one_of_them_arabic() -> None:
    plans = lab_domains()
    assert [plan.domain for plan in plans] == ["north.test", "south.test", "زاجل.test"]
    assert plans[2].ascii_domain.startswith("xn--")


def test_each_has_two_accounts_and_the_first_is_an_admins() -> None:
    for plan in lab_domains():
        assert [who.admin for who in plan.accounts] == [True, False]


def test_more_accounts_on_demand() -> None:
    for plan in lab_domains(3):
        assert [who.login for who in plan.accounts[2:]] == ["pigeon1", "pigeon2", "pigeon3"]
        assert not any(who.admin for who in plan.accounts[2:])


def test_the_arabic_domain_has_utf8_addresses_and_ascii_logins() -> None:
    for who in lab_domains(2)[2].accounts:
        assert not who.address.is_ascii
        assert who.login.isascii()
