"""Labels of an account: names and colours of keywords (``core.labels``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from zajil.core.actor import Actor
from zajil.core.labels import (
    COLOURS,
    SETTING,
    BadLabel,
    Label,
    LabelExists,
    TooManyLabels,
    add_label,
    change_label,
    read_all,
    show_label,
    write_labels,
)
from zajil.operations.accounts import find_account
from zajil.operations.context import OperationContext, Recorded, require_owner
from zajil.store.engine.writer import Transaction
from zajil.store.people.settings import NewSettings, get_setting, set_settings
from zajil.tracking.audit import SettingsChanged


async def make_label(
    context: OperationContext, actor: Actor, login_or_address: str, name: str, colour: str
) -> None:
    """Make a label, or take back one of this name that was removed.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        BadLabel, LabelExists, TooManyLabels: see ``core.labels``.
    """
    await _change(
        context, actor, login_or_address, lambda labels: add_label(labels, name, colour)[0]
    )


async def find_or_make_labels(
    context: OperationContext, actor: Actor, login_or_address: str, names: Sequence[str]
) -> dict[str, str]:
    """Return the keyword of each name that is a label of the account now, made where it was none.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
    """
    found: dict[str, str] = {}

    def change(labels: Sequence[Label]) -> tuple[Label, ...]:
        found.clear()
        every = tuple(labels)
        for place, name in enumerate(names):
            folded = name.strip().casefold()
            known = [one for one in every if one.is_shown and one.name.casefold() == folded]
            with suppress(BadLabel, LabelExists, TooManyLabels):
                if not known:
                    every, made = add_label(every, name, COLOURS[place % len(COLOURS)])
                    known = [made]
                found[name] = known[0].keyword
        return every

    await _change(context, actor, login_or_address, change)
    return found


async def edit_label(
    context: OperationContext,
    actor: Actor,
    login_or_address: str,
    keyword: str,
    *,
    name: str | None = None,
    colour: str | None = None,
) -> None:
    """Give a label another name or colour; messages keep its keyword.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        NoSuchLabel, BadLabel, LabelExists: see ``core.labels``.
    """
    await _change(
        context,
        actor,
        login_or_address,
        lambda labels: change_label(labels, keyword, name=name, colour=colour),
    )


async def remove_label(
    context: OperationContext, actor: Actor, login_or_address: str, keyword: str
) -> None:
    """Show a label no longer; messages keep its keyword, so it can be taken back.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        NoSuchLabel: see ``core.labels``.
    """
    await _change(
        context,
        actor,
        login_or_address,
        lambda labels: show_label(labels, keyword, is_shown=False),
    )


async def take_label_back(
    context: OperationContext, actor: Actor, login_or_address: str, keyword: str
) -> None:
    """Show a label again that was removed.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        NoSuchLabel: see ``core.labels``.
    """
    await _change(
        context, actor, login_or_address, lambda labels: show_label(labels, keyword, is_shown=True)
    )


async def _change(
    context: OperationContext,
    actor: Actor,
    login_or_address: str,
    change: Callable[[Sequence[Label]], tuple[Label, ...]],
) -> None:
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[None]:
        row = find_account(tx, login_or_address)
        require_owner(actor, row.account_id)
        set_settings(tx, [NewSettings(row.account_id, {})])  # locks what is read next
        labels = change(read_all(get_setting(tx, row.account_id, SETTING)))
        new = NewSettings(row.account_id, {SETTING: write_labels(labels)})
        (changed,) = set_settings(tx, [new])
        if not changed:
            return None, []
        return None, [SettingsChanged(*by, row.account_id, row.login, changed)]

    await context.change(work)
