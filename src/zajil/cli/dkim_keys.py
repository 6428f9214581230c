"""``zajil dkim keys|rotate|revoke``: the keys that our domains sign with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.configured import opened_store, read_configuration
from zajil.cli.output import AsJson, print_json, print_table, spell_time

if TYPE_CHECKING:
    from zajil.keys.lookup import RecordSeen
    from zajil.store.people.dkim_keys import DkimKeyRow

Domain = Annotated[str, typer.Argument(help="A domain of ours, in any form.")]


def keys(
    context: typer.Context,
    domain: Annotated[
        str | None, typer.Argument(help="A domain of ours, in any form; default: all.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Ask DNS whether the records are there.")
    ] = False,
    create: Annotated[
        bool, typer.Option("--create", help="Make keys for domains that have none; they sign.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the keys our domains sign with, and the DNS record of each.

    A key is published (it waits for its record), active (it signs), retired (its record stays for
    mail under way) or revoked.

    Exit status: 0 done, 1 the domain is not ours, or --check did not find a record that must be
    there, 2 wrong usage.
    """
    from zajil.core.domain import to_ascii
    from zajil.net.system import SystemClock, system_random
    from zajil.operations.dkim_keys import check_records, make_missing_keys, show_keys

    configuration, name = read_configuration(context), to_ascii(domain) if domain else None
    with opened_store(context) as store:
        if create:
            make_missing_keys(store, configuration.keys, SystemClock().now_ms())
        rows = show_keys(store, name)
    seen = check_records(rows, configuration.dns, SystemClock(), system_random) if check else []
    _print_keys(rows, seen, as_json=as_json)
    if any(_is_needed(row) and one.seen != "found" for row, one in zip(rows, seen, strict=False)):
        raise typer.Exit(1)


def rotate(
    context: typer.Context,
    domain: Domain,
    now: Annotated[
        bool,
        typer.Option("--now", help="Sign with the new keys at once, found in DNS or not."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make new keys; they take over when their records are found, the old ones retire then.

    With --now, new keys that wait already take over.

    Exit status: 0 done, 1 the domain is not ours or new keys wait already, 2 wrong usage.
    """
    from zajil.core.domain import to_ascii
    from zajil.net.system import SystemClock
    from zajil.operations.dkim_keys import rotate_keys

    options = read_configuration(context).keys
    with opened_store(context) as store:
        made = rotate_keys(store, to_ascii(domain), options, SystemClock().now_ms(), at_once=now)
    if not as_json:
        print(f"Publish these records; {_WHEN_NOW if now else _WHEN_FOUND}\n")
    _print_keys(made, (), as_json=as_json)


_WHEN_NOW = "mail is signed with these keys from now on:"
_WHEN_FOUND = "mail is signed with these keys when the server has found them in DNS:"


def revoke(
    context: typer.Context,
    domain: Domain,
    selectors: Annotated[list[str], typer.Argument(help="Names of keys: `zajil dkim keys`.")],
    as_json: AsJson = False,
) -> None:
    """Withdraw keys, as when one was stolen; what they sign with is erased.

    Mail that was signed with them and is not verified yet counts as unsigned once the record says
    so. New keys are made by `zajil dkim rotate`, or by the server itself.

    Exit status: 0 done, 1 the domain is not ours or has no such key, 2 wrong usage.
    """
    from zajil.core.domain import to_ascii
    from zajil.net.system import SystemClock
    from zajil.operations.dkim_keys import revoke_keys

    with opened_store(context) as store:
        gone = revoke_keys(store, to_ascii(domain), selectors, SystemClock().now_ms())
    if not as_json:
        print("Put this in the place of the records:\n")
    _print_keys(gone, (), as_json=as_json)


def _print_keys(rows: Sequence[DkimKeyRow], seen: Sequence[RecordSeen], *, as_json: bool) -> None:
    from zajil.cli.dns import print_records
    from zajil.operations.dns_advice import key_records

    if as_json:
        answers = [{"in_dns": one.seen, "answer": one.input} for one in seen]
        print_json(
            {
                "keys": [
                    {**_as_dict(row), **answer}
                    for row, answer in zip(rows, answers or [{}] * len(rows), strict=True)
                ]
            }
        )
        return
    titles = ["DOMAIN", "SELECTOR", "ALGORITHM", "STATE", "SINCE", *(["IN DNS"] if seen else [])]
    cells = [
        [row.domain, row.selector, row.algorithm, row.state.value, spell_time(_since_ms(row))]
        for row in rows
    ]
    print_table(
        titles, [[*line, *one] for line, one in zip(cells, _words(rows, seen), strict=True)]
    )
    print()
    print_records(key_records(rows))


def _words(rows: Sequence[DkimKeyRow], seen: Sequence[RecordSeen]) -> list[list[str]]:
    return [[one.seen] for one in seen] if seen else [[] for _ in rows]


def _as_dict(row: DkimKeyRow) -> dict[str, Any]:
    from zajil.core.domain import to_unicode
    from zajil.keys.record import record_value, zone_text
    from zajil.mailauth.dkim_key import key_name

    value = record_value(row)
    return {
        "domain": to_unicode(row.domain),
        "ascii_domain": row.domain,
        "selector": row.selector,
        "algorithm": row.algorithm,
        "state": row.state.value,
        "created_ms": row.created_ms,
        "found_ms": row.found_ms,
        "activated_ms": row.activated_ms,
        "retired_ms": row.retired_ms,
        "revoked_ms": row.revoked_ms,
        "record_name": key_name(row.domain, row.selector),
        "record_type": "TXT",
        "record_value": value,
        "record_text": zone_text(value),
    }


def _since_ms(row: DkimKeyRow) -> int:
    return row.revoked_ms or row.retired_ms or row.activated_ms or row.created_ms


def _is_needed(row: DkimKeyRow) -> bool:
    """Whether its record must be in DNS; a revoked one may as well be gone."""
    return row.state.value != "revoked"
