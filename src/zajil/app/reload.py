"""What a running server applies of its configuration file at SIGHUP, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator

from zajil.config.load import option_names, option_value
from zajil.config.options import Configuration
from zajil.net.log import set_up_log
from zajil.tls.keeper import TlsKeeper

RELOADABLE = (
    *("tls.certificate", "tls.key", "tls.more"),
    *("log.level", "log.levels", "log.format", "log.file"),
)
"""Options that take effect at once; the text of each says so. The others need a restart."""


def take_over(
    current: Configuration, new: Configuration, tls: TlsKeeper | None
) -> tuple[Configuration, list[str]]:
    """Apply to this process what takes effect at once.

    Args:
        current: what it runs with now.
        new: what the file contains now.
        tls: the certificate of its listeners; ``None``: it was started without one.

    Returns:
        What it runs with from now on, and the names of the options that changed:
        ``tls.certificate`` also when the file has the same name and other contents.

    Raises:
        BadCertificate: the new certificate or key cannot be used; nothing was changed.
        LogUnavailable: the file of the log cannot be opened; the log stays where it was.
    """
    options, is_other_certificate = current.tls, False
    if tls is not None and new.tls.own_files:
        is_other_certificate = tls.replace(new.tls.own_files)
        files = {name: getattr(new.tls, name) for name in ("certificate", "key", "more")}
        options = options.model_copy(update=files)
    set_up_log(new.log)
    taken = current.model_copy(update={"tls": options, "log": new.log})
    changed = list(differing_options(current, taken))
    if is_other_certificate and not {"tls.certificate", "tls.key", "tls.more"} & set(changed):
        changed.insert(0, "tls.certificate")
    return taken, changed


def differing_options(one: Configuration, other: Configuration) -> Iterator[str]:
    """Name the options whose values differ, in the order of the manual."""
    for name in option_names():
        if option_value(one, name) != option_value(other, name):
            yield name
