"""Password hashes of other programs: known answers, what is refused, and the first log-in."""

from __future__ import annotations

import asyncio
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.login import HASHER, open_desk
from kit.store import make_account, running
from zajil.core.ids import AccountId
from zajil.login.foreign_hashes import (
    UnsupportedHash,
    is_foreign,
    matches_foreign,
    plain_password,
    read_foreign_hash,
)
from zajil.store.engine.open import Store
from zajil.store.people.accounts import BetterHash, get_account, replace_hash

PASSWORD = "hunter2 lönger"
KNOWN = [
    "{SHA512-CRYPT}$6$pVPKkiLGtB9ah.5H$hslONyplT.Yfp58NMaJNbmSNLFpriazxobHop02Fyw/ySg"
    "JXGyGNlV2Xdrr5jo8A0Xxo/S9ypj0iP73c9T95d0",
    "{SHA256-CRYPT}$5$bqlCaB7Tk52pWG6J$OUXMB2aHzjw92DKhgMGSM9iQWZdgL02IB/b7.gArtiC",
    "{DES-CRYPT}wh2KWL7BLn0SU",
    "{BLF-CRYPT}$2y$05$ZgEkWh/Ly90pzFs5RlWU4etFRdHPhCdCDMOPrJfCi6Oy.2ubBNSVK",
    "{SSHA}JkgbTeYj8/KFQQ5gPR1J/stmHerNdTxI",
    "{SSHA256}/HcNMkjlR0elDz+ty6oBQF/0oJHLGqqXWF/vcybSSoddi1Gj",
    "{SSHA512}sclWI38k/OVD/ovOtFf/5rb3+kmMT+EFtqModSFMwGSjuWU7v7WnRnYQKIGrSzSEFNpc1kY"
    "+Rn/pLI859P5za3jgS6I=",
    "{PBKDF2}$1$oIqDwNQZMQ/zuVji$5000$6ed74a86b1c51d784e6a0411b6130d2055d4102c",
    "{SCRAM-SHA-256}4096,mheiOB5NGGoKHzenxAFNNg==,qhCryft+lBukyiM3zqeJt6kCykcP6XvOL79"
    "jDFw3Wvs=,89bFFMqmikkTWTQ24ot+8n5S4n+G8mkFCPVpuoLfBBI=",
    "{SCRAM-SHA-1}4096,5+A8S854Jszr55zn2KAnrQ==,S8GRs8OHElapGNVlQxbCwSGF5AI=,BlvMzMM9"
    "24XugH4L/iJ1D+4UZo0=",
    "{SMD5}Mb736h6k/z5D7aOD9N/BofLP/4M=",
    "{PLAIN-MD5}ee2ffbb815fd58bf6a5afbd94144e2cf",
    "{LDAP-MD5}7i/7uBX9WL9qWvvZQUTizw==",
    "{SHA1}4iD73yn0oH1cS1ze/iFmNArV3Es=",
    "{SHA}4iD73yn0oH1cS1ze/iFmNArV3Es=",
    "{SHA256}lLdQc2dIUjtgVKGj2ISB1j6GHnysIC3pAZSeBJkPN9s=",
    "{SHA512.HEX}ee1a637825a3111027dd5b1480740141b10208623fa6a73cfd493a9e13f23b0f6ae9"
    "71d8f0132626882ed8ae193a47fdbaeb93782769ce2da4a20d037ef8ebce",
    "{SHA512}7hpjeCWjERAn3VsUgHQBQbECCGI/pqc8/Uk6nhPyOw9q6XHY8BMmJogu2K4ZOkf9uuuTeCdp"
    "zi2kog0Dfvjrzg==",
    "{MD5}$1$On.scxvS$B60.QzqK.hPW3xgYDzRfD.",
    "{MD5-CRYPT}$1$w4kqLTQD$0ZR7DFyfgneVc.djwBu1n.",
    "{PLAIN}hunter2 lönger",
    "{SSHA.HEX}47862e1161b8a20880daaab9ad69befeaab17a92bdbca299",
    "{ARGON2I}$argon2i$v=19$m=32768,t=3,p=1$iZcoLoQjK1nHrdSj591apw$SJztYMq/do/5CbVei3"
    "W7DE3GVBEZ0ntR9zVbIgS4xYU",
    "{ARGON2ID}$argon2id$v=19$m=262144,t=3,p=1$EfRwALGAnpqokrnqTbxvqA$BI8Eo2l5sBzrkyD"
    "mgqeIX3Rz3d+7ZkJPcRFMk/tGk+k",
    "{CRYPT}$y$j9T$abcdefgh$anbmOpmXqTb7LvaWdpZIg.6z2mSqOL5KxJF.5gDUlI9",
    "{SHA512-CRYPT.B64}JDYkcm91bmRzPTEwMDAkYWJjZGVmZ2gkdHJ2MFZCbnhlRjJjdjFqeWVCLjB2Rk"
    "JGUXUzdGdJWXBGME1uUkJRSDB6VkNwTTNWMGkzWUxUWkJ1VTIvNlpxRWJaM2tBb0RMUzRyUlk2ZW1OSHhLTDE=",
]
"""Of ``PASSWORD``: by ``doveadm pw`` of Dovecot 2.3.19 and crypt(3) of libxcrypt 4.4.33."""


@pytest.mark.parametrize("stored", KNOWN, ids=lambda text: text.partition("}")[0][1:])
def test_known_answers(stored: str) -> None:
    assert read_foreign_hash(stored) == stored
    assert matches_foreign(stored, PASSWORD)
    assert not matches_foreign(stored, "Hunter2 lönger")
    assert not matches_foreign(stored, "")


def test_a_hash_without_a_scheme_has_the_one_that_is_given() -> None:
    crypted = next(one for one in KNOWN if one.startswith("{SHA512-CRYPT}$"))
    assert read_foreign_hash(crypted.partition("}")[2]).startswith("{CRYPT}$6$")
    digest = next(one for one in KNOWN if one.startswith("{SSHA}")).partition("}")[2]
    assert matches_foreign(read_foreign_hash(digest, "SSHA"), PASSWORD)


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ("{CRAM-MD5}d59c791a1b0f9687626585fe29d41f98", "scheme CRAM-MD5 is not supported"),
        ("{DIGEST-MD5}857e405726585b761c9667e311cad0d2", "DIGEST-MD5"),
        ("{NTLM}857e405726585b761c9667e311cad0d2", "NTLM"),
        ("{}x", "malformed"),
        ("{SSHA", "malformed"),
        ("{SSHA}", "empty"),
        ("{SSHA}not base64!", "neither Base64"),
        ("{SSHA}AAAA", "wrong length"),
        ("{SHA256.ROT13}AAAA", "encoding .ROT13"),
        ("{CRYPT}$7$CU..../....salt$x", r"method \$7\$"),
        ("{CRYPT}*0", "scheme CRYPT is not supported"),
        ("{CRYPT}", "empty"),
        ("{CRYPT}$6$sält$" + "a" * 86, "malformed"),
        # Security: each of these would take minutes or all memory.
        ("{CRYPT}$6$rounds=999999999$salt$" + "a" * 86, "too many rounds"),
        ("{CRYPT}$2y$31$" + "a" * 53, "too many rounds"),
        ("{CRYPT}$y$jHT$salt$" + "a" * 43, "costs too much"),
        ("{PBKDF2}$1$salt$99999999$" + "a" * 40, "too many"),
        ("{PBKDF2}$1$salt$0$" + "a" * 40, "no rounds"),
        ("{SCRAM-SHA-256}999999999,AAAA,AAAA,AAAA", "too many"),
        ("{SCRAM-SHA-256}4096,AAAA", "malformed"),
        ("{ARGON2ID}$argon2id$v=19$m=9999999,t=3,p=1$c2FsdHNhbHQ$" + "a" * 43, "costs too much"),
        ("{ARGON2ID}$argon2id$v=19$m=65536,t=999,p=1$c2FsdHNhbHQ$" + "a" * 43, "costs too much"),
        ("{SSHA512}" + "A" * 5000, "malformed"),
        ("{PLAIN}a\x00b", "malformed"),
    ],
)
def test_what_cannot_be_verified_in_time_is_refused(stored: str, reason: str) -> None:
    with pytest.raises(UnsupportedHash, match=reason):
        read_foreign_hash(stored)
    assert not matches_foreign(stored, "password")


@given(st.text(max_size=80) | st.from_regex(r"\{[A-Z0-9-]{1,12}\}[ -~]{0,60}", fullmatch=True))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        stored = read_foreign_hash(text)
    except UnsupportedHash:
        return
    assert is_foreign(stored)
    assert plain_password(stored) is None or stored.upper().startswith(("{PLAIN", "{CLEAR"))


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("doveadm") is None, reason="doveadm is not installed")
@pytest.mark.parametrize("scheme", ["BLF-CRYPT", "SSHA512", "PBKDF2", "SCRAM-SHA-256", "MD5"])
def test_hashes_of_doveadm(scheme: str) -> None:
    command = ["doveadm", "-c", "/dev/null", "pw", "-s", scheme, "-p", PASSWORD]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert matches_foreign(read_foreign_hash(made), PASSWORD)


def test_the_first_log_in_replaces_the_hash(store: Store) -> None:
    """A wrong password costs one computation as anywhere else, and changes nothing."""
    foreign = next(one for one in KNOWN if one.startswith("{SSHA512}"))
    amal = make_account(store, "amal@south.test", password_hash=foreign)

    def stored() -> str:
        row = store.read_now(lambda conn: get_account(conn, amal.account_id))
        assert row is not None
        return row.password_hash

    async def run() -> None:
        async with running(store):
            desk = open_desk(store)
            assert await desk.cost_of("amal", "wrong password") == (False, 1)
            assert stored() == foreign
            assert await desk.cost_of("amal", PASSWORD) == (True, 1)
            assert HASHER.verify(stored(), PASSWORD)
            assert await desk.cost_of("amal", PASSWORD) == (True, 1)
            assert await desk.cost_of("amal", PASSWORD) == (True, 0)

    asyncio.run(run())


def test_a_password_that_was_changed_meanwhile_is_kept(store: Store) -> None:
    amal = make_account(store, "amal@south.test", password_hash="new")
    assert not store.write_now(replace_hash, BetterHash(amal.account_id, "old", "better"))
    assert not store.write_now(replace_hash, BetterHash(AccountId(999), "old", "better"))
    row = store.read_now(lambda conn: get_account(conn, amal.account_id))
    assert row is not None
    assert row.password_hash == "new"
