"""What a running server takes over from its configuration file at SIGHUP, and what it does not."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

from zajil.config.load import option_names
from zajil.config.options import Configuration
from zajil.net.log import set_up_log
from zajil.tls.context import replace_certificate

RELOADABLE = ("tls.certificate", "tls.key", "log.level", "log.format")
"""Options that count at once; the text of each says so. All others count from the next start."""


def take_over(
    current: Configuration, new: Configuration, context: ssl.SSLContext | None
) -> Configuration:
    """Apply what counts at once to this process; gives the configuration that it runs with then.

    Args:
        current: what it runs with now.
        new: what the file says now.
        context: of its listeners; ``None``: it was started without a certificate.

    Raises:
        BadCertificate: the new certificate or key cannot be used; nothing was changed.
    """
    tls = current.tls
    if context is not None and new.tls.certificate and new.tls.key:
        replace_certificate(context, new.tls.certificate, new.tls.key)
        files = {"certificate": new.tls.certificate, "key": new.tls.key}
        tls = tls.model_copy(update=files)
    set_up_log(new.log)
    return current.model_copy(update={"tls": tls, "log": new.log})


def differing_options(one: Configuration, other: Configuration) -> Iterator[str]:
    """Name the options whose values differ, in the order of the manual."""
    for name in option_names():
        if _value(one, name) != _value(other, name):
            yield name


def _value(configuration: Configuration, name: str) -> Any:
    value: Any = configuration
    for part in name.split("."):
        value = getattr(value, part)
    return value
