"""What a running server applies of its configuration file at a reload, and how.

Certificates and log options are exchanged in each process. Everything else is read by a new
generation of workers, but for the options that are marked with ``NEEDS_RESTART``.
"""

from __future__ import annotations

from dataclasses import dataclass

from zajil.app.shared import Shared, digest_files, make_shared
from zajil.config.difference import differing_options, restart_options, with_options_of
from zajil.config.options import Configuration
from zajil.net.listener_set import NeedsRestart
from zajil.net.log import set_up_log
from zajil.tls.keeper import TlsKeeper

IN_PLACE = (
    *("tls.certificate", "tls.key", "tls.more"),
    *("log.level", "log.levels", "log.format", "log.file"),
)
"""Options that are exchanged in each process; the text of each says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadOutcome:
    """What came of a reload, for the operator."""

    ok: bool
    changed: tuple[str, ...] = ()
    """Options that took effect."""
    restart: tuple[str, ...] = ()
    """Options that differ, and take effect at the next start."""
    warnings: tuple[str, ...] = ()
    """What is wrong with the configuration otherwise."""
    error: str | None = None
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class Successor:
    """What a new generation of workers is made of."""

    shared: Shared | None
    """``None``: there is nothing for which new workers are needed."""
    changed: tuple[str, ...]
    restart: tuple[str, ...]


def take_over(
    current: Configuration, new: Configuration, tls: TlsKeeper | None
) -> tuple[Configuration, list[str]]:
    """Apply to this process what is exchanged in place.

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


def make_successor(shared: Shared, new: Configuration) -> Successor:
    """Open what new workers need for a configuration.

    Args:
        shared: what is in use now; ``take_over`` was called before.
        new: what the file contains now.

    Raises:
        BindFailed, BadCertificate, CannotStart: it cannot be used; nothing was changed.
    """
    current = shared.configuration
    restart = [name for name in restart_options() if name in set(differing_options(current, new))]
    target = with_options_of(new, current, restart)
    while True:
        changed = list(differing_options(current, target))
        files = digest_files(target)
        changed += [name for name in files if files[name] != shared.files.get(name, files[name])]
        if not changed:
            return Successor(None, (), tuple(restart))
        try:
            successor = make_shared(shared.permanent, target, shared)
        except NeedsRestart as error:
            option = f"listen.{error.service}"
            if option in restart:
                raise
            restart.append(option)
            target = with_options_of(target, current, [option])
        else:
            return Successor(successor, tuple(dict.fromkeys(changed)), tuple(restart))
