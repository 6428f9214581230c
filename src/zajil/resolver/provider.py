"""Writes DNS records: by dynamic updates (RFC 2136), or by the API of a provider (dns-lexicon).

Everything here blocks: run it in a thread. Nothing is deleted that the caller did not name.

Dynamic updates (``dynamic_updates``) are made with dnspython: the provider ``ddns`` of dns-lexicon
takes the refusal of a name server for a success, and cannot list records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zajil.config.options_acme import DYNAMIC_UPDATES, DnsProviderOptions
from zajil.dns.flow import Flow, Outcome, Question
from zajil.resolver.zone_access import BadProvider, Provider, ProviderFailed, ZoneRecord


def open_provider(options: DnsProviderOptions) -> Provider:
    """Return the provider that is configured.

    Raises:
        BadProvider: none is, its library is not installed, or an option is wrong.
    """
    if options.name is None:
        raise BadProvider("dns_provider.name is not set: Zajil cannot write DNS records")
    if options.name == DYNAMIC_UPDATES:
        from zajil.resolver.dynamic_updates import DynamicUpdates  # what it needs of dnspython

        return DynamicUpdates(options)
    return _Lexicon(options)


def find_zone(name: str) -> Flow[str | None]:
    """Ask for the zone that a name is in: the nearest parent with NS records; ``None``: unknown."""
    labels = name.rstrip(".").split(".")
    for at in range(len(labels) - 1):
        zone = ".".join(labels[at:])
        answer = yield Question(zone, "NS")
        if answer.outcome not in (Outcome.FOUND, Outcome.FAILED):
            continue
        # The answer for an alias is that of its target; a zone is never an alias.
        alias = yield Question(zone, "CNAME")
        if alias.outcome is Outcome.FOUND:
            continue
        return zone if answer.outcome is Outcome.FOUND else None
    return None


class _Lexicon:
    """A provider that dns-lexicon knows.

    Its own ``Client`` is not used: it finds the zone with a list that it fetches from the Internet.
    """

    def __init__(self, options: DnsProviderOptions) -> None:
        name = options.name or ""
        try:
            from lexicon._private.discovery import load_provider_module
        except ImportError:
            raise BadProvider(
                f"dns_provider.name = {name!r} needs the library dns-lexicon: install zajil[dns]"
            ) from None
        try:
            self._make: Any = load_provider_module(name).Provider
        except ImportError as error:
            if error.name and error.name.endswith(f".{name}"):
                raise BadProvider(f"dns-lexicon knows no provider {name!r}") from None
            raise BadProvider(
                f"the provider {name!r} needs the library {error.name}: install dns-lexicon[{name}]"
            ) from None
        self._name = name
        self._options = options

    def list_records(self, zone: str, name: str, kind: str) -> list[ZoneRecord]:
        found = self._run(zone, lambda provider: provider.list_records(kind, name, None))
        return [
            ZoneRecord(name, kind, _plain(kind, str(one["content"])), int(one.get("ttl") or 0))
            for one in found
            if str(one["type"]).upper() == kind
            and str(one["name"]).rstrip(".").lower() == name.lower()
        ]

    def change(self, zone: str, remove: Sequence[ZoneRecord], add: Sequence[ZoneRecord]) -> None:
        def work(provider: Any) -> None:
            for record in remove:
                provider.delete_record(None, record.type, record.name, record.value)
            for record in add:
                provider.create_record(record.type, record.name, record.value)

        self._run(zone, work)

    def _run(self, zone: str, work: Callable[[Any], Any]) -> Any:
        from lexicon import config

        own = {
            "provider_name": self._name,
            "domain": zone,
            "ttl": self._options.ttl_ms // 1000,
            self._name: dict(self._options.options),
        }
        resolver: Any = config.ConfigResolver
        try:
            provider = self._make(resolver().with_dict(own))
            provider.authenticate()
            try:
                return work(provider)
            finally:
                provider.cleanup()
        # A hundred providers, and each raises what it likes.
        except Exception as error:
            reason = self._without_secrets(str(error) or type(error).__name__)
            raise ProviderFailed(f"{self._name}, zone {zone}: {reason}") from error

    def _without_secrets(self, text: str) -> str:
        # Security: an address with a token in it stands in the errors of some providers.
        for name, value in self._options.options.items():
            if len(value) > 5 and not name.endswith(("server", "endpoint", "url")):
                text = text.replace(value, "***")
        return text


def _plain(kind: str, content: str) -> str:
    """Return the text of a TXT record that a provider shows with quotes."""
    if kind == "TXT" and content.startswith('"') and content.endswith('"'):
        return "".join(content[1:-1].split('" "')).replace('\\"', '"')
    return content
