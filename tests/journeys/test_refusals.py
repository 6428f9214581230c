"""What a server of the lab says no to, as smtplib hears it."""

from __future__ import annotations

import smtplib

import pytest

from kit.lab_process import LabDomain


def rcpt(domain: LabDomain, recipient: str) -> tuple[int, bytes]:
    with domain.smtp() as client:
        client.ehlo()
        client.mail("stranger@elsewhere.test")
        return client.rcpt(recipient)


def test_an_unknown_recipient_is_refused_at_rcpt(north: LabDomain) -> None:
    code, text = rcpt(north, "nobody@north.test")
    assert (code, text[:5]) == (550, b"5.1.1")


@pytest.mark.parametrize(
    "recipient", ["noor@south.test", "noor%south.test@north.test", "someone@example.com"]
)
def test_strangers_cannot_relay(north: LabDomain, recipient: str) -> None:
    code, _ = rcpt(north, recipient)
    assert code in (550, 554)


@pytest.mark.parametrize("local_part", ["postmaster", "Postmaster", "abuse"])
def test_roles_are_always_accepted(north: LabDomain, zajil: LabDomain, local_part: str) -> None:
    """RFC 5321 section 4.5.1, RFC 2142 section 4."""
    assert rcpt(north, f"{local_part}@north.test")[0] == 250
    assert rcpt(zajil, f"{local_part}@{zajil.ascii_domain}")[0] == 250


def test_the_postmaster_of_the_server_s_own_name_is_accepted(north: LabDomain) -> None:
    """RFC 5321 section 4.5.1: DSNs to other servers are from there, and people answer them."""
    with north.smtp() as client:
        hostname = client.ehlo()[1].split()[0].decode()
    assert hostname.endswith("north.test")
    assert hostname != "north.test"
    assert rcpt(north, f"Postmaster@{hostname}")[0] == 250
    assert rcpt(north, f"amal@{hostname}")[1].startswith(b"5.1.1")


def test_postmaster_alone_is_accepted(north: LabDomain) -> None:
    with north.smtp() as client:
        client.ehlo()
        client.mail("stranger@elsewhere.test")
        assert client.docmd("RCPT", "TO:<Postmaster>")[0] == 250


def test_no_log_in_before_tls(north: LabDomain) -> None:
    who = north.accounts[0]
    with smtplib.SMTP(*north.address("submission"), local_hostname="client.test") as client:
        client.ehlo()
        assert not client.has_extn("auth")
        code, _ = client.docmd("AUTH", "PLAIN")
        assert code in (502, 503, 504, 530, 538)
        assert client.mail(who.address)[0] == 530


def test_a_wrong_password_is_refused(north: LabDomain) -> None:
    who = north.accounts[0]
    with smtplib.SMTP(*north.address("submission"), local_hostname="client.test") as client:
        client.starttls(context=north.tls)
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(who.login, "not the password")
    assert refused.value.smtp_code == 535


def test_only_own_addresses_may_send(north: LabDomain) -> None:
    writer, other = north.accounts
    with north.submission(writer) as client:
        code, _ = client.mail(other.address)
        if code == 250:
            code, _ = client.rcpt(other.address)
        assert code in (550, 553)


def test_another_from_field_is_refused(north: LabDomain) -> None:
    writer, other = north.accounts
    letter = f"From: {other.address}\r\nTo: {other.address}\r\n\r\nnot from who it says\r\n"
    with north.submission(writer) as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail(writer.address, [other.address], letter)
    assert refused.value.smtp_code in (550, 553, 554)


def test_vrfy_tells_nothing(north: LabDomain) -> None:
    """RFC 5321 section 3.5.3: 252 is the answer that reveals nobody."""
    with north.smtp() as client:
        client.ehlo()
        assert client.vrfy("amal")[0] == client.vrfy("nobody")[0] == 252


def test_the_greeting_offers_what_is_there(north: LabDomain) -> None:
    with north.smtp() as client:
        client.ehlo()
        wanted = {"pipelining", "size", "8bitmime", "smtputf8", "enhancedstatuscodes", "starttls"}
        assert wanted <= set(client.esmtp_features)
        assert "auth" not in client.esmtp_features
