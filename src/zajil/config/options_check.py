"""Every option of the checks, with type, default, unit and source (style C9).

A group of its own for each part; ``CheckOptions`` at the end holds them all.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Self

from pydantic import Field, field_validator, model_validator

from zajil.config.kinds import BadOption, DomainName, Duration, Network
from zajil.config.options_content import AttachmentOptions, PhishingOptions, ScannerOptions
from zajil.config.options_group import Options
from zajil.config.options_words import WordOptions
from zajil.core.domain import BadDomain, to_ascii
from zajil.core.units import parse_duration


class GreylistOptions(Options):
    """``[check.greylist]``: unknown servers are asked to come again (RFC 6647)."""

    enabled: bool = Field(
        False,
        description="Defer the first mail of a server that proves no domain and that nobody here "
        "knows. Most spam from stolen machines never comes again; honest mail is late once.",
    )
    delay_ms: Duration = Field(
        parse_duration("5m"),
        description="A second try counts when so much time has passed.",
    )
    window_ms: Duration = Field(
        parse_duration("2d"),
        description="A second try later than this is a first one again.",
    )
    keep_ms: Duration = Field(
        parse_duration("35d"),
        description="Who came again is known for so long after its last mail; more than a month, "
        "for what is sent once a month.",
    )

    @model_validator(mode="after")
    def _there_is_time(self) -> Self:
        if self.delay_ms >= self.window_ms:
            raise BadOption("check.greylist.delay", "it is not shorter than check.greylist.window")
        return self


class PeerOptions(Options):
    """``[check.peer]``: who is asked about the server that brings a mail."""

    enabled: bool = Field(
        True, description="Ask DNS who brings a mail: its name, and the lists below."
    )
    lists: dict[str, float] = Field(
        {},
        examples=[{"zen.example.net": 4.0, "zen.example.net 127.0.0.10": 1.0}],
        description="DNS lists of bad addresses (RFC 5782), and what a listing weighs; after a "
        "space, the same for one code of a list. Ask the list whether you may use it.",
    )

    @field_validator("lists")
    @classmethod
    def _name_lists(cls, lists: dict[str, float]) -> dict[str, float]:
        for name in lists:
            zone, _, code = name.partition(" ")
            try:
                to_ascii(zone)
                is_code = not code or IPv4Address(code) in IPv4Network("127.0.0.0/8")
            except (BadDomain, ValueError):
                is_code = False
            if not is_code:
                raise ValueError(f"{name!r} is not ZONE, or ZONE and a code like '127.0.0.10'")
        return lists


class SenderOptions(Options):
    """``[check.sender]``: SPF, DKIM, DMARC and ARC, and whom we believe beside them."""

    enabled: bool = Field(True, description="Check who sent a mail: SPF, DKIM, DMARC, ARC.")
    bimi: bool = Field(
        True,
        description="Look up the logo (BIMI) of domains whose mail passed an enforced DMARC "
        "policy; it is not fetched.",
    )
    trusted_sealers: tuple[DomainName, ...] = Field(
        (),
        examples=[["lists.example.org"]],
        description="Domains whose ARC seals are believed: mail that passed DMARC when it came to "
        "them passes here, though they changed it. Lists and forwarders of good name.",
    )
    trusted_forwarders: tuple[Network, ...] = Field(
        (),
        description="Addresses and networks that forward mail to us: DMARC of what they bring "
        "does not count.",
    )
    trusted_forwarder_names: tuple[DomainName, ...] = Field(
        (),
        description="The same by name: of the host, or of a domain above it, if its address leads "
        "back to it; or the domain in MAIL FROM, if SPF passes.",
    )


class DmarcOptions(Options):
    """``[check.dmarc]``: reports about mail that claims to be from somebody (DMARC)."""

    report_interval_ms: Duration = Field(
        parse_duration("1d"),
        description="Tell domains that ask for it, so often, what mail in their name came here "
        "(RFC 9990): they find out what is forged, and what of their own is not signed. Each "
        "report is one mail to the address in their DNS. Intervals begin at midnight UTC; '0s': "
        "count and send nothing.",
    )
    report_contact: str = Field(
        "",
        examples=["https://mail.example.org/dmarc"],
        description="Whom to ask about our reports, beside their sender, which is dmarc-reports "
        "at a domain of ours.",
    )
    keep_reports_ms: Duration = Field(
        parse_duration("365d"),
        gt=0,
        description="Reports of others about our domains, which come to dmarc-reports at each of "
        "them, are kept as data so long.",
    )


class CheckOptions(Options):
    """``[check]``: what a mail is judged by, and when it is junk."""

    junk_score: float = Field(
        5.0, gt=0, description="A mail whose reasons weigh so much goes to Junk."
    )
    reject_score: float = Field(
        15.0,
        gt=0,
        description="A mail whose reasons weigh so much is refused, if one of them is a proven lie "
        "or a listed peer.",
    )
    weights: dict[str, float] = Field(
        {},
        examples=[{"format.no-date": 1.5}],
        description="Other weights for signals, by name; 0 silences one. `zajil check signals` "
        "lists all.",
    )
    peer: PeerOptions = PeerOptions()
    sender: SenderOptions = SenderOptions()
    dmarc: DmarcOptions = DmarcOptions()
    greylist: GreylistOptions = GreylistOptions()
    words: WordOptions = WordOptions()
    phishing: PhishingOptions = PhishingOptions()
    attachments: AttachmentOptions = AttachmentOptions()
    scanners: ScannerOptions = ScannerOptions()
