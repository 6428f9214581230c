"""An authoritative name server without its sockets (RFC 1034 section 4.3.2).

Pure: a query message and the zones go in, a response message comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset

from zajil.lab.zones import Zone
from zajil.store.engine.errors import StoreUnavailable

TTL_SECONDS = 60
LIVE_TTL_SECONDS = 1
"""Of what may change while somebody looks on."""
UDP_SIZE = 1232
"""The largest UDP answer: what passes every path without fragments, as DNS servers agreed."""
_CNAME_CHAIN = 8
_Rdatasets = dict[dns.rdatatype.RdataType, dns.rdataset.Rdataset]


FindText = Callable[[str], str | None]
"""Name, in lower case without a final dot, to the text of its TXT record."""


class Zones:
    """Answers queries from zones that never change, but for the records of signing keys."""

    def __init__(self, zones: Iterable[Zone], find_key: FindText | None = None) -> None:
        """Take the zones.

        Args:
            zones: what stands in them.
            find_key: gives records below ``_domainkey`` as they are now; it may raise
                StoreUnavailable.
        """
        self._find_key = find_key
        self._names: dict[dns.name.Name, _Rdatasets] = {}
        self._origins: set[dns.name.Name] = set()
        for zone in zones:
            self._origins.add(_name(zone.origin))
            for record in zone.records:
                rdata_type = dns.rdatatype.from_text(record.type)
                rdata = dns.rdata.from_text(dns.rdataclass.IN, rdata_type, record.value)
                rdatasets = self._names.setdefault(_name(record.name), {})
                empty = dns.rdataset.Rdataset(dns.rdataclass.IN, rdata_type)
                rdatasets.setdefault(rdata_type, empty).add(rdata, TTL_SECONDS)
        # Every name above a name exists too, without records (RFC 8020 section 2).
        for name in list(self._names):
            while name != dns.name.root:
                name = name.parent()
                self._names.setdefault(name, {})

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        """Return the response; its flags, codes and sections are complete, its size is not cut."""
        response = dns.message.make_response(query, our_payload=UDP_SIZE)
        if query.opcode() != dns.opcode.QUERY:
            response.set_rcode(dns.rcode.NOTIMP)
            return response
        if len(query.question) != 1:
            response.set_rcode(dns.rcode.FORMERR)
            return response
        question = query.question[0]
        origin = self._zone_of(question.name)
        if origin is None or question.rdclass != dns.rdataclass.IN:
            response.set_rcode(dns.rcode.REFUSED)
            return response
        response.flags |= dns.flags.AA
        try:
            self._fill(response, question.name, question.rdtype)
        except StoreUnavailable:
            response.set_rcode(dns.rcode.SERVFAIL)
        return response

    def _zone_of(self, name: dns.name.Name) -> dns.name.Name | None:
        while name not in self._origins:
            if name == dns.name.root:
                return None
            name = name.parent()
        return name

    def _fill(
        self,
        response: dns.message.Message,
        name: dns.name.Name,
        rdata_type: dns.rdatatype.RdataType,
    ) -> None:
        for _ in range(_CNAME_CHAIN):
            rdatasets = self._names.get(name) or self._live(name)
            if rdatasets is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                break
            wanted = [rdatasets[rdata_type]] if rdata_type in rdatasets else []
            if rdata_type == dns.rdatatype.ANY:
                wanted = list(rdatasets.values())
            if wanted:
                response.answer += [_rrset(name, rdataset) for rdataset in wanted]
                return
            alias = rdatasets.get(dns.rdatatype.CNAME)
            if alias is None:
                break
            response.answer.append(_rrset(name, alias))
            name = alias[0].target
        self._deny(response, name)

    def _live(self, name: dns.name.Name) -> _Rdatasets | None:
        """Return what stands at a name now."""
        if self._find_key is None or b"_domainkey" not in name.canonicalize().labels:
            return self._names.get(name)
        text = self._find_key(name.canonicalize().to_text(omit_final_dot=True))
        if text is None:
            return self._names.get(name)
        rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, text)
        return {dns.rdatatype.TXT: dns.rdataset.from_rdata(LIVE_TTL_SECONDS, rdata)}

    def _deny(self, response: dns.message.Message, name: dns.name.Name) -> None:
        # NXDOMAIN and "no records": the SOA says how long to believe it (RFC 2308 section 3).
        origin = self._zone_of(name)
        if origin is not None:
            soa = self._names[origin][dns.rdatatype.SOA]
            response.authority.append(_rrset(origin, soa))


def answer_wire(zones: Zones, wire: bytes, *, udp: bool) -> bytes | None:
    """Answer one packet; ``None`` for bytes that deserve no answer.

    Over UDP an answer that does not fit has the TC bit, and the asker comes again over TCP
    (RFC 1035 section 4.2.1).
    """
    try:
        query = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError):
        return None
    if query.flags & dns.flags.QR:
        return None  # an answer: two name servers must not talk for ever
    response = zones.answer(query)
    # RFC 6891 section 6.2.5: without EDNS, or with a smaller number, 512.
    limit = min(UDP_SIZE, max(512, query.payload)) if udp else 65535
    return response.to_wire(max_size=limit, prefer_truncation=True)


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(f"{text}.")


def _rrset(name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> dns.rrset.RRset:
    return dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset))
