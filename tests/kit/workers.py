"""Which tests of a run share a process, and which begin first.

Tests that share something slow to start run in one process, so that it is started once. They
begin first: a long group that begins late leaves the other processes without work. All other
tests go one by one to the process that is free.

(The marker ``xdist_group`` has no effect: pytest-xdist 3.8 cannot name groups with pytest 9.2.)
"""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling

_LAB = "lab"
_USERS_OF_THE_LAB = (
    "tests/journeys/test_bounce.py",
    "tests/journeys/test_foreign_clients.py",
    "tests/journeys/test_forgeries.py",
    "tests/journeys/test_junk_moves.py",
    "tests/journeys/test_lab_life.py",
    "tests/journeys/test_letters.py",
    "tests/journeys/test_refusals.py",
    "tests/journeys/test_round_trip.py",
    "tests/journeys/test_signatures.py",
    "tests/journeys/test_stories.py",
    "tests/journeys/test_tls_reports.py",
    "tests/attacks/test_command_injection.py",
    "tests/attacks/test_execution_and_files.py",
    "tests/attacks/test_imap_names.py",
    "tests/attacks/test_relay.py",
    "tests/attacks/test_smuggling.py",
    "tests/attacks/test_starttls_injection.py",
    "tests/interop/test_exim.py",
    "tests/interop/test_postfix.py",
    "tests/interop/test_postfix_lmtp.py",
    "tests/web/browser/",
)
_SOURCES = "sources"
_READERS_OF_SOURCES = (
    "tests/attacks/test_header_injection.py",
    "tests/test_architecture_page.py",
    "tests/test_decoding.py",
    "tests/test_dependencies.py",
    "tests/test_errors.py",
    "tests/test_layers.py",
    "tests/test_structure.py",
)
_KEPT_TOGETHER = (
    "tests/app/test_generations.py",
    "tests/app/test_modules_at_rest.py",
    "tests/app/test_power_loss.py",
    "tests/app/test_shard_away.py",
    "tests/app/test_shard_moves.py",
    "tests/app/test_shards.py",
    "tests/attacks/test_resources.py",
    "tests/attacks/test_shown_is_judged.py",
    "tests/cli/test_spf.py",
    "tests/docs_run/",
    "tests/interop/test_clamd.py",
    "tests/interop/test_https_in_browser.py",
    "tests/interop/test_imap_clients.py",
    "tests/interop/test_pop3_clients.py",
    "tests/interop/test_reverse_proxies.py",
    "tests/interop/test_rspamd.py",
    "tests/interop/test_swift.py",
    "tests/net/test_real_log.py",
    "tests/net/test_real_server.py",
    "tests/web/test_chromium.py",
    "tests/web/test_https.py",
    "tests/web/test_language.py",
)
"""Files whose tests share a server, a browser or what was read from all sources."""
_GROUPS = (
    dict.fromkeys(_USERS_OF_THE_LAB, _LAB)
    | {path: path for path in _KEPT_TOGETHER}
    | dict.fromkeys(_READERS_OF_SOURCES, _SOURCES)
)
_ORDER = {path: number for number, path in enumerate(_GROUPS)}


def may_use_the_lab(nodeid: str) -> bool:
    """Return whether a test is in the group that the lab of the run is started for."""
    return _GROUPS.get(_entry(nodeid)) == _LAB


def place_in_order(nodeid: str) -> int:
    """Return what tests are sorted by: those of groups come first, group by group."""
    return _ORDER.get(_entry(nodeid), len(_ORDER))


def _entry(nodeid: str) -> str:
    """Return the path that a test has in the tables, or its own."""
    path = nodeid.partition("::")[0]
    folder = path.rpartition("/")[0] + "/"
    return folder if folder in _GROUPS else path


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Gives groups to processes as wholes, in the order of the tests."""

    def _split_scope(self, nodeid: str) -> str:
        return _GROUPS.get(_entry(nodeid), nodeid)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """Forget a group that is done: all that a process has is counted after each test."""
        nodeid = self.registered_collections[node][item_index]
        units = self.assigned_work[node]
        group = self._split_scope(nodeid)
        units[group][nodeid] = True
        if all(units[group].values()):
            del units[group]
        self._reschedule(node)

    def schedule(self) -> None:
        """Begin, or go on with a process that takes the place of one that crashed.

        A process runs a test when it knows the next one or that there is none: a single one that is
        left over would never be run.
        """
        super().schedule()
        for node in self.nodes:
            self._reschedule(node)

    def remove_node(self, node: Any) -> str | None:
        """Give the tests of a process that crashed to others, without the one that crashed it."""
        left: list[tuple[str, str]] = [
            (group, nodeid)
            for group, tests in self.assigned_work[node].items()
            for nodeid, is_done in tests.items()
            if not is_done
        ]
        if not left:
            self.assigned_work.pop(node)
            return None
        group, crashed = left[0]
        units = self.assigned_work.pop(node)
        units[group].pop(crashed)
        self.workqueue.update({group: unit for group, unit in units.items() if unit})
        for other in self.assigned_work:
            self._reschedule(other)
        return crashed
