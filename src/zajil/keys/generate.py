"""Generation of signing keys, and parsing of stored ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from zajil.store.people.dkim_keys import Algorithm, DkimKeyRow, KeyState, NewDkimKey, NewDkimKeys

_SETTLED = set(KeyState) - {KeyState.PUBLISHED}
"""Beside keys that wait for their turn already, none is made to wait."""
_MARKS: dict[Algorithm, str] = {"rsa-sha256": "rsa", "ed25519-sha256": "ed"}


def generate_keys(
    domain: str,
    algorithms: Sequence[Algorithm],
    state: KeyState,
    *,
    rsa_bits: int,
    now_ms: int,
    there: Sequence[DkimKeyRow] = (),
) -> NewDkimKeys:
    """Make one key for each algorithm; an RSA key takes a tenth of a second, or a whole one.

    Args:
        domain: ASCII name.
        algorithms: of the keys.
        state: ``PUBLISHED`` or ``ACTIVE``.
        rsa_bits: size of RSA keys.
        now_ms: names them: ``rsa-20261124``.
        there: the keys of the domain, none of whose selectors is taken again.
    """
    taken = {row.selector for row in there}
    selectors = [choose_selector(algorithm, now_ms, taken) for algorithm in algorithms]
    keys = [
        _generate(algorithm, rsa_bits, selector)
        for algorithm, selector in zip(algorithms, selectors, strict=True)
    ]
    states = frozenset(KeyState if state is KeyState.ACTIVE else _SETTLED)
    return NewDkimKeys(domain, tuple(keys), now_ms, state, states if there else frozenset())


def choose_selector(algorithm: Algorithm, now_ms: int, taken: Collection[str]) -> str:
    """Name a key after its algorithm and its day; the second one of a day gets a number."""
    day = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%d")
    name = selector = f"{_MARKS[algorithm]}-{day}"
    number = 1
    while selector in taken:
        number += 1
        selector = f"{name}-{number}"
    return selector


def load_private_key(der: bytes) -> RSAPrivateKey | Ed25519PrivateKey:
    """Read a private key that ``generate_keys`` made.

    Raises:
        ValueError: it is none.
    """
    # The check of an RSA key takes 50 ms; it is our own, and its first signature would fail.
    key = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise ValueError("neither an RSA key nor an Ed25519 key")
    return key


def _generate(algorithm: Algorithm, rsa_bits: int, selector: str) -> NewDkimKey:
    private: RSAPrivateKey | Ed25519PrivateKey
    if algorithm == "rsa-sha256":
        private = generate_private_key(public_exponent=65537, key_size=rsa_bits)
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw()
    secret = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return NewDkimKey(selector, algorithm, secret, public)
