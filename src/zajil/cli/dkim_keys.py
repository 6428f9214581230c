"""``zajil dkim keys|rotate|revoke``: the DKIM keys of this server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.configured import open_operations, read_configuration
from zajil.cli.output import AsJson, log_to_stderr, print_json, print_table, spell_time

if TYPE_CHECKING:
    from zajil.keys.lookup import RecordSeen
    from zajil.store.people.dkim_keys import DkimKeyRow

Domain = Annotated[str, typer.Argument(help="A domain of this server, in Unicode or ASCII form.")]


def keys(
    context: typer.Context,
    domain: Annotated[
        str | None, typer.Argument(help="A domain of this server. Default: all domains.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Look up the records in DNS.")] = False,
    create: Annotated[
        bool,
        typer.Option(
            "--create", help="Create keys for domains that have none; they become active at once."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the DKIM keys and their DNS records.

    A key is published (waiting until its record is in DNS), active (it signs), retired (it no
    longer signs, but its record is kept for mail in transit) or revoked.

    Exit status: 0 done, 1 unknown domain, or --check did not find a required record, 2 wrong usage.
    """
    from zajil.core.domain import to_ascii
    from zajil.net.system import SystemClock, system_random
    from zajil.operations.dkim_keys import check_records, make_missing_keys, show_keys

    log_to_stderr()
    configuration, name = read_configuration(context), to_ascii(domain) if domain else None
    with open_operations(context) as operations:
        if create:
            operations.run(make_missing_keys, configuration.keys)
        rows = operations.read(lambda conn: show_keys(conn, name))
    seen = check_records(rows, configuration.dns, SystemClock(), system_random) if check else []
    _print_keys(rows, seen, as_json=as_json)
    if any(_is_needed(row) and one.seen != "found" for row, one in zip(rows, seen, strict=False)):
        raise typer.Exit(1)


def rotate(
    context: typer.Context,
    domain: Domain,
    now: Annotated[
        bool,
        typer.Option(
            "--now", help="Activate the new keys at once, whether their records are in DNS or not."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create new keys. They replace the active ones as soon as their records are in DNS.

    With --now, new keys that were created before are activated at once.

    Exit status: 0 done, 1 unknown domain, or new keys are waiting already, 2 wrong usage.
    """
    from zajil.core.domain import to_ascii
    from zajil.operations.dkim_keys import rotate_keys

    options = read_configuration(context).keys
    with open_operations(context) as operations:
        made = operations.run(rotate_keys, to_ascii(domain), options, at_once=now)
    if not as_json:
        print(f"Publish these records; {_WHEN_NOW if now else _WHEN_FOUND}\n")
    _print_keys(made, (), as_json=as_json)


_WHEN_NOW = "mail is now signed with these keys:"
_WHEN_FOUND = "mail is signed with these keys once the records are in DNS:"


def revoke(
    context: typer.Context,
    domain: Domain,
    selectors: Annotated[
        list[str], typer.Argument(help="Selectors, as printed by `zajil dkim keys`.")
    ],
    as_json: AsJson = False,
) -> None:
    """Revoke keys, for example because one was stolen, and erase their private keys.

    Once the changed record is in DNS, mail signed with them counts as unsigned. New keys are
    created by `zajil dkim rotate`, or by the server itself.

    Exit status: 0 done, 1 unknown domain or key, 2 wrong usage.
    """
    from zajil.core.domain import to_ascii
    from zajil.operations.dkim_keys import revoke_keys

    with open_operations(context) as operations:
        gone = operations.run(revoke_keys, to_ascii(domain), selectors)
    if not as_json:
        print("Replace the records of these keys by:\n")
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
    """Return whether its record must be in DNS; that of a revoked key may be missing."""
    return row.state.value != "revoked"
