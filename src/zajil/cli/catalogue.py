"""What commands about domains write into the catalogue of shards; nothing where there are none."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import typer

from zajil.cli.configured import chosen_shard, read_whole_configuration

if TYPE_CHECKING:
    from zajil.core.address import Address


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


def take_out_of_shard(context: typer.Context, ascii_name: str) -> None:
    """Remove a domain from the catalogue: it is not ours any more."""
    whole = read_whole_configuration(context)
    if not whole.store.shards:
        return
    from zajil.operations.run import open_runner
    from zajil.operations.shards import forget_domain

    with open_runner(whole) as runner:
        runner.run(forget_domain, ascii_name)
