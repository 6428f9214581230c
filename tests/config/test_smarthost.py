"""``[smarthost]`` and ``deliver.routes``: defaults by port, and mistakes that are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from zajil.config.load import BadConfiguration, load_configuration, parse_configuration
from zajil.config.options_smarthost import SmarthostOptions, split_route

SERVER = '[server]\nhostname = "mail.example.org"\ndata_dir = "data"\n'


def mistake(text: str) -> str:
    with pytest.raises(BadConfiguration) as caught:
        parse_configuration(SERVER + text, Path("z.toml"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("port", "login", "mode"),
    [
        (465, None, "implicit"),
        (587, None, "starttls"),
        (587, "me", "starttls"),
        (25, None, "opportunistic"),
        (25, "me", "starttls"),
        (2525, None, "starttls"),
    ],
)
def test_the_port_says_how_tls_begins(port: int, login: str | None, mode: str) -> None:
    password = None if login is None else "secret"
    options = SmarthostOptions(host="relay.test", port=port, login=login, password=password)
    assert options.tls_mode == mode


def test_an_explicit_tls_mode_has_priority() -> None:
    assert SmarthostOptions(host="relay.test", port=465, tls="starttls").tls_mode == "starttls"


def test_the_password_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pass word\n", "utf-8")
    file = tmp_path / "zajil.toml"
    text = '[smarthost]\nhost = "relay.test"\nlogin = "me"\npassword = { file = "password" }\n'
    file.write_text(SERVER + text, "utf-8")
    assert load_configuration(file).smarthost.password == "pass word"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '[smarthost]\nhost = "smtp.provider.example"\nlogin = "me"',
            "smarthost.password: smarthost.login and smarthost.password must be set together",
        ),
        (
            '[smarthost]\nlogin = "me"\npassword = "secret"',
            "smarthost.host: it is required, because smarthost.login is set",
        ),
        (
            '[smarthost]\nhost = "relay.test"\nlogin = "me"\npassword = "secret"\n'
            'tls = "opportunistic"',
            "smarthost.tls: a log-in requires 'implicit' or 'starttls', so that nobody else gets "
            "the password",
        ),
        ('[smarthost]\nhost = "mail.example.org"', "smarthost.host: it is this server"),
        ('[smarthost]\nhost = "relay.test:587"', "smarthost.host: "),
        (
            '[smarthost]\nspf = "v=spf1 -all"',
            "smarthost.spf: 'v=spf1 -all' is not a list of SPF mechanisms",
        ),
        (
            '[deliver.routes]\n"a.test" = "smarthost"',
            "deliver.routes: it uses the smarthost, and smarthost.host is not set",
        ),
        ('[deliver.routes]\n"a..test" = "direct"', "'a..test' is not a domain"),
        ('[deliver.routes]\n"a.test" = "10.0.0.1:99999"', "is neither 'direct', 'smarthost', HOST"),
        ('[deliver.routes]\n"a.test" = "10.0.0.1:465"', "a route cannot use implicit TLS"),
        ('[deliver.routes]\n"a.test" = "direct"\n"A.TEST" = "direct"', "'A.TEST' is listed twice"),
    ],
)
def test_mistakes(text: str, sentence: str) -> None:
    found = mistake(text)
    assert sentence in found
    assert "secret" not in found


def test_routes_are_kept_in_ascii() -> None:
    text = '[deliver.routes]\n"زاجل.test" = "direct"\n".a.test" = "[2001:db8::1]:26"\n'
    routes = parse_configuration(SERVER + text, Path("z.toml")).deliver.routes
    assert routes == {"xn--mgbkq8e.test": "direct", ".a.test": "[2001:db8::1]:26"}


@pytest.mark.parametrize(
    ("route", "parts"),
    [
        ("relay.test", ("relay.test", None)),
        ("Relay.Test:26", ("relay.test", 26)),
        ("192.0.2.1:26", ("192.0.2.1", 26)),
        ("[2001:DB8::1]:26", ("2001:db8::1", 26)),
    ],
)
def test_a_route_is_host_and_port(route: str, parts: tuple[str, int | None]) -> None:
    assert split_route(route) == parts
