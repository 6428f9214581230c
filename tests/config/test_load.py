"""Every mistake in a configuration is one sentence with file, option, reason, nearest name."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.config.load import (
    REMOVED,
    RENAMED,
    BadConfiguration,
    apply_override,
    load_configuration,
    option_names,
    option_value,
    parse_configuration,
)

GOOD = '[server]\nhostname = "mail.example.org"\ndata_dir = "data"\n'


def mistake(text: str, *overrides: str) -> BadConfiguration:
    with pytest.raises(BadConfiguration) as caught:
        parse_configuration(text, Path("/etc/z.toml"), overrides)
    return caught.value


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            '[queue]\nfirst_rety = "5m"',
            "/etc/z.toml: queue.first_rety: there is no such option; "
            "did you mean queue.first_retry?",
        ),
        (
            '[queue]\nfirst_retry = "5h"',
            "/etc/z.toml: queue.first_retry: it must not be longer than queue.max_retry",
        ),
        (
            "[queue]\nlifetime = 5",
            "/etc/z.toml: queue.lifetime: 5 has no unit; write it with one, like '30s' or '25MiB'",
        ),
        (
            '[queue]\nlifetime = "5 years"',
            "/etc/z.toml: queue.lifetime: a duration is a number with a unit, like 30s, 5m, 4h, "
            "5d; not '5 years'",
        ),
        (
            '[queue]\nlevel = "debug"',
            "/etc/z.toml: queue.level: there is no such option; did you mean queue.lease?",
        ),
        (
            '[server.zz]\nhostname = "x"',
            "/etc/z.toml: server.zz: there is no such option",
        ),
        ("[quee]\na = 1", "/etc/z.toml: quee: there is no such table; did you mean [queue]?"),
        ("[xyzzy]\na = 1", "/etc/z.toml: xyzzy: there is no such table"),
        (
            '[listen]\nsmtp = ["somewhere"]',
            "/etc/z.toml: listen.smtp[0]: 'somewhere' is not ADDRESS:PORT, like '0.0.0.0:25' or "
            "'[::]:25'",
        ),
        (
            '[listen]\nsmtp = ["localhost:25"]',
            "/etc/z.toml: listen.smtp[0]: 'localhost:25' is not ADDRESS:PORT with a bare IP "
            "address",
        ),
        (
            '[listen]\nsmtp = "127.0.0.1:25"',
            '/etc/z.toml: listen.smtp: it should be a list, like ["one", "two"]',
        ),
        (
            '[deliver]\ntls = "maybe"',
            '/etc/z.toml: deliver.tls: it should be "opportunistic", "verify" or "never"',
        ),
        (
            "[limits]\nrecipients = 5",
            "/etc/z.toml: limits.recipients: it should be greater than or equal to 100",
        ),
        (
            '[tls]\ncertificate = "c.pem"',
            "/etc/z.toml: tls.key: tls.certificate and tls.key must be set together",
        ),
        (
            '[store]\nurl = { file = "nowhere" }',
            "/etc/z.toml: store.url: cannot read /etc/nowhere: No such file or directory",
        ),
        (
            '[limits]\npending = "1KiB"',
            "/etc/z.toml: limits.pending: it was renamed to limits.max_pending_bytes",
        ),
        (
            "[check.sender]\nbimi = true",
            "/etc/z.toml: check.sender.bimi: it was removed: delete the line; logos of senders"
            " need web.bimi_roots now",
        ),
    ],
    ids=lambda text: text.replace("\n", " ")[:40],
)
def test_a_mistake_is_one_sentence(more: str, sentence: str) -> None:
    assert str(mistake(GOOD + more)) == sentence


@pytest.mark.parametrize(
    "user", ["z:p@ss", "z:p/ss", "z:p#ss", "z:p?ss", "z:p[ss", "z:100%rain", "z:p@ss/w%rd#1:x"]
)
def test_a_raw_character_in_the_password_of_the_database_is_explained(user: str) -> None:
    text = str(mistake(GOOD + f'[store]\nurl = "postgresql://{user}@db.example/zajil"'))
    assert "special character that must be written as %" in text
    assert "ss" not in text.partition("password")[2]


@pytest.mark.parametrize(
    "rest",
    [
        "z:p%40ss@h1:1,h2:2/x?application_name=a@b",
        "/z?user=a@b",
        "h/z?user=a",
        "z:p:x@[::1]:5/z",
        "z@/z?host=/tmp/a@b",
    ],
)
def test_addresses_of_databases_that_are_right(rest: str) -> None:
    text = GOOD + f'[store]\nurl = "postgresql://{rest}"'
    assert parse_configuration(text, Path("z.toml")).store.url == f"postgresql://{rest}"


def test_an_override_of_a_renamed_option_names_the_new_one() -> None:
    with pytest.raises(BadConfiguration, match="renamed to submit"):
        parse_configuration(GOOD, Path("z.toml"), ["submit.future_release_max=1d"])


def test_the_names_of_fields_are_no_options() -> None:
    """A duration has a unit in the file, so its name has none: ``idle``, not ``idle_ms``."""
    assert str(mistake(GOOD + '[limits]\nidle_ms = "5m"')) == (
        "/etc/z.toml: limits.idle_ms: there is no such option; did you mean limits.idle?"
    )


def test_each_renamed_option_has_a_new_name_that_exists() -> None:
    assert RENAMED.keys().isdisjoint(option_names())
    assert set(RENAMED.values()) <= set(option_names())
    assert REMOVED.keys().isdisjoint(option_names())


def test_the_value_of_each_option_is_found_by_its_name() -> None:
    configuration = parse_configuration(GOOD, Path("z.toml"), ["queue.first_retry=30s"])
    assert option_value(configuration, "queue.first_retry") == 30_000
    for option in option_names():
        option_value(configuration, option)


def test_a_table_that_is_a_value() -> None:
    assert str(mistake("queue = 5\n" + GOOD)) == (
        "/etc/z.toml: queue: it is a table, written [queue]"
    )


def test_a_missing_option_is_named() -> None:
    error = mistake("[server]\n")
    assert [(one.option, one.reason) for one in (error, *error.others)] == [
        ("server.hostname", "it is required and not given"),
        ("server.data_dir", "it is required and not given"),
    ]


@pytest.mark.parametrize(
    "text",
    ["x = " + "[" * 99_999, "x = " + "{a = " * 99_999, "x = " + "9" * 9999, "x = [" * 99_999],
)
def test_a_file_that_the_reader_of_toml_gives_up_is_not_toml(text: str) -> None:
    """A running server reads its file, too: at a reload it must not end because of it."""
    assert "it is not TOML" in mistake(text).reason


def test_a_file_that_is_not_toml_is_told_with_its_line() -> None:
    error = mistake("[server\n")
    assert error.option is None
    assert "it is not TOML" in error.reason
    assert "line 1" in error.reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read: No such file or directory"), (b"\xff\xfe", "it is not UTF-8 text")],
)
def test_a_file_that_cannot_be_read(content: bytes | None, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "zajil.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadConfiguration) as caught:
        load_configuration(file)
    assert str(caught.value) == f"{file}: {reason}"


def test_all_mistakes_are_found_at_once() -> None:
    error = mistake(GOOD + "[queue]\nlifetime = 5\nlease = 6\n")
    assert [one.option for one in (error, *error.others)] == ["queue.lifetime", "queue.lease"]


def test_relative_paths_are_taken_from_the_folder_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "zajil.toml"
    file.write_text(GOOD + '[tls]\ncertificate = "c.pem"\nkey = "/k.pem"\n', "utf-8")
    configuration = load_configuration(file)
    assert configuration.server.data_dir == tmp_path / "data"
    assert configuration.tls.certificate == tmp_path / "c.pem"
    assert configuration.tls.key == Path("/k.pem")


def test_a_secret_may_lie_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://u:secret@h/d\n", "utf-8")
    file = tmp_path / "zajil.toml"
    file.write_text(GOOD + '[store]\nurl = { file = "url" }\n', "utf-8")
    assert load_configuration(file).store.url == "postgresql://u:secret@h/d"


def test_a_hostname_may_be_written_in_its_own_script() -> None:
    text = GOOD.replace("mail.example.org", "بريد.زاجل.test")
    assert parse_configuration(text, Path("z.toml")).server.hostname.startswith("xn--")


@pytest.mark.parametrize(
    ("override", "option", "value"),
    [
        ("queue.first_retry=30s", "first_retry_ms", 30_000),
        ('queue.first_retry = "30s"', "first_retry_ms", 30_000),
    ],
)
def test_an_override_is_text_or_toml(override: str, option: str, value: int) -> None:
    configuration = parse_configuration(GOOD, Path("z.toml"), [override])
    assert getattr(configuration.queue, option) == value


def test_an_override_may_be_a_number_or_a_list() -> None:
    configuration = parse_configuration(
        GOOD, Path("z.toml"), ["server.workers=2", 'listen.smtp=["127.0.0.1:2525"]']
    )
    assert configuration.server.workers == 2
    assert configuration.listen.smtp == ("127.0.0.1:2525",)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("queue.leas=5m", "--set: queue.leas: there is no such option; did you mean queue.lease?"),
        ("xyzzy.a=1", "--set: xyzzy: there is no such table"),
        ("xyzzy.a.b=1", "--set: xyzzy: there is no such table"),
        ("server.zz.a=1", "--set: server.zz: there is no such option"),
        ("queue.lease", "--set: 'queue.lease' is not TABLE.OPTION=VALUE, like queue.lease=5m"),
        ("foo=1", "--set: 'foo=1' is not TABLE.OPTION=VALUE, like queue.lease=5m"),
        ("=5", "--set: '=5' is not TABLE.OPTION=VALUE, like queue.lease=5m"),
        ("server.hostname.x=5", "--set: server.hostname.x: hostname is not a table"),
    ],
)
def test_a_wrong_override_is_told_as_one(override: str, sentence: str) -> None:
    assert str(mistake(GOOD, override)).startswith(sentence)


@given(st.text(max_size=40), st.dictionaries(st.text(max_size=5), st.integers(), max_size=2))
def test_no_override_raises_anything_else(override: str, tree: dict[str, int]) -> None:
    with contextlib.suppress(BadConfiguration):
        apply_override(dict(tree), override)


@given(st.sampled_from(option_names()), st.text(max_size=20))
def test_no_value_raises_anything_else(option: str, value: str) -> None:
    with contextlib.suppress(BadConfiguration):
        parse_configuration(GOOD, Path("z.toml"), [f"{option}={value}"])


@pytest.mark.parametrize(
    "text", ["all", "redirect=x.test", "a b", 'a"', "include:", "v=spf1", "ip4:1", "-all"]
)
def test_a_mechanism_that_spf_does_not_know(text: str, tmp_path: Path) -> None:
    lines = '[server]\nhostname = "mx.test"\ndata_dir = "d"\n[dns]\nspf_mechanisms = [\'%s\']\n'
    with pytest.raises(BadConfiguration, match=r"dns\.spf_mechanisms"):
        parse_configuration(lines % text, tmp_path / "zajil.toml")
    good = parse_configuration(lines % "include:_spf.relay.test", tmp_path / "zajil.toml")
    assert good.dns.spf_mechanisms == ("include:_spf.relay.test",)
