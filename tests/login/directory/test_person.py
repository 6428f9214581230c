"""An entry of a directory becomes a person, or is left out with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from zajil.config.options_directory import DirectoryOptions
from zajil.login.directory.ldap import normalize_dn
from zajil.login.directory.person import (
    DirectoryPerson,
    UnusableEntry,
    read_person,
    read_quota,
    subject_filter,
)

OPTIONS = DirectoryOptions(
    urls=("ldaps://ldap.south.test",),
    base="dc=south,dc=test",
    domains=("south.test", "xn--mgbkq8e.xn--wgbh1c"),
    alias_attribute="proxyAddresses",
    quota_attribute="mailQuota",
)
ENTRY: dict[str, list[bytes]] = {
    "entryUUID": [b"7dec59dc-80d4-1041-947c-059eecfab242"],
    "mail": [b"amal@south.test"],
    "UID": [b"Amal"],
    "cn": [b"Amal S"],
}


def read(**changes: Any) -> DirectoryPerson | UnusableEntry:
    entry = {name: value for name, value in {**ENTRY, **changes}.items() if value is not None}
    return read_person("uid=amal", entry, OPTIONS)


def test_attributes_become_fields() -> None:
    person = read(
        displayName=["سلمى".encode()],
        proxyAddresses=[
            b"SMTP:amal@south.test",
            b"smtp:a@south.test",
            b"a.s@south.test",
            b"smtp:a@north.test",
            b"x500:/o=South/cn=a@south.test",
        ],
        mailQuota=[b"2G"],
    )
    assert isinstance(person, DirectoryPerson)
    assert (person.login, person.display_name, person.quota) == ("amal", "سلمى", 2 << 30)
    assert [str(one) for one in person.aliases] == ["a.s@south.test", "a@south.test"]


def test_what_is_missing_has_a_stand_in() -> None:
    person = read(UID=None, mail=[b"x@north.test", b"amal@SOUTH.test"])
    assert isinstance(person, DirectoryPerson)
    assert (person.login, person.display_name, person.quota) == (None, "Amal S", None)
    assert person.address.domain == "south.test"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"entryUUID": None}, "no entryUUID"),
        ({"entryUUID": [b"a", b"b"]}, "no entryUUID"),
        ({"entryUUID": [b"\xff"]}, "no entryUUID"),
        ({"mail": None}, "no address"),
        ({"mail": [b"amal@north.test"]}, "not an address in directory.domains"),
        ({"mail": [b"*@south.test"]}, "not an address"),
        ({"mail": [b"amal@south.test\nbcc: x"]}, "not an address"),
        ({"mailQuota": [b"lots"]}, "not a quota"),
        ({"mailQuota": [b"9999999999G"]}, "not a quota"),
    ],
)
def test_others_are_left_out(changes: dict[str, Any], reason: str) -> None:
    left = read(**changes)
    assert isinstance(left, UnusableEntry)
    assert reason in left.reason


def test_an_id_is_escaped_whole() -> None:
    """RFC 4515 section 3: no value, whatever it is, ends the filter."""
    options = OPTIONS.model_copy(update={"id_attribute": "objectGUID"})
    assert subject_filter("00ff28", options).endswith("(objectGUID=\\00\\ff\\28))")
    hostile = subject_filter("x)(uid=*", OPTIONS)
    assert hostile.endswith("(entryUUID=\\78\\29\\28\\75\\69\\64\\3d\\2a))")
    entry = {**ENTRY, "objectGUID": [bytes(range(16))]}
    person = read_person("x", entry, options)
    assert isinstance(person, DirectoryPerson)
    assert person.subject == bytes(range(16)).hex()


@given(st.dictionaries(st.sampled_from([*ENTRY, "proxyAddresses"]), st.lists(st.binary())))
def test_any_entry_is_read(entry: dict[str, list[bytes]]) -> None:
    read_person("x", {**ENTRY, **entry}, OPTIONS)


def test_quotas_are_bytes_or_sizes() -> None:
    assert [read_quota(text) for text in ("0", "1048576", "1G")] == [0, 1 << 20, 1 << 30]


def test_spellings_of_a_name_are_equal() -> None:
    assert normalize_dn("UID=Amal, ou=People") == normalize_dn("uid=amal,OU=people")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"urls": ("http://x",)}, "not an address like"),
        ({"urls": ("ldap://user:secret@x",)}, "not an address like"),
        ({"urls": ("ldapi://nowhere",)}, "not an address like"),
        ({"urls": ("ldaps://x:0",)}, "not an address like"),
        ({"urls": ("ldaps://x",)}, "required with"),
        ({"urls": ("ldaps://x",), "base": "dc=x"}, "required with"),
        ({"bind_dn": "cn=x"}, "together"),
        ({"bind_dn": "cn=x", "password": ""}, "empty"),
        ({"filter": "objectClass=x"}, "LDAP filter"),
        ({"filter": "(a=b))(c=d"}, "LDAP filter"),
        ({"filter": "(a=b)(c=d)"}, "LDAP filter"),
        ({"filter": "((a=b)"}, "LDAP filter"),
    ],
)
def test_wrong_options_are_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        DirectoryOptions(**values)
