"""How a message in a file would be judged, as if a peer brought it now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zajil.check.content.phishing import Protected
from zajil.check.content.protected_names import protect
from zajil.check.content.run import view_of
from zajil.check.facts import MessageFacts, facts_of_file
from zajil.check.learned.classifier import classify, telling_words
from zajil.check.learned.model import deceives, reasons_of
from zajil.check.learned.tokens import find_tokens
from zajil.check.step import Checks
from zajil.check.verdict.verdict import Reason, decide
from zajil.config.options_check import CheckOptions
from zajil.core.address import parse_address
from zajil.core.ids import AccountId
from zajil.dns.flow import Resolve
from zajil.net.peer import Peer
from zajil.net.system import SystemClock
from zajil.operations.accounts import find_account
from zajil.operations.explain import Explanation, explain
from zajil.store.engine.open import Store
from zajil.store.feedback.training import INSTALLATION, list_models, load_words


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a peer would have said."""

    ip: str | None = None
    """Its address; ``None``: nothing is known of it, and what is about it is not checked."""
    mail_from: str = ""
    """``""`` is the null path."""
    helo: str = ""


@dataclass(frozen=True, slots=True)
class Installation:
    """What is known where the file is judged."""

    protected: Protected
    models: tuple[tuple[bool, Mapping[str, float]], ...] = ()
    """Words that were learned, and whether by the account whose mail it would be."""


def read_installation(store: Store, options: CheckOptions, account: str | None) -> Installation:
    """Read what an installation knows.

    Args:
        store: open, of this process.
        options: ``[check]``.
        account: login or address whose mail the file would be; ``None``: nobody's.

    Raises:
        NoSuchAccount: there is none of this name.
    """
    whose = [INSTALLATION]
    if account is not None:
        whose.append(store.read_now(lambda conn: find_account(conn, account)).account_id)
    imitated = options.phishing.imitated_domains
    protected = store.read_now(lambda conn: protect(conn, imitated))
    models = _read_models(store, options, whose) if options.words.enabled else ()
    return Installation(protected, models)


def _read_models(
    store: Store, options: CheckOptions, whose: Sequence[AccountId]
) -> tuple[tuple[bool, Mapping[str, float]], ...]:
    states = store.read_now(lambda conn: list_models(conn, options.words.min_mails))
    found: list[tuple[bool, Mapping[str, float]]] = []
    for state in states:
        account_id = state.account_id
        if account_id in whose:
            counts = store.read_now(lambda conn, one=account_id: load_words(conn, one))  # type: ignore[misc]
            words = telling_words(counts, state.junk, state.ham)
            found.append((account_id != INSTALLATION, words))
    return tuple(found)


async def explain_file(
    message: bytes,
    options: CheckOptions,
    resolve: Resolve,
    envelope: Envelope,
    installation: Installation | None = None,
) -> Explanation:
    """Judge a message now, as if a peer brought it; no history counts.

    Args:
        message: with CRLF line ends.
        options: weights and scores.
        resolve: asks DNS.
        envelope: who would bring it.
        installation: where; ``None``: at the domains it is addressed to.

    Raises:
        BadAddress: the reverse path is none.
    """
    peer = None if envelope.ip is None else Peer(envelope.ip, 0, "")
    reverse_path = parse_address(envelope.mail_from) if envelope.mail_from else None
    now_ms = SystemClock().now_ms()
    facts = facts_of_file(message, now_ms, peer, envelope.helo, reverse_path)
    if installation is None:
        domains = [one.domain for one in facts.recipients]
        imitated = options.phishing.imitated_domains
        installation = Installation(Protected(domains, brands=imitated))
    checks = Checks(options, resolve, "", protected=installation.protected)
    looked = None if peer is None else checks.look_at(peer, envelope.helo, now_ms)
    checked = await checks.check_message(facts, looked)
    verdict = checked.verdict
    words = checks.reweigh(_word_reasons(facts, installation))
    if deceives(verdict.reasons):
        words = tuple(one for one in words if one.weight > 0)
    if words:
        verdict = decide((*verdict.reasons, *words), checks.thresholds)
    return explain(verdict, checks.thresholds)


def _word_reasons(facts: MessageFacts, installation: Installation) -> list[Reason]:
    if not installation.models:
        return []
    tokens = find_tokens(view_of(facts))
    return [
        reason
        for own, words in installation.models
        for reason in reasons_of(classify(tokens, words), own=own)
    ]
