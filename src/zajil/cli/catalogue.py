"""What commands about domains write into the catalogue of shards; nothing where there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import typer

from zajil.cli.configured import chosen_shard, read_whole_configuration

if TYPE_CHECKING:
    from zajil.core.address import Address
    from zajil.store.people.accounts import AccountRow


def put_into_shard(context: typer.Context, domain: str) -> Address | None:
    """Say that a domain is in the shard which the command is about.

    Returns:
        Who is postmaster of a domain outside the main shard, unless somebody else is named: the
        first administrator of the main shard.

    Raises:
        ElsewhereAlready: it is in another one.
        UnknownShard: the shard was not created.
    """
    whole = read_whole_configuration(context)
    if not whole.store.shards:
        return None
    from zajil.config.options_shards import MAIN_SHARD
    from zajil.operations.domains import first_admin
    from zajil.operations.run import open_runner
    from zajil.operations.shards import place_domain

    shard = chosen_shard(context, whole)
    with open_runner(whole) as runner:
        runner.run(place_domain, domain, shard)
        return None if shard == MAIN_SHARD else runner.read(first_admin)


def require_together(context: typer.Context, domain: str) -> None:
    """Do nothing if all accounts of a domain are in its shard.

    Raises:
        BadDomain: not a domain name.
        DomainInUse: some are elsewhere.
    """
    whole = read_whole_configuration(context)
    if not whole.store.shards:
        return
    from zajil.core.domain import to_ascii
    from zajil.operations.run import open_runner
    from zajil.operations.shards import require_together as require

    with open_runner(whole) as runner:
        runner.read(partial(require, ascii_name=to_ascii(domain)))


@contextmanager
def keeping_track(
    context: typer.Context, before: AccountRow | None, *, is_removed: bool = True
) -> Iterator[Callable[[AccountRow], None]]:
    """Have the catalogue know what becomes of an account in the block.

    Args:
        context: of the command.
        before: the account; ``None``: there is none.
        is_removed: it is removed, else renamed.

    Yields:
        A function that takes the account as it is then, if it is not gone.

    Raises:
        OnItsWay: an account that is to be removed is being moved.
    """
    whole = read_whole_configuration(context)
    found: list[AccountRow] = []
    if before is None or not whole.store.shards:
        yield found.append
        return
    from zajil.operations.run import open_runner
    from zajil.operations.shards import follow_names, require_at_rest

    shard = chosen_shard(context, whole)
    with open_runner(whole) as runner:
        if is_removed:
            runner.read(lambda conn: require_at_rest(conn, before))
        yield found.append
        after = found[-1] if found else None
        runner.run(lambda main, _: follow_names(main, shard, before, after))


def forget_missing_account(context: typer.Context, who: str) -> bool:
    """Remove an account from the catalogue that its shard does not have; false: it is not there."""
    whole = read_whole_configuration(context)
    if not whole.store.shards:
        return False
    from zajil.operations.run import open_runner
    from zajil.operations.shards import forget_missing

    with open_runner(whole) as runner:
        return runner.run(lambda main, _: forget_missing(main, who))


def take_out_of_shard(context: typer.Context, ascii_name: str) -> None:
    """Remove a domain from the catalogue: it is not ours any more."""
    whole = read_whole_configuration(context)
    if not whole.store.shards:
        return
    from zajil.operations.run import open_runner
    from zajil.operations.shards import forget_domain

    with open_runner(whole) as runner:
        runner.run(forget_domain, ascii_name)
