"""All options of the checks, with type, default, unit and source.

Each part has its own group; ``CheckOptions`` at the end contains them all.
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
    """``[check.greylist]``: temporary rejection of mail from unknown servers (RFC 6647)."""

    enabled: bool = Field(
        False,
        description="Temporarily reject the first message of an unknown server that "
        "authenticates no domain. Most spam from compromised computers is not sent again; "
        "legitimate mail is delayed once.",
    )
    delay_ms: Duration = Field(
        parse_duration("5m"),
        description="Minimum delay before a retry is accepted.",
    )
    window_ms: Duration = Field(
        parse_duration("2d"),
        description="Maximum delay of a retry; a later one counts as a first attempt.",
    )
    keep_ms: Duration = Field(
        parse_duration("35d"),
        description="How long a client stays known after its last message. More than a month "
        "covers monthly mailings.",
    )

    @model_validator(mode="after")
    def _there_is_time(self) -> Self:
        if self.delay_ms >= self.window_ms:
            raise BadOption("check.greylist.delay", "it must be shorter than check.greylist.window")
        return self


class PeerOptions(Options):
    """``[check.peer]``: DNS checks of the sending server."""

    enabled: bool = Field(
        True, description="Check the host name of the sending server and query the DNS lists below."
    )
    lists: dict[str, float] = Field(
        {},
        examples=[{"zen.example.net": 4.0, "zen.example.net 127.0.0.10": 1.0}],
        description="DNS blocklists (RFC 5782) and the weight of a listing. A name followed by "
        "a space and a code sets the weight for that code only. Check that the operator of a "
        "list permits your use.",
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
    """``[check.sender]``: sender authentication with SPF, DKIM, DMARC and ARC."""

    enabled: bool = Field(True, description="Check SPF, DKIM, DMARC and ARC.")
    trusted_sealers: tuple[DomainName, ...] = Field(
        (),
        examples=[["lists.example.org"]],
        description="Domains whose ARC seals are trusted: mail that passed DMARC at such a "
        "domain passes here, even if the domain modified it. Use it for reputable mailing lists "
        "and forwarders.",
    )
    trusted_forwarders: tuple[Network, ...] = Field(
        (),
        description="Addresses and networks that forward mail to this server; DMARC failures "
        "of their mail are ignored.",
    )
    trusted_forwarder_names: tuple[DomainName, ...] = Field(
        (),
        description="Domains that forward mail to this server; DMARC failures of their mail "
        "are ignored. A client matches by its host name, if the name resolves to its address, or "
        "by the MAIL FROM domain, if SPF passes.",
    )


class DmarcOptions(Options):
    """``[check.dmarc]``: DMARC reports to and from other domains."""

    report_interval_ms: Duration = Field(
        parse_duration("1d"),
        description="Interval of aggregate reports to domains that request them (RFC 9990). "
        "Each report is one message to the address in the domain's DNS record. Intervals begin "
        "at midnight UTC; '0s': no statistics and no reports.",
    )
    report_contact: str = Field(
        "",
        examples=["https://mail.example.org/dmarc"],
        description="Contact for questions about reports, in addition to the report sender, "
        "which is dmarc-reports at a local domain.",
    )
    keep_reports_ms: Duration = Field(
        parse_duration("365d"),
        gt=0,
        description="How long received reports about local domains are kept. They are received "
        "at dmarc-reports of each domain.",
    )


class CheckOptions(Options):
    """``[check]``: scores and signals that classify mail."""

    junk_score: float = Field(
        5.0, gt=0, description="Minimum score of mail that is delivered to Junk."
    )
    reject_score: float = Field(
        15.0,
        gt=0,
        description="Minimum score of mail that is rejected, if at least one signal is a "
        "proven deception or a listed client.",
    )
    weights: dict[str, float] = Field(
        {},
        examples=[{"format.no-date": 1.5}],
        description="Weights of signals that differ from the default, by name; 0 disables a "
        "signal. `zajil check signals` lists all signals.",
    )
    peer: PeerOptions = PeerOptions()
    sender: SenderOptions = SenderOptions()
    dmarc: DmarcOptions = DmarcOptions()
    greylist: GreylistOptions = GreylistOptions()
    words: WordOptions = WordOptions()
    phishing: PhishingOptions = PhishingOptions()
    attachments: AttachmentOptions = AttachmentOptions()
    scanners: ScannerOptions = ScannerOptions()
