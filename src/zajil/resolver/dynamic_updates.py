"""Writes DNS records by dynamic updates at a primary name server (RFC 2136, TSIG: RFC 8945)."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Sequence
from typing import Any

import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update

from zajil.config.options_acme import DnsProviderOptions
from zajil.resolver.zone_access import BadProvider, ProviderFailed, ZoneRecord

_TIMEOUT_SECONDS = 20.0
_APPEAR_SECONDS = 15.0
"""For a signed zone to have what was added."""
_LOOK_SECONDS = 0.25


class DynamicUpdates:
    """A primary name server that accepts signed updates."""

    def __init__(self, options: DnsProviderOptions) -> None:
        given = options.options
        self._address, self._port = _address(given["server"])
        try:
            base64.b64decode(given["secret"], validate=True)
            self._keys = dns.tsigkeyring.from_text({given["key"]: given["secret"]})
        except binascii.Error:
            raise BadProvider("dns_provider.options: secret is not base64") from None
        except dns.exception.DNSException:
            raise BadProvider("dns_provider.options: key is not a domain name") from None
        self._algorithm = dns.name.from_text(given.get("algorithm", "hmac-sha256"))
        if self._algorithm not in dns.tsig.HMACTSig._hashes:
            raise BadProvider("dns_provider.options: unknown algorithm, use hmac-sha256")
        self._ttl_seconds = options.ttl_ms // 1000

    def list_records(self, zone: str, name: str, kind: str) -> list[ZoneRecord]:
        """Ask the server itself, with the key (``Provider.list_records``)."""
        found = self._list(zone, name, kind)
        # A name that is not there is answered with the records of a wildcard above it.
        is_doubtful = bool(found) and any(
            self._list(zone, above, kind) for above in _wildcards(zone, name)
        )
        return [] if is_doubtful and not self._has(zone, name, kind) else found

    def _has(self, zone: str, name: str, kind: str) -> bool:
        """Ask with an update that changes nothing: its condition (RFC 2136) knows no wildcards."""
        update = dns.update.UpdateMessage(zone, keyring=self._keys, keyalgorithm=self._algorithm)
        update.present(dns.name.from_text(name), kind)
        response = self._ask(update, zone, {dns.rcode.NOERROR, dns.rcode.NXRRSET})
        return response.rcode() == dns.rcode.NOERROR

    def _list(self, zone: str, name: str, kind: str) -> list[ZoneRecord]:
        return [
            ZoneRecord(name, kind, _value(rdata), ttl)
            for ttl, rdata in self._rdatas(zone, name, kind)
        ]

    def _rdatas(self, zone: str, name: str, kind: str) -> list[tuple[int, dns.rdata.Rdata]]:
        query = dns.message.make_query(name, kind)
        query.flags &= ~dns.flags.RD
        query.use_tsig(self._keys, algorithm=self._algorithm)
        response = self._ask(query, zone, {dns.rcode.NOERROR, dns.rcode.NXDOMAIN})
        wanted = dns.rdatatype.from_text(kind)
        return [
            (rrset.ttl, rdata)
            for rrset in response.answer
            if rrset.rdtype == wanted and rrset.name == dns.name.from_text(name)
            for rdata in rrset
        ]

    def change(self, zone: str, remove: Sequence[ZoneRecord], add: Sequence[ZoneRecord]) -> None:
        """Send all changes in one update: all or none is made (``Provider.change``)."""
        update = dns.update.UpdateMessage(zone, keyring=self._keys, keyalgorithm=self._algorithm)
        try:
            for record in remove:
                # As it stands there: the strings of a TXT record can be split in any way.
                for _, rdata in self._rdatas(zone, record.name, record.type):
                    if _value(rdata) == record.value:
                        update.delete(dns.name.from_text(record.name), rdata)
            for record in add:
                update.add(dns.name.from_text(record.name), self._ttl_seconds, _rdata(record))
        except dns.exception.DNSException as error:
            raise ProviderFailed(f"the records of {zone} cannot be written: {error}") from None
        self._ask(update, zone, {dns.rcode.NOERROR})
        self._wait_for(zone, add)

    def _wait_for(self, zone: str, records: Sequence[ZoneRecord]) -> None:
        """Wait until the server answers with what was added.

        A server that signs the zone does so after it accepted the change. RFC 2136 section
        3.4.2.2: what cannot stand beside a CNAME is left out without an error.
        """
        until = time.monotonic() + _APPEAR_SECONDS
        for record in records:
            while not self._is_there(zone, record):
                if time.monotonic() > until:
                    raise ProviderFailed(
                        f"{self._where} accepted the change of {zone}, but there is no record "
                        f"{record.name} {record.type} {record.value}"
                    )
                time.sleep(_LOOK_SECONDS)

    def _is_there(self, zone: str, record: ZoneRecord) -> bool:
        wanted = _rdata(record)
        return any(rdata == wanted for _, rdata in self._rdatas(zone, record.name, record.type))

    @property
    def _where(self) -> str:
        return f"the name server {self._address} port {self._port}"

    def _ask(
        self, message: dns.message.Message, zone: str, good: set[dns.rcode.Rcode]
    ) -> dns.message.Message:
        where = self._where
        try:
            response = dns.query.tcp(
                message, self._address, port=self._port, timeout=_TIMEOUT_SECONDS
            )
        except dns.tsig.PeerBadTime:
            raise ProviderFailed(
                f"{where} refused the TSIG key: the clocks of both computers differ by more than "
                "five minutes (BADTIME)"
            ) from None
        except dns.tsig.PeerError as error:
            raise ProviderFailed(
                f"{where} refused the TSIG key: {error}. Compare name, algorithm and secret in "
                "dns_provider.options with its configuration"
            ) from None
        except (OSError, EOFError, dns.exception.DNSException) as error:
            reason = str(error) or type(error).__name__
            raise ProviderFailed(f"{where} does not answer: {reason}") from None
        if response.rcode() not in good:
            code = dns.rcode.to_text(response.rcode())
            likely = _LIKELY.get(response.rcode(), "see its log")
            raise ProviderFailed(f"{where} refused the request for {zone}: {code} ({likely})")
        return response


_LIKELY = {
    dns.rcode.REFUSED: "the key may not change these records, or the zone would not be right "
    "afterwards, for instance with an MX record whose host has no address: its log says which",
    dns.rcode.NOTAUTH: "it is not the primary server of this zone",
    dns.rcode.SERVFAIL: "it cannot write the zone: its log says why",
    dns.rcode.NOTIMP: "it takes no dynamic updates",
}
"""What a refusal usually means."""


def _wildcards(zone: str, name: str) -> list[str]:
    """Return the wildcards that can answer for a name of a zone, the nearest first."""
    labels = name.removesuffix(zone).rstrip(".").split(".")[1:]
    above = [".".join([*labels[at:], zone]) for at in range(len(labels) + 1)]
    return [] if name == zone else [f"*.{one}" for one in above]


def _address(text: str) -> tuple[str, int]:
    host, port = text, "53"
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":") or "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        number = int(port)
        dns.inet.af_for_address(host)
    except ValueError:
        raise BadProvider(
            f"dns_provider.options: server = {text!r} is not ADDRESS or ADDRESS:PORT"
        ) from None
    return host, number


def _rdata(record: ZoneRecord) -> dns.rdata.Rdata:
    text = record.value
    if record.type == "TXT":
        raw = text.encode("utf-8")
        pieces = [raw[at : at + 255] for at in range(0, len(raw), 255)] or [b""]
        text = " ".join('"' + "".join(f"\\{octet:03d}" for octet in one) + '"' for one in pieces)
    return dns.rdata.from_text(dns.rdataclass.IN, record.type, text, relativize=False)


def _value(rdata: Any) -> str:
    if rdata.rdtype == dns.rdatatype.TXT:
        return b"".join(rdata.strings).decode("utf-8", "replace")
    return str(rdata.to_text())
