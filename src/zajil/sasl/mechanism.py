"""Mechanisms by name (RFC 4422 section 3.1)."""

from __future__ import annotations

from zajil.sasl.login import Login
from zajil.sasl.plain import Plain
from zajil.sasl.step import Mechanism

PASSWORD_MECHANISMS = (Plain.name, Login.name)
"""Those that carry the password itself, in the order we announce them."""


def make_mechanism(name: str) -> Mechanism | None:
    """Begin an exchange; ``None``: we do not do this mechanism."""
    if name == Plain.name:
        return Plain()
    if name == Login.name:
        return Login()
    return None
