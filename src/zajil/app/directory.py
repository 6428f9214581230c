"""Connects the directory of an organisation: passwords, the chore that follows it, its alert."""

from __future__ import annotations

from zajil.app.resources import WorkerResources
from zajil.core.actor import directory_actor
from zajil.core.clock import Clock
from zajil.login.verification import PersonPasswords
from zajil.monitor.conditions import AlertCondition, AlertKind
from zajil.monitor.finders import Found
from zajil.net.logger import get_logger
from zajil.operations.context import OperationContext
from zajil.store.engine.open import Store
from zajil.store.people.identities import LDAP, load_directory_state

_PATIENCE_MS = 3_600_000
"""A directory may be away for an hour, as for an upgrade, before anybody is told."""


def person_passwords(resources: WorkerResources) -> PersonPasswords | None:
    """Return what knows the passwords of the directory; ``None``: there is no directory."""
    options = resources.configuration.directory
    if not options.urls:
        return None
    from zajil.login.directory.ldap import LdapPasswords

    return LdapPasswords(options)


async def mirror_directory(resources: WorkerResources) -> None:
    """Let the accounts follow the directory once; a chore."""
    # Imported here, because few servers have a directory.
    from zajil.login.directory.connection import DirectoryUnavailable, NoLdapLibrary
    from zajil.operations.directory_sync import TooManyLost, sync_directory

    log = get_logger()
    context = OperationContext(resources.store, resources.clock, resources.random)
    options = resources.configuration.directory
    try:
        outcome = await sync_directory(context, directory_actor(), options)
    except (DirectoryUnavailable, NoLdapLibrary, TooManyLost) as error:
        log.error("the accounts do not follow the directory", reason=str(error))
        return
    for who, reason in outcome.problems[:20]:
        log.warning("a person of the directory was left out", who=who, reason=reason)
    if outcome.created or outcome.changed or outcome.suspended:
        log.info(
            "the accounts follow the directory",
            created=len(outcome.created),
            changed=len(outcome.changed),
            suspended=len(outcome.suspended),
            left_out=len(outcome.problems),
        )


async def find_directory_problem(store: Store, clock: Clock) -> Found:
    """Return whether the accounts have not followed the directory for long, or it lost people."""
    state = await store.read(lambda conn: load_directory_state(conn, LDAP))
    if state is None or not state.problem:
        return []
    is_patient = state.problem == "unavailable" and state.done_ms
    if is_patient and clock.now_ms() - state.done_ms < _PATIENCE_MS:
        return []
    facts: dict[str, str | int] = {
        "done_ms": state.done_ms or state.tried_ms,
        "reason": state.reason,
    }
    return [AlertCondition(AlertKind.DIRECTORY, "", facts)]
